//! Bodies of requests: declared as JSON, read whole, and read exactly. What is wrong is named by its path, such as
//! `[3].opts.backoff.jitter`.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use operator_core::Json;
use serde::de::DeserializeOwned;
use serde_json::Deserializer;
use serde_json::error::Category;

use crate::problem::{Code, FieldError, Problem};

/// The body of a request that declares JSON.
pub(crate) struct Body(pub(crate) Bytes);

/// What a request's body says, where it says one thing of a known form.
pub(crate) struct JsonBody<T>(pub(crate) T);

/// What a request's body says, where it may also be left out.
pub(crate) struct OptionalJson<T>(pub(crate) T);

/// What a request's body says, whatever it is.
pub(crate) struct AnyJson(pub(crate) Json);

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

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        read(text(&bytes)?, Code::InvalidRequest).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let whole = Request::from_parts(parts, bytes.into());
        JsonBody::from_request(whole, state).await.map(|JsonBody(body)| Self(body))
    }
}

impl<S: Send + Sync> FromRequest<S> for AnyJson {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        let json = Json::parse(text(&bytes)?.trim_ascii());
        json.map(Self).map_err(|error| Problem::new(Code::InvalidJson, error.to_string()))
    }
}

/// The text of a body.
pub(super) fn text(body: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::new(Code::InvalidJson, format!("the body is not UTF-8: {error}")))?;
    if text.trim_ascii_start().is_empty() {
        return Err(Problem::new(Code::InvalidJson, "the body is empty: send JSON, as docs/API.md shows"));
    }
    Ok(text)
}

/// Reads one thing, or a list of them; tells which it was. The first byte decides, because JSON that is kept as text
/// cannot be read twice.
pub(super) fn one_or_many<T: DeserializeOwned>(body: &[u8], code: Code) -> Result<(Vec<T>, bool), Problem> {
    let text = text(body)?;
    let is_list = text.trim_ascii_start().starts_with('[');
    Ok((if is_list { read(text, code)? } else { vec![read(text, code)?] }, is_list))
}

/// Reads `text` to its end; `code` is for JSON that is not of the form it should have.
pub(super) fn read<T: DeserializeOwned>(text: &str, code: Code) -> Result<T, Problem> {
    let mut deserializer = Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        problem_at(&path, &error.into_inner(), code)
    })?;
    deserializer.end().map_err(|error| problem_at(".", &error, code))?;
    Ok(value)
}

fn problem_at(path: &str, error: &serde_json::Error, code: Code) -> Problem {
    if error.classify() != Category::Data {
        return Problem::new(Code::InvalidJson, error.to_string());
    }
    let text = error.to_string();
    // The field says where better than line and column do.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    Problem::of_fields(code, vec![FieldError::new(exact(path, message), message)])
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
