//! What is kept of a response: never more of the body than the limit, not even in passing.

use std::collections::BTreeMap;
use std::time::Instant;

use operator_core::Failure;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::Serialize;

use super::request::Expected;
use crate::outbound::{Beginning, failure_of};

/// How much of the body of an unexpected response the failure shows: an error page's first lines.
const SHOWN_BYTES: usize = 512;

/// The result of `system.http`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::system) struct Output {
    status: u16,
    /// Values that are not text lose the bytes that are not.
    headers: BTreeMap<String, HeaderText>,
    body: String,
    /// `base64` when the body is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    duration_ms: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum HeaderText {
    One(String),
    Repeated(Vec<String>),
}

pub(super) async fn read(
    mut response: Response,
    expected: &Expected,
    target: &str,
    max_body_bytes: usize,
    start: Instant,
) -> Result<Output, Failure> {
    let status = response.status();
    if !expected.allows(status) {
        let shown = Beginning::read(&mut response, SHOWN_BYTES).await.map(Beginning::shown).unwrap_or_default();
        return Err(Failure::retryable(format!("{target} answered {status}, expected {expected}{shown}")));
    }
    let headers = headers(response.headers());
    let beginning = Beginning::read(&mut response, max_body_bytes).await.map_err(|error| failure_of(error, target))?;
    let truncated = beginning.truncated;
    let (body, encoding) = beginning.encoded();
    let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Output { status: status.as_u16(), headers, body, encoding, truncated, duration_ms })
}

fn headers(map: &HeaderMap) -> BTreeMap<String, HeaderText> {
    let texts = |name| map.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    map.keys()
        .map(|name| {
            let mut texts: Vec<_> = texts(name).collect();
            let text = if texts.len() == 1 { HeaderText::One(texts.remove(0)) } else { HeaderText::Repeated(texts) };
            (name.to_string(), text)
        })
        .collect()
}
