//! Jobs in the body of a request. Whether there is one or a list is decided by the first byte, because JSON that is kept
//! as text cannot be read twice; what is wrong is named by its path, such as `[3].opts.backoff.jitter`.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use operator_core::{JobId, NewJob};
use serde::de::DeserializeOwned;
use serde_json::Deserializer;
use serde_json::error::Category;

use crate::ApiSettings;
use crate::problem::{Code, FieldError, Problem};

/// The most fields reported at once: a list of a thousand wrong jobs is explained by the first few.
const MAX_ERRORS: usize = 20;

/// The body of a request that declares JSON.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // A page in somebody's browser may send anything but this without being asked for permission.
        if !declares_json(request.headers()) {
            let detail = "send JSON and say so: Content-Type: application/json";
            return Err(Problem::new(Code::NotJson, detail));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| unreadable(&rejection))
    }
}

fn declares_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Code::BodyTooLarge, "send fewer jobs at a time, or keep their data elsewhere")
        }
        _ => Problem::new(Code::InvalidRequest, format!("the body did not arrive whole: {}", rejection.body_text())),
    }
}

/// The jobs of a body.
#[derive(Debug)]
pub(crate) struct JobList {
    pub(crate) jobs: Vec<NewJob>,
    /// Whether the body was a list, even if of one.
    pub(crate) is_list: bool,
}

/// Reads one job or a list of them, and checks what can be checked without Redis, so that all is accepted or nothing.
pub(crate) fn jobs(body: &[u8], settings: &ApiSettings) -> Result<JobList, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::new(Code::InvalidJson, format!("the body is not UTF-8: {error}")))?;
    let list = match text.trim_ascii_start().as_bytes().first() {
        None => return Err(Problem::new(Code::InvalidJson, "the body is empty: send a job or a list of jobs")),
        Some(b'[') => JobList { jobs: read(text)?, is_list: true },
        Some(_) => JobList { jobs: vec![read(text)?], is_list: false },
    };
    check(&list, settings)?;
    Ok(list)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut deserializer = Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        problem_at(&path, &error.into_inner())
    })?;
    deserializer.end().map_err(|error| problem_at(".", &error))?;
    Ok(value)
}

fn problem_at(path: &str, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        return Problem::new(Code::InvalidJson, error.to_string());
    }
    let text = error.to_string();
    // The field says where better than line and column do.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    Problem::of_fields(Code::InvalidJob, vec![FieldError::new(exact(path, message), message)])
}

/// The path of the field that `message` is about. Options with several forms are read as a whole and name their own
/// fields: `backoff.jitter must be…` at `opts.backoff` is about `opts.backoff.jitter`.
fn exact(path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let last = path.rsplit('.').next().unwrap_or_default();
    let named = message.split([' ', ':']).next().unwrap_or_default();
    match named.strip_prefix(last) {
        Some(rest) if !last.is_empty() && rest.starts_with('.') => format!("{path}{rest}"),
        _ => path.to_owned(),
    }
}

fn check(list: &JobList, settings: &ApiSettings) -> Result<(), Problem> {
    let count = list.jobs.len();
    if count > settings.max_bulk_jobs {
        let limit = settings.max_bulk_jobs;
        let detail = format!("the list has {count} jobs and at most {limit} are taken at a time: send several lists");
        return Err(Problem::new(Code::TooManyJobs, detail));
    }
    let (mut too_large, mut invalid) = (Vec::new(), Vec::new());
    for (position, job) in list.jobs.iter().enumerate() {
        let field = |name: &str| if list.is_list { format!("[{position}].{name}") } else { name.to_owned() };
        too_large.extend(oversize(job, settings).map(|message| FieldError::new(field("data"), message)));
        if job.name.is_empty() {
            invalid.push(FieldError::new(field("name"), "it is empty: give the name of a job type"));
        }
        let id = job.opts.job_id.as_ref().map(|id| JobId::custom(id.as_str()));
        invalid.extend(id.and_then(Result::err).map(|error| FieldError::new(field("opts.jobId"), error)));
    }
    for (code, mut errors) in [(Code::InvalidJob, invalid), (Code::DataTooLarge, too_large)] {
        if !errors.is_empty() {
            errors.truncate(MAX_ERRORS);
            return Err(Problem::of_fields(code, errors));
        }
    }
    Ok(())
}

fn oversize(job: &NewJob, settings: &ApiSettings) -> Option<String> {
    let bytes = job.data.as_str().len() as u64;
    let limit = job.opts.size_limit.map_or(settings.max_data_bytes, |own| own.min(settings.max_data_bytes));
    (bytes > limit).then(|| {
        format!("it has {bytes} bytes and at most {limit} are allowed: keep it elsewhere and pass a reference")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ApiSettings {
        ApiSettings { key: None, max_data_bytes: 100, max_bulk_jobs: 3 }
    }

    fn refused(body: &str) -> Problem {
        jobs(body.as_bytes(), &settings()).expect_err(body)
    }

    #[test]
    fn one_job_and_a_list_of_one_are_told_apart() {
        let one = jobs(br#" {"name":"a","data":{"b":1.50}}"#, &settings()).unwrap();
        assert_eq!((one.is_list, one.jobs.len(), one.jobs[0].data.as_str()), (false, 1, r#"{"b":1.50}"#));
        let list = jobs(br#"[{"name":"a"}]"#, &settings()).unwrap();
        assert_eq!((list.is_list, list.jobs.len(), list.jobs[0].data.as_str()), (true, 1, "null"));
        assert!(jobs(b"[]", &settings()).unwrap().jobs.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (body, field) in [
            (r#"{}"#, ""),
            (r#""text""#, ""),
            (r#"{"name":5}"#, "name"),
            (r#"{"name":"a","payload":1}"#, "payload"),
            (r#"[{"name":"a"},{"name":"b","opts":{"atempts":3}}]"#, "[1].opts.atempts"),
            (r#"[{"name":"a","opts":{"attempts":-1}}]"#, "[0].opts.attempts"),
            (r#"[{"name":"a","opts":{"backoff":{"type":"fixed","jitter":2}}}]"#, "[0].opts.backoff.jitter"),
            (r#"{"name":"a","opts":{"backoff":{"type":"fixed","dealy":2}}}"#, "opts.backoff.dealy"),
            (r#"{"name":"a","opts":{"priority":"urgent"}}"#, "opts.priority"),
            (r#"{"name":"a","opts":{"removeOnComplete":"x"}}"#, "opts.removeOnComplete"),
            (r#"{"name":"","opts":{}}"#, "name"),
            (r#"[{"name":"a","opts":{"jobId":"7"}}]"#, "[0].opts.jobId"),
            (r#"{"name":"a","opts":{"jobId":"meta"}}"#, "opts.jobId"),
        ] {
            let problem = refused(body);
            assert_eq!((problem.code, problem.errors[0].field.as_str()), (Code::InvalidJob, field), "{body}");
        }
    }

    #[test]
    fn malformed_json_is_said_with_its_place() {
        for body in ["", " ", "{", "[{\"name\":\"a\"},", "nul", "{\"name\":\"a\"} x", "{\"name\":\"a\",\"data\":{,}}"] {
            let problem = refused(body);
            assert_eq!(problem.code, Code::InvalidJson, "{body}: {problem:?}");
        }
        assert!(refused("{\"name\":\"a\",}").detail.contains("line 1 column"));
        let problem = jobs(b"{\"name\":\"\xff\"}", &settings()).unwrap_err();
        assert_eq!(problem.code, Code::InvalidJson);
    }

    #[test]
    fn limits_are_those_of_the_settings_and_of_the_job() {
        let large = format!(r#"[{{"name":"a"}},{{"name":"a","data":"{}"}}]"#, "x".repeat(100));
        let problem = refused(&large);
        assert_eq!((problem.code, problem.errors[0].field.as_str()), (Code::DataTooLarge, "[1].data"));
        assert_eq!(refused(r#"{"name":"a","data":"xx","opts":{"sizeLimit":3}}"#).code, Code::DataTooLarge);
        let many = format!("[{}]", [r#"{"name":"a"}"#; 4].join(","));
        assert_eq!(refused(&many).code, Code::TooManyJobs);
    }

    #[test]
    fn a_deeply_nested_document_is_kept_as_it_is() {
        let deep = format!(r#"{{"name":"a","data":{}{}}}"#, "[".repeat(40), "]".repeat(40));
        assert!(jobs(deep.as_bytes(), &settings()).is_ok());
    }
}
