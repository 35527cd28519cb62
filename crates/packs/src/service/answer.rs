//! What a service's answer means to a job.

use std::time::Duration;

use operator_core::{Failure, Json};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use crate::excerpt::Excerpt;
use crate::outbound::{Beginning, failure_of};

/// How much of the body of a failure is shown.
const SHOWN_BYTES: usize = 512;

/// The longest pause a service may ask for: a day.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// The job is done.
    Done(Json),
    /// The service has taken the job over and calls back.
    Accepted,
    /// The service wants to be asked again after this.
    Later(Duration),
}

/// Reads an answer, never more of it than `max_bytes`.
pub(super) async fn read(mut response: Response, target: &str, max_bytes: usize) -> Result<Answer, Failure> {
    let status = response.status();
    if status == StatusCode::ACCEPTED {
        return Ok(Answer::Accepted);
    }
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        && let Some(pause) = pause(&response)
    {
        return Ok(Answer::Later(pause.min(LONGEST_PAUSE)));
    }
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| is_json(kind.as_bytes()));
    let body = Beginning::read(&mut response, max_bytes).await.map_err(|error| failure_of(error, target))?;
    if !status.is_success() {
        return Err(refused(status, target, &String::from_utf8_lossy(&body.bytes)));
    }
    if body.truncated {
        return Err(Failure::unrecoverable(format!(
            "{target} answered with more than {max_bytes} bytes (max_response_bytes): let it answer with a reference"
        )));
    }
    result(body, is_json, target).map(Answer::Done)
}

fn result(body: Beginning, is_json: bool, target: &str) -> Result<Json, Failure> {
    if body.bytes.is_empty() {
        return Ok(Json::null());
    }
    let text = String::from_utf8_lossy(&body.bytes).into_owned();
    if !is_json {
        return Ok(Json::encode(&text)?);
    }
    Json::parse(text).map_err(|error| Failure::retryable(format!("{target} said JSON and answered none: {error}")))
}

/// A client's fault stays one, but for those that name a passing state.
fn refused(status: StatusCode, target: &str, text: &str) -> Failure {
    let shown = Excerpt(text, SHOWN_BYTES);
    let message = if status.is_redirection() {
        format!("{target} answered {status}: redirects to other hosts are not followed; set url to where it leads")
    } else {
        format!("{target} answered {status}: {shown}")
    };
    let passes = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if status.is_server_error() || passes { Failure::retryable(message) } else { Failure::unrecoverable(message) }
}

/// `Retry-After` in seconds or as a date, if there is a usable one.
fn pause(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(std::time::SystemTime::now()).unwrap_or_default())
        }
    }
}

fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}
