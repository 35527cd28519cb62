//! The client of one job type's service: made for its first request, and used for all that follow.

use std::sync::Arc;
use std::time::Duration;

use operator_core::Failure;
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::OnceCell;

use super::address::{PublicOnly, is_public};
use crate::outbound::{USER_AGENT, distrustful, tls};

/// The most redirects that are followed within the host.
const MAX_REDIRECTS: usize = 5;

/// How long an idle connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// Makes requests to one service.
pub(super) struct ServiceClient {
    allow_private: bool,
    connect_timeout: Duration,
    ready: OnceCell<(Client, Option<String>)>,
}

impl ServiceClient {
    pub(super) fn new(allow_private: bool, connect_timeout: Duration) -> Self {
        Self { allow_private, connect_timeout, ready: OnceCell::new() }
    }

    /// The client, if `url` may be called.
    pub(super) async fn to(&self, url: &Url) -> Result<&Client, Failure> {
        if !self.allow_private {
            check_literal(url)?;
        }
        let (client, no_roots) = self.ready.get_or_try_init(|| build(self.allow_private, self.connect_timeout)).await?;
        match no_roots {
            Some(problem) if url.scheme() == "https" => Err(distrustful(problem)),
            _ => Ok(client),
        }
    }
}

/// An address that is written as such is not looked up.
fn check_literal(url: &Url) -> Result<(), Failure> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(address) if !is_public(address) => {
            Err(Failure::unrecoverable(format!("{address} is no public address: allow_private lets it be called")))
        }
        _ => Ok(()),
    }
}

async fn build(allow_private: bool, connect_timeout: Duration) -> Result<(Client, Option<String>), Failure> {
    tokio::task::spawn_blocking(move || {
        let (tls, no_roots) = tls()?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::custom(stay))
            .referer(false)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(POOL_IDLE);
        if !allow_private {
            // A proxy would look names up by itself.
            builder = builder.dns_resolver(Arc::new(PublicOnly)).no_proxy();
        }
        Ok((builder.build()?, no_roots))
    })
    .await?
}

/// Follows what repeats the same request at the same host; any other redirect is the answer.
fn stay(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let repeats = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let is_same_host = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if repeats && is_same_host && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
}
