//! What requests of this worker to others share: trust, what errors mean, and how much of a body is read.

use std::error::Error;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use operator_core::Failure;
use reqwest::{Method, Response, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// What is said to services that ask who calls.
pub(crate) const USER_AGENT: &str = concat!("operator/", env!("CARGO_PKG_VERSION"));

/// The configuration of TLS, and why no certificate authority could be loaded. Plain HTTP works all the same. The crypto
/// provider is named here and not installed for the process, which belongs to the binary. Reading a hundred certificate
/// files blocks.
pub(crate) fn tls() -> Result<(ClientConfig, Option<String>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    match builder()?.with_platform_verifier() {
        Ok(trusting) => Ok((trusting.with_no_client_auth(), None)),
        Err(problem) => {
            let distrusting = builder()?.with_root_certificates(RootCertStore::empty());
            Ok((distrusting.with_no_client_auth(), Some(problem.to_string())))
        }
    }
}

/// What a request to `https` fails with when there is none to trust.
pub(crate) fn distrustful(problem: &str) -> Failure {
    Failure::retryable(format!(
        "https needs the certificate authorities of the system and none were found ({problem}): install the package \
         ca-certificates, then restart the worker"
    ))
}

/// Method and URL for messages: what may be secret in a URL (user, password, query) is left out.
pub(crate) fn target(method: &Method, url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let _no_host = shown.set_username("").and_then(|()| shown.set_password(None));
    format!("{method} {shown}")
}

/// The failure of a request that got no whole response. The URL is left out of the cause: it may hold secrets.
pub(crate) fn failure_of(error: reqwest::Error, target: &str) -> Failure {
    let error = error.without_url();
    let cause = root_cause(&error);
    let happened = match () {
        () if error.is_redirect() => "was redirected in vain",
        () if error.is_timeout() && error.is_connect() => "got no connection in time",
        () if error.is_timeout() => "got no answer in time",
        () if error.is_connect() => "got no connection",
        () => "failed",
    };
    let message = format!("{target} {happened}: {cause}");
    Failure { message, ..Failure::from(error) }
}

/// The last link of the chain is the only one that says something: the others name layers.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The beginning of a body.
pub(crate) struct Beginning {
    pub(crate) bytes: Vec<u8>,
    pub(crate) truncated: bool,
}

impl Beginning {
    /// Reads up to `limit` bytes; the connection is closed on a body that has more.
    pub(crate) async fn read(response: &mut Response, limit: usize) -> reqwest::Result<Self> {
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
    pub(crate) fn encoded(self) -> (String, Option<&'static str>) {
        let text_len = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.len(),
            Err(error) if self.truncated && error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return (STANDARD.encode(&self.bytes), Some("base64")),
        };
        (String::from_utf8_lossy(&self.bytes[..text_len]).into_owned(), None)
    }

    /// As the end of a failure's message.
    pub(crate) fn shown(self) -> String {
        let ellipsis = if self.truncated { "…" } else { "" };
        match self.encoded() {
            (_, Some(_)) => ": a body that is not text".to_owned(),
            (text, None) if text.is_empty() => String::new(),
            (text, None) => format!(": {text}{ellipsis}"),
        }
    }
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
