//! Jobs that a service runs: each attempt is one signed POST, and its answer is the job's end.
//!
//! A service that answers 202 has taken the job over: the job is parked without a slot until the service calls back.

mod address;
mod answer;
mod client;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_core::settings::{Reader, vars};
use operator_core::time::iso;
use operator_core::{Callback, CallbackAnswer, Failure, Json};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Serialize;

use self::answer::Answer;
use self::client::ServiceClient;
pub use self::signature::SigningKey;
use crate::context::now_ms;
use crate::outbound::{failure_of, target};
use crate::{Context, Executor, SystemSettings};

/// How often a service may put one attempt off with `Retry-After` before that counts as its failure.
const MAX_PAUSES: u32 = 100;

/// A service that runs jobs.
#[derive(Debug)]
pub struct Endpoint {
    /// Where jobs are posted to.
    pub url: Url,
    /// Sent along with each.
    pub headers: HeaderMap,
    /// What requests are signed with; without it they are not.
    pub key: Option<SigningKey>,
    /// Whether it may have an address that is not public.
    pub allow_private: bool,
    /// How long it may take to call back; without it a 202 is a failure.
    pub callback_within: Option<Duration>,
    /// The most bytes of an answer.
    pub max_response_bytes: usize,
}

/// What all services of a worker share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a request may take in all.
    pub timeout: Duration,
    /// Where services reach the dispatcher, such as `https://operator.example.com`: callbacks go there.
    pub public_url: Option<Url>,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect_timeout: seconds(5), timeout: seconds(30), public_url: None }
    }
}

impl ServiceSettings {
    /// Reads `OPERATOR_PUBLIC_URL` and takes the time limits from what `system.http` has; what is wrong the reader
    /// reports.
    pub fn read(reader: &mut Reader<'_>, system: &SystemSettings) -> Self {
        let public_url = reader.text(&vars::OPERATOR_PUBLIC_URL).and_then(|text| match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
            _ => {
                reader.problem(&vars::OPERATOR_PUBLIC_URL, format!("`{text}` is not a URL of http or https"));
                None
            }
        });
        Self { connect_timeout: system.http_connect_timeout, timeout: system.http_timeout, public_url }
    }
}

/// Runs jobs by posting them. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    endpoint: Endpoint,
    settings: ServiceSettings,
    client: ServiceClient,
}

/// What a service is told of a job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    id: &'a str,
    queue: &'a str,
    name: &'a str,
    attempt: u32,
    max_attempts: u32,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackAddress>,
    data: &'a Json,
}

/// Where the end of a job may be posted to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallbackAddress {
    url: String,
    expires_at: String,
}

impl Service {
    /// The executor of jobs that `endpoint` runs.
    ///
    /// # Errors
    /// When the endpoint may call back and nobody said where.
    pub fn new(endpoint: Endpoint, settings: ServiceSettings) -> Result<Self, String> {
        if endpoint.callback_within.is_some() && settings.public_url.is_none() {
            return Err("callback needs OPERATOR_PUBLIC_URL: set it to where services reach the dispatcher".to_owned());
        }
        let client = ServiceClient::new(endpoint.allow_private, settings.connect_timeout);
        Ok(Self(Arc::new(Parts { endpoint, settings, client })))
    }
}

impl Parts {
    async fn run(&self, context: Context) -> Result<Json, Failure> {
        let callback = match self.endpoint.callback_within {
            Some(within) => Some(context.expect_callback(within).await?),
            None => None,
        };
        match callback.as_ref().and_then(|callback| callback.answer.clone()) {
            Some(CallbackAnswer::Result(result)) => return Ok(result),
            Some(CallbackAnswer::Failure(failure)) => return Err(failure.into()),
            None => {}
        }
        if let Some(expired) = callback.as_ref().filter(|callback| callback.expires_ms <= now_ms()) {
            let at = iso(expired.expires_ms);
            return Err(Failure::retryable(format!("the service did not call back by {at}")));
        }
        let stopped = context.stopped();
        let cancelled = context.cancelled().clone();
        let answer = tokio::select! {
            answer = self.post(&context, callback.as_ref()) => answer?,
            () = cancelled.cancelled() => return Err(stopped),
        };
        match (answer, callback) {
            (Answer::Done(result), _) => Ok(result),
            (Answer::Accepted, Some(callback)) => Err(context.wait_for_callback(&callback).await),
            (Answer::Accepted, None) => Err(Failure::unrecoverable(
                "the service answered 202 and the job type has no callback: set callback in its manifest, or answer \
                 with the result",
            )),
            (Answer::Later(pause), _) => Err(put_off(&context, pause).await),
        }
    }

    async fn post(&self, context: &Context, callback: Option<&Callback>) -> Result<Answer, Failure> {
        let Endpoint { url, headers, max_response_bytes, .. } = &self.endpoint;
        let target = target(&Method::POST, url);
        let body = Json::encode(&self.request(context, callback))?;
        let client = self.client.to(url).await?;
        let request = client
            .post(url.clone())
            .timeout(self.settings.timeout)
            .headers(headers.clone())
            .headers(self.own_headers(context, body.as_str())?)
            .body(body.as_str().to_owned());
        let response = request.send().await.map_err(|error| failure_of(error, &target))?;
        answer::read(response, &target, *max_response_bytes).await
    }

    fn request<'a>(&self, context: &'a Context, callback: Option<&Callback>) -> Request<'a> {
        let address = |(base, callback): (&Url, &Callback)| CallbackAddress {
            url: callback_url(base, context, &callback.token),
            expires_at: iso(callback.expires_ms),
        };
        Request {
            id: context.job_id(),
            queue: context.queue(),
            name: context.name(),
            attempt: context.attempt(),
            max_attempts: context.max_attempts(),
            timestamp: iso(context.timestamp_ms()),
            callback: self.settings.public_url.as_ref().zip(callback).map(address),
            data: context.data(),
        }
    }

    /// What proves the sender, and lets the service know a repetition.
    fn own_headers(&self, context: &Context, body: &str) -> Result<HeaderMap, Failure> {
        let id = format!("{}:{}:{}", context.queue(), context.job_id(), context.attempt());
        let now_s = now_ms() / 1000;
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: String| -> Result<(), Failure> {
            let value = HeaderValue::try_from(value)
                .map_err(|_| Failure::unrecoverable("the id of the job cannot be sent in a header: use plain text"))?;
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        if let Some(trace) = context.traceparent() {
            add("traceparent", trace)?;
        }
        if let Some(key) = &self.endpoint.key {
            add("webhook-signature", key.sign(&id, now_s, body))?;
        }
        add("webhook-timestamp", now_s.to_string())?;
        add("idempotency-key", format!("\"{id}\""))?;
        add("webhook-id", id)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}

impl Executor for Service {
    fn execute(&self, context: Context) -> BoxFuture<'static, Result<Json, Failure>> {
        let parts = Arc::clone(&self.0);
        async move { parts.run(context).await }.boxed()
    }
}

fn callback_url(base: &Url, context: &Context, token: &str) -> String {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["queues", context.queue(), "jobs", context.job_id(), "callback", token]);
    }
    url.into()
}

/// Lets the job be asked for again after `pause`, unless the service has said so too often: every attempt ends.
async fn put_off(context: &Context, pause: Duration) -> Failure {
    let job = context.job();
    let pauses = job.attempts_started.saturating_sub(job.attempts_made);
    if pauses > MAX_PAUSES {
        return Failure::retryable(format!("the service put the job off {MAX_PAUSES} times in one attempt"));
    }
    context.move_to_delayed(pause).await
}
