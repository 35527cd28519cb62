//! The one HTTP client of a worker, made for the first request, and what its errors mean.
//!
//! It follows at most [`MAX_REDIRECTS`] redirects and honours `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.

use std::time::Duration;

use operator_core::Failure;
use reqwest::{Client, Response, redirect};
use tokio::sync::OnceCell;

use super::request::Request;
use crate::SystemSettings;
use crate::outbound::{USER_AGENT, distrustful, failure_of, root_cause, tls};

/// Services redirect once or twice; a longer chain is a loop.
const MAX_REDIRECTS: usize = 10;

/// How long a connection is kept for the next request to the same host: long enough for the burst of a batch, short
/// enough that an idle worker holds none.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// A client that costs an idle worker nothing: certificates are loaded for the first request.
pub(super) struct LazyClient {
    settings: SystemSettings,
    ready: OnceCell<Ready>,
}

struct Ready {
    client: Client,
    /// Why no certificate authority could be loaded. Plain HTTP works all the same.
    no_roots: Option<String>,
}

impl LazyClient {
    pub(super) fn new(settings: SystemSettings) -> Self {
        Self { settings, ready: OnceCell::new() }
    }

    pub(super) async fn send(&self, request: Request) -> Result<Response, Failure> {
        let ready = self.ready.get_or_try_init(|| build(self.settings.clone())).await?;
        if let (Some(problem), "https") = (&ready.no_roots, request.url.scheme()) {
            return Err(distrustful(problem));
        }
        let target = request.target();
        let mut sending = ready.client.request(request.method, request.url).headers(request.headers);
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let request = sending.build().map_err(|error| {
            Failure::unrecoverable(format!("{target} cannot be sent: {}", root_cause(&error.without_url())))
        })?;
        ready.client.execute(request).await.map_err(|error| failure_of(error, &target))
    }
}

/// Reading a hundred certificate files blocks, so it happens off the runtime's threads.
async fn build(settings: SystemSettings) -> Result<Ready, Failure> {
    tokio::task::spawn_blocking(move || {
        let (tls, no_roots) = tls()?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::custom(follow))
            .referer(false)
            .connect_timeout(settings.http_connect_timeout)
            .timeout(settings.http_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .build()?;
        Ok(Ready { client, no_roots })
    })
    .await?
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    match attempt.url().scheme() {
        _ if attempt.previous().len() > MAX_REDIRECTS => attempt.error(format!("more than {MAX_REDIRECTS} redirects")),
        "http" | "https" => attempt.follow(),
        other => {
            let problem = format!("`{other}` is not served");
            attempt.error(problem)
        }
    }
}
