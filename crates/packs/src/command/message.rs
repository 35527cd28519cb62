//! The lines that a worker and a program exchange: the command protocol, described in `docs/packs.md`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use operator_core::{Job, Json, NewJob};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the protocol, told with each job. It changes when a program could notice.
pub const PROTOCOL: u32 = 1;

/// A job as its program reads it: one line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    operator: &'static str,
    protocol: u32,
    id: &'a str,
    queue: &'a str,
    name: &'a str,
    data: &'a Json,
    attempt: u32,
    max_attempts: u32,
    timestamp: u64,
    tmp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<&'a BTreeMap<String, Json>>,
}

/// What a job is told besides what it is.
#[derive(Default)]
pub(super) struct Around {
    pub(super) deadline: Option<u64>,
    pub(super) traceparent: Option<String>,
    /// What the children returned, of a job that was started before and gave its attempt back.
    pub(super) children: Option<BTreeMap<String, Json>>,
}

impl<'a> Document<'a> {
    pub(super) fn of(job: &'a Job, tmp: &'a str, around: &'a Around) -> Self {
        Self {
            operator: "job",
            protocol: PROTOCOL,
            id: job.id.as_str(),
            queue: job.queue.as_str(),
            name: &job.name,
            data: &job.data,
            attempt: job.attempts_made.saturating_add(1),
            max_attempts: job.opts.attempts.max(1),
            timestamp: job.timestamp_ms,
            tmp,
            deadline: around.deadline,
            traceparent: around.traceparent.as_deref(),
            children: around.children.as_ref(),
        }
    }

    /// One line, however the data was written. Between its parts a line break is a blank; what ends a line for JavaScript
    /// and for nobody else can only stand inside a text, where it is escaped.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_string(self).expect("texts, numbers and JSON can be JSON");
        if line.contains(['\n', '\r']) {
            line = line.replace(['\n', '\r'], " ");
        }
        if line.contains(['\u{2028}', '\u{2029}']) {
            line = line.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        }
        line.push('\n');
        line.into_bytes()
    }
}

/// What a program says.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Progress(Json),
    Log(String),
    Child { queue: Option<String>, child: Box<NewJob> },
    Data(Json),
    Heartbeat,
    End(End),
}

/// The last that a program says about a job.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    Result(Json),
    Failure(Told),
    /// To be run again when the jobs that it added have finished.
    Wait,
}

/// A failure as the program tells it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) is_final: bool,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) rate_limited_ms: Option<u64>,
}

/// A line of standard output.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// A message, and the id of the job it names.
    Message(Message, Option<Cow<'a, str>>),
    /// Not for the worker: a line for the log of the job.
    Text(Cow<'a, str>),
    /// Meant for the worker, and not what the protocol allows.
    Bad(String),
}

/// Every message has all fields, so that it is read once; which of them it needs follows from what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    operator: Cow<'a, str>,
    #[serde(borrow, default)]
    job: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    progress: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    opts: Option<&'a RawValue>,
    line: Option<String>,
    message: Option<String>,
    code: Option<String>,
    queue: Option<String>,
    name: Option<String>,
    retryable: Option<bool>,
    retry_after_ms: Option<u64>,
    rate_limited_ms: Option<u64>,
}

/// Reads one line, without its end.
pub(super) fn read(line: &[u8]) -> Line<'_> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text.trim_end_matches('\r'),
        Err(_) => return Line::Text(String::from_utf8_lossy(line)),
    };
    if !text.starts_with('{') || !text.contains(r#""operator""#) {
        return Line::Text(text.into());
    }
    match serde_json::from_str::<Fields<'_>>(text) {
        Ok(mut fields) => {
            let job = fields.job.take();
            message(fields).map_or_else(Line::Bad, |message| Line::Message(message, job))
        }
        Err(error) if is_for_us(text) => Line::Bad(error.to_string()),
        Err(_) => Line::Text(text.into()),
    }
}

/// Whether the line has the mark of a message at its top level. What breaks off before that shows counts as one: it begins
/// as messages do.
fn is_for_us(text: &str) -> bool {
    match serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(text) {
        Ok(members) => members.contains_key("operator"),
        Err(_) => text[1..].trim_start().starts_with(r#""operator""#),
    }
}

fn message(fields: Fields<'_>) -> Result<Message, String> {
    let json = |raw: Option<&RawValue>| raw.map_or_else(Json::null, own);
    Ok(match &*fields.operator {
        "result" => Message::End(End::Result(json(fields.result))),
        "progress" => Message::Progress(fields.progress.map(own).ok_or("`progress` is missing")?),
        "log" => Message::Log(fields.line.ok_or("`line` is missing")?),
        "heartbeat" => Message::Heartbeat,
        "data" => Message::Data(fields.data.map(own).ok_or("`data` is missing")?),
        "wait" => Message::End(End::Wait),
        "child" => child(fields)?,
        "failure" => Message::End(End::Failure(Told {
            message: fields.message.ok_or("`message` is missing")?,
            code: fields.code,
            is_final: fields.retryable == Some(false),
            retry_after_ms: fields.retry_after_ms,
            rate_limited_ms: fields.rate_limited_ms,
        })),
        other => return Err(format!("there is no message `{}`", crate::excerpt::Excerpt(other, 50))),
    })
}

fn child(fields: Fields<'_>) -> Result<Message, String> {
    let mut child = NewJob::new(fields.name.ok_or("`name` is missing")?, fields.data.map_or_else(Json::null, own));
    if let Some(opts) = fields.opts {
        child.opts = serde_json::from_str(opts.get()).map_err(|error| format!("opts: {error}"))?;
    }
    Ok(Message::Child { queue: fields.queue, child: Box::new(child) })
}

fn own(raw: &RawValue) -> Json {
    Json::parse(raw.get()).expect("what was read as JSON is JSON")
}

#[cfg(test)]
mod tests {
    use operator_core::{JobId, QueueName};
    use serde_json::json;

    use super::*;

    fn end(line: &str) -> End {
        match read(line.as_bytes()) {
            Line::Message(Message::End(end), _) => end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_job_is_one_line_whatever_its_data_looks_like() {
        let mut job = Job::blank(QueueName::new("q").unwrap(), JobId::from_wire("7"));
        job.data = Json::parse("{\n  \"a\": \"x\\ny\u{2028}\"\r\n}").unwrap();
        let line = Document::of(&job, "/tmp/x", &Around::default()).line();
        let text = std::str::from_utf8(&line).unwrap();
        assert_eq!((text.matches('\n').count(), text.matches('\u{2028}').count()), (1, 0));
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!((&read["data"], &read["protocol"]), (&json!({"a": "x\ny\u{2028}"}), &json!(1)));
        assert_eq!((&read["attempt"], &read["maxAttempts"], &read["tmp"]), (&json!(1), &json!(1), &json!("/tmp/x")));
    }

    #[test]
    fn messages_are_told_from_everything_else_a_program_prints() {
        for text in
            ["hello", "", "{", "{}", r#"{"level":"info","message":"operator"}"#, "[1]", r#"{"a":{"operator":1}}"#]
        {
            assert_eq!(read(text.as_bytes()), Line::Text(text.into()), "{text}");
        }
        assert!(matches!(read(b"\xff\xfe"), Line::Text(_)));
        let text = br#"{"operator":"log","line":"x","job":"7"}"#;
        assert_eq!(read(text), Line::Message(Message::Log("x".to_owned()), Some("7".into())));
    }

    #[test]
    fn the_end_of_a_job_is_read_with_all_it_says() {
        assert_eq!(
            end(r#"{"operator":"result","result":{"a": 1.0}}"#),
            End::Result(Json::parse(r#"{"a": 1.0}"#).unwrap())
        );
        assert_eq!(end(r#"{"operator":"result"}"#), End::Result(Json::null()));
        let told = Told { message: "no".to_owned(), code: Some("c".to_owned()), is_final: true, ..Told::default() };
        let text = r#"{"operator":"failure","message":"no","code":"c","retryable":false}"#;
        assert_eq!(end(text), End::Failure(told));
        assert_eq!(end(r#"{"operator":"wait"}"#), End::Wait);
    }

    #[test]
    fn what_was_meant_for_the_worker_and_is_wrong_is_told_apart() {
        for (text, part) in [
            (r#"{"operator":"dance"}"#, "no message `dance`"),
            (r#"{"operator":"progress"}"#, "`progress` is missing"),
            (r#"{"operator":"failure"}"#, "`message` is missing"),
            (r#"{"operator":"result","result":nan}"#, "column"),
            (r#"{"operator":"result","resutl":1}"#, "unknown field"),
            (r#"{"operator":"log","line":7}"#, "invalid type"),
            (r#"{"operator":"res"#, "column"),
            (r#"{"operator":"child","name":"a","opts":{"attempts":"x"}}"#, "opts"),
        ] {
            let Line::Bad(problem) = read(text.as_bytes()) else { panic!("{text}") };
            assert!(problem.contains(part), "{problem}");
        }
    }
}
