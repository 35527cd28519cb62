//! Operations on many jobs, told as they go: one line of JSON per step. The work goes on as the answer is read, so a
//! client that goes away ends it between two steps, and one that reads slowly slows it down.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Extension;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use operator_queue::{Progress, QueueError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::app::App;
use crate::edge::RequestId;
use crate::problem::{Code, Problem};

/// One line: how far an operation has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub(crate) struct ProgressView {
    /// The jobs that were dealt with so far.
    jobs: u64,
    /// Whether all were. The last line of an answer says so, or has a problem; an answer that ends otherwise was cut off.
    done: bool,
    /// Why it ended before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    problem: Option<Value>,
}

/// Where an operation says how far it has come.
pub(super) struct Reporter(watch::Sender<u64>);

impl Reporter {
    pub(super) fn note(&self, progress: Progress) {
        self.0.send_replace(progress.jobs);
    }
}

/// Begins an operation and answers with its progress. What goes wrong before its first step is an ordinary problem.
pub(super) async fn told<F>(
    app: &App,
    Extension(request_id): Extension<RequestId>,
    begin: impl FnOnce(Reporter) -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<u64, QueueError>> + Send + 'static,
{
    let (reporter, progress) = watch::channel(0);
    let (work, stopping) = (begin(Reporter(reporter)).boxed(), app.stopping().clone());
    Work { work, progress, stopping, request_id, is_over: false }.answer().await
}

/// An operation under way.
struct Work {
    work: BoxFuture<'static, Result<u64, QueueError>>,
    progress: watch::Receiver<u64>,
    stopping: CancellationToken,
    request_id: RequestId,
    is_over: bool,
}

/// What an operation did next.
enum Step {
    Progress(u64),
    Done(u64),
    Failed(QueueError),
    Stopped,
}

impl Work {
    async fn answer(mut self) -> Result<Response, Problem> {
        let first = self.next().await;
        if let Step::Failed(error) = first {
            return Err(error.into());
        }
        let lines = futures::stream::unfold((self, Some(first)), |(mut work, first)| async {
            if work.is_over {
                return None;
            }
            let step = match first {
                Some(step) => step,
                None => work.next().await,
            };
            Some((Ok::<_, Infallible>(work.line(step)), (work, None)))
        });
        let headers = [(header::CONTENT_TYPE.as_str(), "application/x-ndjson"), ("x-accel-buffering", "no")];
        Ok((StatusCode::OK, headers, Body::from_stream(lines)).into_response())
    }

    async fn next(&mut self) -> Step {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Step::Stopped,
            end = &mut self.work => match end {
                Ok(jobs) => Step::Done(jobs),
                Err(error) => Step::Failed(error),
            },
            Ok(()) = self.progress.changed() => Step::Progress(*self.progress.borrow_and_update()),
        }
    }

    fn line(&mut self, step: Step) -> String {
        self.is_over = !matches!(step, Step::Progress(_));
        let so_far = *self.progress.borrow();
        let view = match step {
            Step::Progress(jobs) => ProgressView { jobs, done: false, problem: None },
            Step::Done(jobs) => ProgressView { jobs, done: true, problem: None },
            Step::Failed(error) => self.cut_short(so_far, error.into()),
            Step::Stopped => {
                let detail = "this dispatcher is stopping: send the request again for the rest";
                self.cut_short(so_far, Problem::new(Code::Stopping, detail))
            }
        };
        let mut line = serde_json::to_string(&view).expect("numbers and texts can be JSON");
        line.push('\n');
        line
    }

    fn cut_short(&self, jobs: u64, problem: Problem) -> ProgressView {
        let RequestId(request_id) = &self.request_id;
        if let Some(cause) = &problem.cause {
            tracing::error!(code = problem.code.name(), cause, request_id, "an operation on many jobs failed");
        }
        ProgressView { jobs, done: false, problem: Some(problem.document(request_id)) }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::sync::oneshot;

    use super::*;

    /// An operation without end, and what tells that it was ended.
    fn endless(stopping: &CancellationToken) -> (Work, oneshot::Receiver<()>) {
        let (reporter, progress) = watch::channel(0);
        let (alive, ended) = oneshot::channel();
        let work = async move {
            let _alive: oneshot::Sender<()> = alive;
            loop {
                reporter.send_modify(|jobs| *jobs += 1000);
                tokio::task::yield_now().await;
            }
        };
        let request_id = RequestId("r".to_owned());
        (Work { work: work.boxed(), progress, stopping: stopping.clone(), request_id, is_over: false }, ended)
    }

    #[tokio::test]
    async fn an_operation_ends_when_nobody_reads_its_answer() {
        let (work, mut ended) = endless(&CancellationToken::new());
        let mut lines = work.answer().await.unwrap().into_body().into_data_stream();
        assert_eq!(lines.next().await.unwrap().unwrap(), "{\"jobs\":1000,\"done\":false}\n");
        assert!(lines.next().await.is_some() && ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        drop(lines);
        assert_eq!(ended.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[tokio::test]
    async fn an_operation_ends_with_the_dispatcher_and_says_so() {
        let stopping = CancellationToken::new();
        let (work, _) = endless(&stopping);
        let mut lines = work.answer().await.unwrap().into_body().into_data_stream();
        assert!(lines.next().await.is_some());
        stopping.cancel();
        let last = lines.next().await.unwrap().unwrap();
        let last: Value = serde_json::from_slice(&last).unwrap();
        assert_eq!((&last["done"], &last["problem"]["code"]), (&false.into(), &"stopping".into()));
        assert_eq!(last["problem"]["requestId"], "r");
        assert!(lines.next().await.is_none());
    }
}
