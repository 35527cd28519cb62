//! Everything the API answers when it cannot do what it was asked to, in one place: statuses, codes, and what follows
//! from the errors of the other crates. Documents are RFC 9457; `edge` adds the request's id and writes them out.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use operator_queue::events::WaitError;
use operator_queue::{QueueError, QueueRefusal, RedisError, Refusal};
use operator_store::StoreError;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Where the codes are explained; a code's own heading follows.
const REFERENCE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/API.md#");

/// How long a client should wait before it asks again, in seconds: about as long as a reconnect takes.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

macro_rules! codes {
    ($($code:ident $status:ident $name:literal $title:literal;)*) => {
        /// The stable word for what went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $title] $code),* }

        impl Code {
            /// Every code, in the order of the reference.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$code),*];

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status),* }
            }

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$code => $name),* }
            }

            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$code => $title),* }
            }
        }
    };
}

codes! {
    InvalidJson BAD_REQUEST "invalid_json" "The body is not JSON";
    InvalidRequest BAD_REQUEST "invalid_request" "The address or a parameter cannot be used";
    Unauthorized UNAUTHORIZED "unauthorized" "The request carries no valid key";
    ForeignPage FORBIDDEN "foreign_page" "A page of another site asks";
    RouteNotFound NOT_FOUND "route_not_found" "There is nothing at this address";
    QueueNotFound NOT_FOUND "queue_not_found" "There is no such queue";
    JobNotFound NOT_FOUND "job_not_found" "There is no such job";
    SchedulerNotFound NOT_FOUND "scheduler_not_found" "There is no such scheduler";
    DeduplicationNotFound NOT_FOUND "deduplication_not_found" "No job stands for this deduplication id";
    CallbackNotFound NOT_FOUND "callback_not_found" "No job waits for this callback";
    PackNotFound NOT_FOUND "pack_not_found" "No live worker has this pack";
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "The address does not take this method";
    JobHeld CONFLICT "job_held" "A worker holds the job";
    JobState CONFLICT "job_state" "The job is not in the state this needs";
    CallbackExpired GONE "callback_expired" "The callback came too late";
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large" "The body is too large";
    DataTooLarge PAYLOAD_TOO_LARGE "data_too_large" "The data of a job is too large";
    TooManyJobs PAYLOAD_TOO_LARGE "too_many_jobs" "The list of jobs is too long";
    NotJson UNSUPPORTED_MEDIA_TYPE "not_json" "The body is not declared as JSON";
    InvalidJob UNPROCESSABLE_ENTITY "invalid_job" "A job cannot be used as it is";
    InvalidSchedule UNPROCESSABLE_ENTITY "invalid_schedule" "A schedule cannot be followed";
    Internal INTERNAL_SERVER_ERROR "internal_error" "Something is wrong in this service";
    RedisUnavailable SERVICE_UNAVAILABLE "redis_unavailable" "The queues cannot be reached";
    RedisFull SERVICE_UNAVAILABLE "redis_full" "The queues take no more writes";
    DatabaseUnavailable SERVICE_UNAVAILABLE "database_unavailable" "The history cannot be reached";
    TooManyListeners SERVICE_UNAVAILABLE "too_many_listeners" "Too many listen or wait already";
    Stopping SERVICE_UNAVAILABLE "stopping" "The dispatcher is stopping";
    TimedOut SERVICE_UNAVAILABLE "timed_out" "The request took too long";
}

/// What went wrong. As a response it has only a status until `edge` writes it out.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    /// For the log; clients do not see it.
    pub(crate) cause: Option<String>,
}

/// What is wrong with one field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Where it is: a JSON path in the body, or the name of a parameter.
    #[schema(example = "[3].opts.backoff.jitter")]
    pub(crate) field: String,
    /// What is wrong with it.
    #[schema(example = "backoff.jitter must be a number from 0 to 1")]
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl ToString) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// The same with the fields that are wrong; the first is said in the detail, too.
    pub(crate) fn of_fields(code: Code, errors: Vec<FieldError>) -> Self {
        let first = errors.first().map(|error| format!("{}: {}", error.field, error.message)).unwrap_or_default();
        let more = errors.len().saturating_sub(1);
        let detail = if more == 0 { first } else { format!("{first} (and {more} more)") };
        Self { errors, ..Self::new(code, detail.trim_start_matches(": ")) }
    }

    /// A parameter that cannot be used.
    pub(crate) fn parameter(name: &str, message: impl ToString) -> Self {
        Self::of_fields(Code::InvalidRequest, vec![FieldError::new(name, message)])
    }

    pub(crate) fn no_job(id: &str) -> Self {
        Self::new(Code::JobNotFound, format!("there is no job {id}"))
    }

    pub(crate) fn internal(cause: impl ToString) -> Self {
        let detail = "this is a defect: please report it with the request's id";
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Internal, detail) }
    }

    /// The document for the request called `request_id`.
    pub(crate) fn document(&self, request_id: &str) -> Value {
        let name = self.code.name();
        let mut document = json!({
            "type": format!("{REFERENCE}{name}"),
            "title": self.code.title(),
            "status": self.code.status().as_u16(),
            "detail": self.detail,
            "code": name,
            "requestId": request_id,
        });
        if !self.errors.is_empty() {
            document["errors"] = json!(self.errors);
        }
        document
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        let headers = response.headers_mut();
        match self.code.status() {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"operator\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        let (code, detail) = match &error {
            // A key that is no job's, asked for as one: `wait` is a list.
            RedisError::Command { problem } if problem.starts_with("WRONGTYPE") => {
                return Self::new(Code::JobNotFound, "there is no job of this id");
            }
            RedisError::Command { problem } if ["OOM", "MISCONF"].iter().any(|word| problem.starts_with(word)) => {
                (Code::RedisFull, "Redis has no memory or no disk left: nothing was changed")
            }
            RedisError::Command { .. } | RedisError::Answer { .. } => return Self::internal(error),
            error if error.is_ambiguous() => (
                Code::RedisUnavailable,
                "Redis did not answer in time: what was asked for may have been done. A job that was added with an id \
                 of its own (opts.jobId) can safely be added again",
            ),
            _ => (Code::RedisUnavailable, "Redis cannot be reached: nothing was changed"),
        };
        Self { cause: Some(error.to_string()), ..Self::new(code, detail) }
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let detail = error.to_string();
        match error {
            QueueError::Redis(error) => error.into(),
            QueueError::InvalidId(_) | QueueError::DifferentSlots { .. } => Self::new(Code::InvalidJob, detail),
            QueueError::InvalidOptions(error) => {
                Self::of_fields(Code::InvalidJob, vec![FieldError::new(error.field(), &error)])
            }
            QueueError::InvalidSchedule(error) => {
                Self::of_fields(Code::InvalidSchedule, vec![FieldError::new(error.field(), &error)])
            }
            QueueError::InvalidArgument { field, problem } => Self::parameter(field, problem),
            QueueError::TooLarge { .. } => Self::new(Code::DataTooLarge, detail),
            QueueError::Corrupt { .. } => Self::internal(detail),
            QueueError::QueueRefused { refusal: QueueRefusal::ActiveJobs, .. } => Self::new(Code::JobHeld, detail),
            QueueError::QueueRefused { refusal: QueueRefusal::NotPaused, .. } => Self::new(Code::JobState, detail),
            QueueError::Refused { refusal, .. } => match refusal {
                Refusal::JobMissing => Self::new(Code::JobNotFound, detail),
                Refusal::ParentMissing => {
                    Self::of_fields(Code::InvalidJob, vec![FieldError::new("opts.parent", detail)])
                }
                Refusal::Locked | Refusal::LockMismatch => Self::new(Code::JobHeld, detail),
                Refusal::Unknown(_) => Self::internal(detail),
                _ => Self::new(Code::JobState, detail),
            },
        }
    }
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        let detail = error.to_string();
        match error {
            WaitError::Queue(error) => error.into(),
            WaitError::TooMany { .. } => Self::new(Code::TooManyListeners, detail),
            WaitError::Removed { .. } | WaitError::NotFound { .. } => Self::new(Code::JobNotFound, detail),
            WaitError::TimedOut { .. } => Self::new(Code::TimedOut, detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Query { .. } | StoreError::Corrupt { .. } => Self::internal(error),
            _ => {
                let detail =
                    "the database of finished jobs cannot be used right now; jobs in the queues are not affected";
                Self { cause: Some(error.to_string()), ..Self::new(Code::DatabaseUnavailable, detail) }
            }
        }
    }
}

/// A problem as the reference describes it.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "only describes what `document` writes")]
pub(crate) struct ProblemDocument {
    /// The address of the code's explanation.
    r#type: String,
    /// What kind of problem it is, in words that do not change.
    #[schema(example = "There is no such job")]
    title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What happened this time, and what to do.
    detail: String,
    /// The stable word for the kind of problem.
    #[schema(example = "job_not_found")]
    code: String,
    /// What is wrong with which field, where fields are at fault.
    errors: Option<Vec<FieldError>>,
    /// The request's id, as in `X-Request-Id` and in the log.
    #[serde(rename = "requestId")]
    request_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_explains_every_code() {
        let reference = include_str!("../../../docs/API.md");
        for code in Code::ALL {
            let row = format!("### {}\n", code.name());
            assert!(reference.contains(&row), "docs/API.md has no heading for {}", code.name());
            let status = format!("{} {}", code.status().as_u16(), code.title());
            assert!(reference.contains(&status), "docs/API.md does not say `{status}`");
        }
    }

    #[test]
    fn a_password_in_a_cause_stays_in_the_log() {
        let error = StoreError::Refused { doing: "x", database: "y".into(), cause: "hunter2".into() };
        let problem = Problem::from(error);
        assert!(!problem.document("1").to_string().contains("hunter2"));
        assert!(problem.cause.is_some());
    }

    #[test]
    fn several_fields_are_counted_in_the_detail() {
        let errors = vec![FieldError::new("[0].name", "is empty"), FieldError::new("[1].name", "is empty")];
        let problem = Problem::of_fields(Code::InvalidJob, errors);
        assert_eq!(problem.detail, "[0].name: is empty (and 1 more)");
        assert_eq!(problem.document("r")["errors"].as_array().unwrap().len(), 2);
    }
}
