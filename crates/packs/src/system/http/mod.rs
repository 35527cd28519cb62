//! `system.http`: makes a request and reports the response.
//!
//! `request` checks the input before anything is sent, `client` sends, `response` bounds what is kept. Retries are
//! left to the job's own attempts, so every failure that is not the input's fault is retryable, whatever the status:
//! that is what users of BullMQ expect of `attempts`.

mod client;
mod request;
mod response;

use std::sync::Arc;
use std::time::Instant;

use operator_core::Failure;

use self::client::LazyClient;
use self::request::{Input, Request};
use self::response::Output;
use crate::{Context, SystemSettings};

/// The executor of `system.http`.
pub(super) struct Http {
    max_body_bytes: usize,
    client: LazyClient,
}

impl Http {
    pub(super) fn new(settings: SystemSettings) -> Self {
        Self { max_body_bytes: settings.http_max_body_bytes, client: LazyClient::new(settings) }
    }

    pub(super) async fn run(self: Arc<Self>, input: Input, context: Context) -> Result<Output, Failure> {
        let request = Request::check(input, &context)?;
        tokio::select! {
            outcome = self.send(request) => outcome,
            () = context.cancelled().cancelled() => Err(context.stopped()),
        }
    }

    async fn send(&self, request: Request) -> Result<Output, Failure> {
        let start = Instant::now();
        let target = request.target();
        let expected = request.expected.clone();
        let response = self.client.send(request).await?;
        response::read(response, &expected, &target, self.max_body_bytes, start).await
    }
}
