//! Names and ids in the path, and the parameters behind the question mark.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use operator_core::QueueName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::{Code, FieldError, Problem};

/// The queue named in the path.
pub(crate) struct QueuePath(pub(crate) QueueName);

/// The queue and the job named in the path.
pub(crate) struct JobPath {
    pub(crate) queue: QueueName,
    pub(crate) id: String,
}

/// The callback named in the path.
pub(crate) struct CallbackPath {
    pub(crate) queue: QueueName,
    pub(crate) id: String,
    pub(crate) token: String,
}

/// The queue named in the path, and something in it that has a name of its own.
pub(crate) struct NamedPath {
    pub(crate) queue: QueueName,
    pub(crate) name: String,
}

/// The parameters of the request; one that is not known is refused, as it is probably mistyped.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync> FromRequestParts<S> for QueuePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(bad_path)?;
        queue(name).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((name, id)) = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(bad_path)?;
        Ok(Self { queue: queue(name)?, id })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CallbackPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((name, id, token)) =
            Path::<(String, String, String)>::from_request_parts(parts, state).await.map_err(bad_path)?;
        Ok(Self { queue: queue(name)?, id, token })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamedPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((queue_name, name)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(bad_path)?;
        Ok(Self { queue: queue(queue_name)?, name })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let params = Query::<T>::try_from_uri(&parts.uri);
        params.map(|Query(params)| Self(params)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            // `name: what is wrong with it`, where the parser knows the name.
            match text.split_once(": ") {
                Some((name, message)) if !name.contains(' ') => Problem::parameter(name, message),
                _ => Problem::new(Code::InvalidRequest, text),
            }
        })
    }
}

fn queue(name: String) -> Result<QueueName, Problem> {
    QueueName::new(name)
        .map_err(|error| Problem::of_fields(Code::InvalidRequest, vec![FieldError::new("queue", error)]))
}

fn bad_path(rejection: PathRejection) -> Problem {
    Problem::new(Code::InvalidRequest, rejection.body_text())
}

/// In which direction a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    Asc,
    Desc,
}

impl Order {
    /// Whether a list is shown from its beginning; as it usually is when nothing was asked for.
    pub(crate) fn ascending(asked: Option<Self>, usually: bool) -> bool {
        asked.map_or(usually, |order| order == Self::Asc)
    }
}

/// How many jobs a page has: 1 to 200, 50 unless given. A page may be as large as that many jobs' data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Limit(pub(crate) u32);

impl Limit {
    pub(crate) const MAX: u32 = 200;
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let limit = text.parse().ok().filter(|limit| (1..=Self::MAX).contains(limit));
        limit.map(Self).ok_or_else(|| format!("`{text}` is not a whole number from 1 to {}", Self::MAX))
    }
}
