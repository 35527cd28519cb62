//! Why an attempt did not succeed, and what follows from it.

use serde::{Deserialize, Serialize};

/// What a job reports when it cannot give a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong, for people.
    pub message: String,
    /// What follows from it.
    pub kind: FailureKind,
    /// Where it went wrong, line by line; empty when nobody knows.
    pub stack: Vec<String>,
    /// What kind of failure it is, in a word that does not change: what a job's `notRetried` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// Another attempt may succeed.
    Retryable,
    /// No attempt can succeed: the job fails now, whatever attempts it has left.
    Unrecoverable,
    /// None: the job has moved itself out of this attempt, and goes on elsewhere or later.
    Moved,
}

impl Failure {
    /// A failure that another attempt may mend.
    #[must_use]
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: FailureKind::Retryable, stack: Vec::new(), code: None }
    }

    /// A failure that no attempt can mend.
    #[must_use]
    pub fn unrecoverable(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: FailureKind::Unrecoverable, stack: Vec::new(), code: None }
    }

    /// What a job returns that has moved itself: to later, back in line, or behind its children.
    #[must_use]
    pub fn moved() -> Self {
        Self { message: "the job has moved itself".to_owned(), kind: FailureKind::Moved, stack: Vec::new(), code: None }
    }

    /// The same failure with a code, such as `validation_error`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same failure with the place where it happened.
    #[must_use]
    pub fn at(mut self, stack: Vec<String>) -> Self {
        self.stack = stack;
        self
    }
}

/// Any error is a failure that may be retried; its sources become the stack.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let stack = causes.map(|cause| format!("caused by: {cause}")).collect();
        Self { message: error.to_string(), kind: FailureKind::Retryable, stack, code: None }
    }
}
