//! Who may ask: with `OPERATOR_API_KEY` set, whoever sends it as `x-api-key` or `Authorization: Bearer`; without it
//! whoever reaches the API, but for the pages of other sites in somebody's browser.

use std::hint::black_box;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::problem::{Code, Problem};

/// What a platform asks without a key: whether the process lives, is ready, and which build it is.
const OPEN: [&str; 5] = ["/health", "/livez", "/ready", "/readyz", "/version"];

/// Lets a request pass that carries the key, or goes where none is needed.
pub(crate) async fn require(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(key) = &app.settings().key else {
        if !request.method().is_safe() && is_of_foreign_page(request.headers()) {
            let detail = "a page of another site asks for a change, and no key is set: set OPERATOR_API_KEY";
            return Problem::new(Code::ForeignPage, detail).into_response();
        }
        return next.run(request).await;
    };
    let path = request.uri().path();
    let is_open = OPEN.contains(&path) || is_callback(path);
    if is_open || given(request.headers()).any(|given| is_same(given, key.expose().as_bytes())) {
        return next.run(request).await;
    }
    let detail = "send the key as x-api-key or as Authorization: Bearer";
    Problem::new(Code::Unauthorized, detail).into_response()
}

/// Whether the address is that of a callback, which carries a token of its own.
fn is_callback(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    matches!(segments[..], ["", "queues", _, "jobs", _, "callback", _])
}

/// Whether a page that this API did not serve sends the request. A browser sends some without asking whether it may: it
/// says so in `Sec-Fetch-Site`, or, where the connection is not trustworthy to it, in `Origin` only. Programs send neither.
fn is_of_foreign_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).map_or(&[][..], |host| host.as_bytes());
    let is_own = |scheme: &[u8]| !host.is_empty() && origin.as_bytes().strip_prefix(scheme) == Some(host);
    !is_own(b"http://") && !is_own(b"https://")
}

/// Every key the request carries.
fn given(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let own = headers.get_all("x-api-key").iter().map(|value| value.as_bytes());
    let bearer = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
    });
    own.chain(bearer)
}

/// Compares in a time that depends on the length of what was given only, so that nobody can guess byte by byte.
fn is_same(given: &[u8], key: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != key.len() || key.is_empty());
    for (byte, expected) in given.iter().zip(key.iter().cycle()) {
        difference |= black_box(byte ^ expected);
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_the_key() {
        assert!(is_same(b"secret", b"secret"));
        for wrong in [&b""[..], b"s", b"secre", b"secrets", b"secretsecret", b"Secret"] {
            assert!(!is_same(wrong, b"secret"), "{wrong:?}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_told_from_ours_and_from_programs() {
        let is_foreign = |given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:8080".parse().unwrap());
            for (name, value) in given {
                headers.insert(*name, value.parse().unwrap());
            }
            is_of_foreign_page(&headers)
        };
        for ours in [
            &[][..],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:8080")],
            &[("origin", "https://localhost:8080")],
        ] {
            assert!(!is_foreign(ours), "{ours:?}");
        }
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
        ] {
            assert!(is_foreign(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "one".parse().unwrap());
        headers.insert(header::AUTHORIZATION, "bearer  two ".parse().unwrap());
        assert_eq!(given(&headers).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
        headers.insert(header::AUTHORIZATION, "Basic dHdv".parse().unwrap());
        headers.remove("x-api-key");
        assert_eq!(given(&headers).count(), 0);
    }
}
