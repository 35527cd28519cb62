//! Questions to our own services over HTTP.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::config::Config;

use crate::failure::{Failure, Result};

/// Far above what a healthy service on this machine takes.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The JSON at `url`.
pub(super) fn get(url: &str) -> Result<Value> {
    let answer = agent(true).get(url).call().and_then(|mut response| response.body_mut().read_json());
    answer.map_err(|error| Failure::answer(format!("GET {url}"), error))
}

/// The status at `url`; none while nothing answers.
pub(super) fn status(url: &str) -> Option<u16> {
    agent(false).get(url).call().ok().map(|response| response.status().as_u16())
}

/// Without a proxy, whatever the environment says: these services are here.
fn agent(status_as_error: bool) -> Agent {
    let config = Config::builder().proxy(None).timeout_global(Some(TIME_LIMIT)).http_status_as_error(status_as_error);
    config.build().new_agent()
}
