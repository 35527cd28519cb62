//! The input of `system.http`, and what of it may be sent.
//!
//! Everything wrong with it fails the job for good and names the field, because no further attempt can mend it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use operator_core::{Failure, Json};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use crate::executor::bad_data;
use crate::{Context, outbound};

/// The methods that make sense for a job: `CONNECT` and `TRACE` are for proxies and debuggers.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::system) struct Input {
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Json>,
    expect_status: Option<ExpectStatus>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "must be a status code or a list of them")]
enum ExpectStatus {
    One(u16),
    Any(Vec<u16>),
}

/// A request that can be sent.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
    pub(super) expected: Expected,
}

/// Which statuses are a success.
#[derive(Clone)]
pub(super) enum Expected {
    /// Any from 200 to 299.
    Success,
    /// One of these.
    Listed(Vec<StatusCode>),
}

impl Request {
    pub(super) fn check(input: Input, context: &Context) -> Result<Self, Failure> {
        Self::checked(input).map_err(|problem| bad_data(context, &problem))
    }

    fn checked(input: Input) -> Result<Self, String> {
        let mut headers = headers(input.headers)?;
        let body = input.body.map(|body| text_of(body, &mut headers)).transpose()?;
        Ok(Self {
            method: method(input.method.as_deref())?,
            url: url(&input.url)?,
            headers,
            body,
            expected: expected(input.expect_status)?,
        })
    }

    /// Method and URL for messages.
    pub(super) fn target(&self) -> String {
        outbound::target(&self.method, &self.url)
    }
}

impl Expected {
    pub(super) fn allows(&self, status: StatusCode) -> bool {
        match self {
            Self::Success => status.is_success(),
            Self::Listed(listed) => listed.contains(&status),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("2xx"),
            Self::Listed(listed) => {
                f.write_str(&listed.iter().map(StatusCode::as_str).collect::<Vec<_>>().join(" or "))
            }
        }
    }
}

fn method(name: Option<&str>) -> Result<Method, String> {
    let Some(name) = name else { return Ok(Method::GET) };
    METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let known = METHODS.map(|method| method.to_string()).join(", ");
        format!("method: `{name}` is not one of {known}")
    })
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("url: it is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("url: `{other}` is not served: use http or https")),
    }
}

fn headers(fields: BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let key = HeaderName::from_str(&name).map_err(|_| format!("headers: `{name}` is not a header name"))?;
        if key == CONTENT_LENGTH || key == TRANSFER_ENCODING {
            return Err(format!("headers.{name}: leave it out, it follows from the body"));
        }
        let value = HeaderValue::from_str(&value)
            .map_err(|_| format!("headers.{name}: the value holds a control character"))?;
        if headers.insert(key, value).is_some() {
            return Err(format!("headers.{name}: given twice in different case"));
        }
    }
    Ok(headers)
}

/// JSON text is sent as the text it holds; any other value as JSON, byte for byte.
fn text_of(body: Json, headers: &mut HeaderMap) -> Result<String, String> {
    if body.as_str().starts_with('"') {
        return body.decode().map_err(|error| format!("body: {error}"));
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(body.as_str().to_owned())
}

fn expected(statuses: Option<ExpectStatus>) -> Result<Expected, String> {
    let codes = match statuses {
        None => return Ok(Expected::Success),
        Some(ExpectStatus::One(code)) => vec![code],
        Some(ExpectStatus::Any(codes)) => codes,
    };
    if codes.is_empty() {
        return Err("expectStatus: the list is empty: leave it out to expect 2xx".to_owned());
    }
    let known = |code: u16| StatusCode::from_u16(code).ok().filter(|_| (200..600).contains(&code));
    let status = |code| known(code).ok_or_else(|| format!("expectStatus: {code} is not a status from 200 to 599"));
    codes.into_iter().map(status).collect::<Result<_, _>>().map(Expected::Listed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(input: Value) -> Result<Request, String> {
        Request::checked(Json::from(input).decode().map_err(|error| error.to_string())?)
    }

    #[test]
    fn a_url_is_all_it_takes() {
        let request = check(json!({"url": "http://localhost/x"})).ok().unwrap();
        assert_eq!((request.target().as_str(), request.body), ("GET http://localhost/x", None));
        assert!(request.expected.allows(StatusCode::NO_CONTENT) && !request.expected.allows(StatusCode::FOUND));
    }

    #[test]
    fn bad_input_names_its_field() {
        let url = "http://localhost";
        for (input, part) in [
            (json!({}), "missing field `url`"),
            (json!({"url": "localhost:80"}), "url: `localhost` is not served"),
            (json!({"url": "not a url"}), "url: it is not a URL: relative URL"),
            (json!({"url": "http://"}), "url: it is not a URL: empty host"),
            (json!({"url": "file:///etc/passwd"}), "url: `file` is not served: use http or https"),
            (json!({"url": url, "method": "FETCH"}), "method: `FETCH` is not one of GET, HEAD"),
            (json!({"url": url, "method": "CONNECT"}), "method: `CONNECT` is not one of"),
            (json!({"url": url, "headers": {"a b": "c"}}), "headers: `a b` is not a header name"),
            (json!({"url": url, "headers": {"a": "b\r\nc: d"}}), "headers.a: the value holds a control character"),
            (json!({"url": url, "headers": {"Content-Length": "3"}}), "headers.Content-Length: leave it out"),
            (json!({"url": url, "headers": {"A": "1", "a": "2"}}), "headers.a: given twice"),
            (json!({"url": url, "expectStatus": 99}), "expectStatus: 99 is not a status"),
            (json!({"url": url, "expectStatus": []}), "expectStatus: the list is empty"),
            (json!({"url": url, "expectStatus": "200"}), "must be a status code or a list of them"),
        ] {
            let problem = check(input.clone()).err().unwrap_or_default();
            assert!(problem.contains(part), "{input}: {problem}");
        }
    }

    #[test]
    fn a_json_body_says_so_and_text_goes_as_it_is() {
        let request = |body| check(json!({"url": "http://localhost", "method": "post", "body": body})).ok().unwrap();
        let json = request(json!({"a": 1}));
        assert_eq!(
            (json.body.as_deref(), &json.headers[CONTENT_TYPE]),
            (Some(r#"{"a":1}"#), &"application/json".parse().unwrap())
        );
        let text = request(json!("a\nb"));
        assert_eq!((text.body.as_deref(), text.headers.get(CONTENT_TYPE)), (Some("a\nb"), None));
        assert_eq!(request(json!(null)).body, None);
    }

    #[test]
    fn a_given_content_type_stays() {
        let input = json!({"url": "http://localhost", "headers": {"Content-Type": "application/ld+json"}, "body": {}});
        assert_eq!(check(input).ok().unwrap().headers[CONTENT_TYPE], "application/ld+json");
    }

    #[test]
    fn a_target_shows_nothing_secret() {
        let request = check(json!({"url": "https://user:pass@host:8443/path?token=1#part"})).ok().unwrap();
        assert_eq!(request.target(), "GET https://host:8443/path");
        let malformed = check(json!({"url": "https://user:pass@host:99999/?token=1"})).err().unwrap();
        assert_eq!(malformed, "url: it is not a URL: invalid port number");
    }
}
