//! The handlers, by what they are about. Each reads its input, asks the queues or the history, and answers or returns a
//! problem; which address leads to which is in `routes`.

pub(crate) mod add;
pub(crate) mod by_id;
pub(crate) mod callback;
pub(crate) mod cancel;
pub(crate) mod change;
pub(crate) mod deduplication;
pub(crate) mod docs;
pub(crate) mod events;
pub(crate) mod flows;
pub(crate) mod in_queue;
pub(crate) mod insight;
pub(crate) mod limits;
pub(crate) mod maintenance;
pub(crate) mod packs;
pub(crate) mod progress;
pub(crate) mod queues;
pub(crate) mod scheduler;
pub(crate) mod schedulers;
pub(crate) mod search;
pub(crate) mod wait;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// What a handler returns.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// A job that was told what to do next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The job.
    id: String,
    /// Its queue.
    #[schema(example = "default")]
    queue: String,
}

impl Accepted {
    /// 202 with the job's address.
    fn answer(queue: &str, id: &str, location: &str) -> Response {
        let body = Json(Self { id: id.to_owned(), queue: queue.to_owned() });
        (StatusCode::ACCEPTED, [(header::LOCATION, address(location))], body).into_response()
    }
}

/// A header's value; an address is percent-encoded, so it always is one.
fn address(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("/jobs"))
}

/// `id` as a segment of a path.
fn segment(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn an_id_becomes_one_segment_of_a_path() {
        assert_eq!(segment("a-1.b_2~c"), "a-1.b_2~c");
        assert_eq!(segment("repeat:x/é ?#"), "repeat%3Ax%2F%C3%A9%20%3F%23");
    }
}
