//! What happens around every request, whatever its route: an id, a span, a time limit, a net under panics, metrics, and
//! problems written out as documents.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use operator_telemetry::names;
use tracing::Instrument;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// The id of a request, for those who answer beyond its head.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken over from a client: more would only fill the log.
const MAX_REQUEST_ID: usize = 128;

/// Longer than Redis and the database may take together, shorter than balancers wait.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Addresses under which older callers know the same routes.
const ALIASES: [&str; 2] = ["/v1", "/internal"];

/// Outermost of all layers.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.to_str().unwrap_or_default().to_owned()));
    let method = known(request.method().as_str());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default(), method, route);
    let mut response = write_out(guarded(request, next).instrument(span.clone()).await, &id, &span);
    response.headers_mut().insert(REQUEST_ID, id);
    count(route, method, response.status(), started.elapsed());
    response
}

/// Runs the request under the time limit; a panic in it ends this request and nothing else.
async fn guarded(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(TIME_LIMIT, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Problem::internal(format!("a handler panicked: {text}")).into_response()
        }
        Err(_) => {
            let detail = format!("there was no answer within {} s; it may still take effect", TIME_LIMIT.as_secs());
            Problem::new(Code::TimedOut, detail).into_response()
        }
    }
}

/// The client's id when it has one that a log can hold, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= MAX_REQUEST_ID && bytes.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("an id of hexadecimal digits is a header's value")
    })
}

/// A problem gets its document; its cause goes to the log.
fn write_out(mut response: Response, id: &HeaderValue, span: &tracing::Span) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    if let Some(cause) = &problem.cause {
        span.in_scope(|| tracing::error!(code = problem.code.name(), cause, "a request failed"));
    }
    let document = problem.document(id.to_str().unwrap_or_default()).to_string();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The length of the empty body that it had so far.
    headers.remove(header::CONTENT_LENGTH);
    let (parts, _) = response.into_parts();
    Response::from_parts(parts, document.into())
}

fn count(route: String, method: &'static str, status: StatusCode, took: Duration) {
    metrics::histogram!(names::HTTP_REQUEST, "route" => route.clone(), "method" => method).record(took);
    let status = status.as_u16().to_string();
    metrics::counter!(names::HTTP_REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
}

/// A client may invent methods; a label may not grow with them.
fn known(method: &str) -> &'static str {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    METHODS.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

/// Lets `/v1/…` and `/internal/…` mean the same as the address without them. Runs before routing.
pub(crate) fn without_alias(mut request: Request) -> Request {
    let path = request.uri().path();
    let rest = ALIASES.iter().find_map(|alias| path.strip_prefix(alias).filter(|rest| rest.starts_with('/')));
    if let Some(rest) = rest {
        let with_query = request.uri().query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
        if let Ok(uri) = with_query.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

pub(crate) async fn no_route(uri: Uri) -> Problem {
    nothing_at(&uri)
}

pub(crate) fn nothing_at(uri: &Uri) -> Problem {
    Problem::new(Code::RouteNotFound, format!("nothing is at {}: see /docs for what there is", uri.path()))
}

pub(crate) async fn no_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "use one of the methods in the header Allow")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_request_with_a_problem_and_nothing_else() {
        async fn boom() -> StatusCode {
            panic!("secret words")
        }
        let router = Router::new().route("/boom", get(boom)).layer(from_fn(observe));
        for _ in 0..2 {
            let request = Request::builder().uri("/boom").header("x-request-id", "r1").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = to_bytes(response.into_body(), 10_000).await.unwrap();
            let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&document["code"], &document["requestId"]), (&"internal_error".into(), &"r1".into()));
            assert!(!document.to_string().contains("secret words"));
        }
    }

    fn address(path: &str) -> String {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        without_alias(request).uri().to_string()
    }

    #[test]
    fn an_alias_is_a_whole_segment() {
        assert_eq!(address("/v1/jobs?limit=2"), "/jobs?limit=2");
        assert_eq!(address("/internal/queues/a%2Fb"), "/queues/a%2Fb");
        assert_eq!(address("/v1"), "/v1");
        assert_eq!(address("/v12/jobs"), "/v12/jobs");
        assert_eq!(address("/v1/internal/jobs"), "/internal/jobs");
    }

    #[test]
    fn only_ids_that_a_log_can_hold_are_taken_over() {
        let with = |id: &[u8]| {
            let id = HeaderValue::from_bytes(id).unwrap();
            let request = Request::builder().header("x-request-id", id).body(Body::empty()).unwrap();
            request_id(&request)
        };
        assert_eq!(with(b"abc-123"), "abc-123");
        for odd in [&b"a b"[..], b"", &[b'x'; 200], b"caf\xc3\xa9"] {
            assert_eq!(with(odd).len(), 36, "{odd:?}");
        }
    }
}
