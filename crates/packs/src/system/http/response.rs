//! What is kept of a response: never more of the body than the limit, not even in passing.

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use operator_core::Failure;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::Serialize;

use super::client::failure_of;
use super::request::Expected;

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

/// The beginning of a body.
struct Beginning {
    bytes: Vec<u8>,
    truncated: bool,
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

impl Beginning {
    /// Reads up to `limit` bytes; the connection is closed on a body that has more.
    async fn read(response: &mut Response, limit: usize) -> reqwest::Result<Self> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = limit - bytes.len();
            if chunk.len() > room {
                bytes.extend_from_slice(&chunk[..room]);
                return Ok(Self { bytes, truncated: true });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self { bytes, truncated: false })
    }

    /// As text if it is text, else in base64. A character that the limit cut in two is dropped.
    fn encoded(self) -> (String, Option<&'static str>) {
        let text_len = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.len(),
            Err(error) if self.truncated && error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return (STANDARD.encode(&self.bytes), Some("base64")),
        };
        (String::from_utf8_lossy(&self.bytes[..text_len]).into_owned(), None)
    }

    /// As the end of a failure's message.
    fn shown(self) -> String {
        let ellipsis = if self.truncated { "…" } else { "" };
        match self.encoded() {
            (_, Some(_)) => ": a body that is not text".to_owned(),
            (text, None) if text.is_empty() => String::new(),
            (text, None) => format!(": {text}{ellipsis}"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8], truncated: bool) -> (String, Option<&'static str>) {
        Beginning { bytes: bytes.to_vec(), truncated }.encoded()
    }

    #[test]
    fn text_stays_text_even_when_the_limit_cuts_a_character() {
        assert_eq!(encoded("größe".as_bytes(), false), ("größe".to_owned(), None));
        assert_eq!(encoded(&"größe".as_bytes()[..3], true), ("gr".to_owned(), None));
    }

    #[test]
    fn what_is_not_text_is_encoded() {
        assert_eq!(encoded(&[0xff, 0x00], false), ("/wA=".to_owned(), Some("base64")));
        assert_eq!(encoded(&[b'a', 0xff, b'b'], true).1, Some("base64"));
        assert_eq!(encoded(&"größe".as_bytes()[..3], false).1, Some("base64"));
    }
}
