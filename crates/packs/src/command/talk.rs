//! One conversation: a job is told, and what the program says is done until it has said all.

use std::future::pending;
use std::io;

use operator_core::Failure;
use tokio::time::{Instant, sleep_until};

use super::Bounds;
use super::message::{self, End, Line, Message};
use super::pipes::Next;
use super::speaker::{Speaker, tell};
use crate::Context;
use crate::excerpt::Excerpt;
use crate::sandbox::Exit;
use crate::secrets::Redactor;

/// How a conversation came to its end.
pub(super) enum Ended {
    /// The program said all; the exit is that of a program that runs one job.
    Said(End, Option<Exit>),
    /// The program ended without a last word.
    Exited(Exit),
    /// The program was stopped because the worker gave the job up.
    Stopped,
    /// The program was stopped because it did what it may not.
    Broken(String),
    /// Something the program asked for could not be done.
    Refused(Failure),
}

/// What holds for one job.
pub(super) struct Talk<'a> {
    context: &'a Context,
    redactor: &'a Redactor,
    bounds: &'a Bounds,
    /// More jobs follow, so each message names its own.
    is_one_of_many: bool,
    log_lines: u64,
    children: u64,
    end: Option<End>,
    /// It did not end after its last word, and was ended: that is no failure of the job.
    was_late: bool,
}

enum Event {
    Told,
    Line(io::Result<Next>),
    Noise(bool),
    Exit(io::Result<Exit>),
    Cancelled,
    Late,
}

/// Why a conversation cannot go on.
enum Stop {
    Broken(String),
    Refused(Failure),
}

impl<'a> Talk<'a> {
    pub(super) fn new(context: &'a Context, redactor: &'a Redactor, bounds: &'a Bounds, is_one_of_many: bool) -> Self {
        Self { context, redactor, bounds, is_one_of_many, log_lines: 0, children: 0, end: None, was_late: false }
    }

    /// Tells the job and listens. A program that has more jobs to run is through with its last word, any other with its
    /// exit.
    pub(super) async fn hold(mut self, speaker: &mut Speaker, line: Vec<u8>) -> Ended {
        let ended = self.listen(speaker, &line).await;
        if matches!(ended, Ended::Stopped) {
            speaker.stop().await;
        } else if matches!(ended, Ended::Broken(_) | Ended::Refused(_)) {
            speaker.process().kill();
        }
        ended
    }

    async fn listen(&mut self, speaker: &mut Speaker, line: &[u8]) -> Ended {
        let grace = speaker.grace();
        let is_all = !self.is_one_of_many;
        let Speaker { process, stdin, out, err, .. } = speaker;
        let process = process.as_mut().expect("a speaker has its process until it is let go");
        let mut telling = Box::pin(tell(stdin, line, is_all));
        let (mut is_told, mut is_noisy, mut is_open) = (false, true, true);
        let (mut exit, mut late) = (None, None);
        loop {
            if let Some(exit) = exit.filter(|_| !is_open && !is_noisy) {
                return self.said(exit);
            }
            let event = tokio::select! {
                biased;
                () = self.context.cancelled().cancelled() => Event::Cancelled,
                () = &mut telling, if !is_told => Event::Told,
                line = out.next(), if is_open => Event::Line(line),
                more = err.pump(), if is_noisy => Event::Noise(more),
                exit = process.wait(), if exit.is_none() => Event::Exit(exit),
                () = sleep_until_set(late) => Event::Late,
            };
            match event {
                Event::Cancelled => return Ended::Stopped,
                Event::Told => is_told = true,
                Event::Line(Ok(Next::Line(line))) => match self.hear(&line).await {
                    Ok(()) => {}
                    Err(Stop::Broken(problem)) => return Ended::Broken(problem),
                    Err(Stop::Refused(failure)) => return Ended::Refused(failure),
                },
                Event::Line(Ok(Next::TooLong)) => return Ended::Broken(self.too_long()),
                Event::Line(_) => is_open = false,
                Event::Noise(more) => is_noisy = more,
                Event::Exit(Ok(ended)) => exit = Some(ended),
                Event::Exit(Err(error)) => return Ended::Refused(error.into()),
                Event::Late => {
                    self.was_late = true;
                    process.kill();
                    late = Some(Instant::now() + grace);
                }
            }
            if out.total() + err.total() > self.bounds.output_bytes {
                let problem = format!("printed more than the {} KiB it may", self.bounds.output_bytes >> 10);
                return Ended::Broken(problem);
            }
            if self.is_one_of_many && is_told && self.end.is_some() {
                return self.end.take().map_or(Ended::Stopped, |end| Ended::Said(end, None));
            }
            // Whoever has said all, or can say no more, is to end soon.
            if late.is_none() && (self.end.is_some() || (self.is_one_of_many && !is_open)) {
                late = Some(Instant::now() + grace);
            }
        }
    }

    fn said(&mut self, exit: Exit) -> Ended {
        match self.end.take() {
            Some(end) => Ended::Said(end, Some(exit).filter(|_| !self.was_late)),
            None => Ended::Exited(exit),
        }
    }

    fn too_long(&self) -> String {
        format!("printed a line longer than the {} KiB it may", self.bounds.line_bytes >> 10)
    }

    async fn hear(&mut self, line: &[u8]) -> Result<(), Stop> {
        match message::read(line) {
            Line::Text(text) => self.log(&text).await,
            Line::Bad(problem) => Err(broken(format!("sent a message that is none: {}", self.redactor.text(&problem)))),
            Line::Message(message, job) => {
                self.check(job.as_deref())?;
                self.act(message).await
            }
        }
    }

    /// A program that runs many jobs must say which it speaks of, and may speak of the one it was given only.
    fn check(&self, job: Option<&str>) -> Result<(), Stop> {
        if self.end.is_some() {
            return Err(broken("sent a message after the end of the job"));
        }
        match job {
            Some(job) if job == self.context.job_id() => Ok(()),
            None if !self.is_one_of_many => Ok(()),
            None => Err(broken("sent a message without the id of its job")),
            Some(job) => Err(broken(format!("sent a message for the job `{}`, which is not its", Excerpt(job, 100)))),
        }
    }

    async fn act(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Log(text) => return self.log(&text).await,
            Message::Progress(progress) => self.context.progress(self.redactor.json(progress)).await?,
            Message::Data(data) => self.context.update_data(self.redactor.json(data)).await?,
            Message::Child { queue, mut child } => {
                self.children += 1;
                if self.children > self.bounds.children {
                    return Err(broken(format!("added more than the {} jobs it may", self.bounds.children)));
                }
                child.data = self.redactor.json(child.data);
                let queue = queue.as_deref().unwrap_or(self.context.queue());
                self.context.add_child(queue, *child).await?;
            }
            Message::Heartbeat => self.context.heartbeat(),
            Message::End(End::Result(result)) => {
                if result.as_str().len() > self.bounds.result_bytes {
                    let most = self.bounds.result_bytes >> 10;
                    return Err(broken(format!("gave a result larger than the {most} KiB it may")));
                }
                self.end = Some(End::Result(self.redactor.json(result)));
            }
            Message::End(end) => self.end = Some(end),
        }
        Ok(())
    }

    async fn log(&mut self, text: &str) -> Result<(), Stop> {
        self.log_lines += 1;
        if self.log_lines > self.bounds.log_lines {
            return Err(broken(format!("logged more than the {} lines it may", self.bounds.log_lines)));
        }
        Ok(self.context.log(&self.redactor.text(text)).await?)
    }
}

/// For ever, unless a time is set.
async fn sleep_until_set(late: Option<Instant>) {
    match late {
        Some(late) => sleep_until(late).await,
        None => pending().await,
    }
}

fn broken(problem: impl Into<String>) -> Stop {
    Stop::Broken(problem.into())
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}
