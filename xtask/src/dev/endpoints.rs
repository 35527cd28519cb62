//! What the running services can be asked without changing anything: the addresses the example jobs call.

use serde_json::Value;

use super::http;
use super::services::{QUEUE, Services};
use crate::failure::Result;

/// What every worker answers.
const OF_A_WORKER: [&str; 4] = ["/health", "/ready", "/version", "/metrics"];

/// Every endpoint of the dispatcher's own description that can be read, and those of each worker.
pub(super) fn of(services: &Services) -> Result<Vec<String>> {
    let description = http::get(&format!("{}/openapi.json", services.dispatcher))?;
    let mut urls: Vec<String> = readable(&description).iter().map(|path| services.dispatcher.clone() + path).collect();
    for worker in &services.workers {
        urls.extend(OF_A_WORKER.iter().map(|path| worker.clone() + path));
    }
    Ok(urls)
}

/// The paths that answer a GET with one document. Those of a single job are left out: there is none yet.
fn readable(description: &Value) -> Vec<String> {
    let paths = description["paths"].as_object().into_iter().flatten();
    let answering = paths.filter(|(_, methods)| methods["get"].is_object() && !is_stream(&methods["get"]));
    let mut urls: Vec<String> = answering.map(|(path, _)| path.replace("{queue}", QUEUE)).collect();
    urls.extend(["/openapi.json", "/docs"].map(str::to_owned));
    urls.retain(|path| !path.contains('{'));
    urls.sort();
    urls.dedup();
    urls
}

/// Whether the answer has no end, as a stream of events has none.
fn is_stream(operation: &Value) -> bool {
    operation["responses"]["200"]["content"].get("text/event-stream").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_or_never_ends_is_not_called() {
        let description = serde_json::json!({"paths": {
            "/queues/{queue}": {"get": {}},
            "/queues/{queue}/pause": {"post": {}},
            "/jobs/{id}": {"get": {}},
            "/events": {"get": {"responses": {"200": {"content": {"text/event-stream": {}}}}}},
        }});
        assert_eq!(readable(&description), ["/docs", "/openapi.json", "/queues/default"]);
    }
}
