//! What ends a job that waits for a service to call back, and what it waits with.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Failure, Json};

/// What a callback brings: `{"result": …}` or `{"failure": {"message": …}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Document")]
pub enum CallbackAnswer {
    /// The job's result.
    Result(Json),
    /// Why there is none.
    Failure(CallbackFailure),
}

/// Why a service could not do what a job asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallbackFailure {
    /// What went wrong, for people.
    pub message: String,
    /// Whether another attempt may succeed; yes unless given.
    #[serde(default = "yes")]
    pub retryable: bool,
}

/// The fields of an answer, of which there must be one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, deserialize_with = "given")]
    result: Option<Json>,
    failure: Option<CallbackFailure>,
}

impl TryFrom<Document> for CallbackAnswer {
    type Error = &'static str;

    fn try_from(document: Document) -> Result<Self, Self::Error> {
        match (document.result, document.failure) {
            (Some(result), None) => Ok(Self::Result(result)),
            (None, Some(failure)) => Ok(Self::Failure(failure)),
            _ => Err("give one of `result` and `failure`"),
        }
    }
}

/// `null` is a result, too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

fn yes() -> bool {
    true
}

impl From<CallbackFailure> for Failure {
    fn from(CallbackFailure { message, retryable }: CallbackFailure) -> Self {
        if retryable { Self::retryable(message) } else { Self::unrecoverable(message) }
    }
}

/// What a job waits with: one per attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// What proves that a caller was told of this callback. Whoever knows it may end the job: it is a secret.
    pub token: String,
    /// Until when it is taken, epoch milliseconds.
    pub expires_ms: u64,
    /// What was brought, if it was.
    pub answer: Option<CallbackAnswer>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    #[test]
    fn a_failure_may_be_retried_unless_it_says_otherwise() {
        let read = |text| Json::parse(text).unwrap().decode::<CallbackAnswer>();
        let Ok(CallbackAnswer::Failure(failure)) = read(r#"{"failure":{"message":"no stock"}}"#) else { panic!() };
        assert_eq!(Failure::from(failure).kind, FailureKind::Retryable);
        let Ok(CallbackAnswer::Failure(failure)) = read(r#"{"failure":{"message":"no","retryable":false}}"#) else {
            panic!()
        };
        assert_eq!(Failure::from(failure).kind, FailureKind::Unrecoverable);
        assert_eq!(
            read(r#"{"result":{"a":1.50}}"#).unwrap(),
            CallbackAnswer::Result(Json::parse(r#"{"a":1.50}"#).unwrap())
        );
        assert_eq!(read(r#"{"result":null}"#).unwrap(), CallbackAnswer::Result(Json::null()));
        for bad in [r#"{"results":1}"#, "{}", r#"{"failure":{}}"#, r#"{"result":1,"failure":{"message":"x"}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
