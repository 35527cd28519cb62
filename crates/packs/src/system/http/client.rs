//! The one HTTP client of a worker, made for the first request, and what its errors mean.
//!
//! It follows at most [`MAX_REDIRECTS`] redirects and honours `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. The crypto
//! provider is named here and not installed for the process, which belongs to the binary.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use operator_core::Failure;
use reqwest::{Client, Response, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::OnceCell;

use super::request::Request;
use crate::SystemSettings;

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
            return Err(Failure::retryable(format!(
                "https needs the certificate authorities of the system and none were found ({problem}): install the \
                 package ca-certificates, then restart the worker"
            )));
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
            .user_agent(concat!("operator/", env!("CARGO_PKG_VERSION")))
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

fn tls() -> Result<(ClientConfig, Option<String>), rustls::Error> {
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

/// The failure of a request that got no whole response. The URL is left out of the cause: it may hold secrets.
pub(super) fn failure_of(error: reqwest::Error, target: &str) -> Failure {
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
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
