//! The one permitted way to wait for something that announces itself by no event: poll a probe under a generous limit.
//! Whatever can be awaited (a line, an event, an exit) is awaited instead.

use std::time::Duration;

/// Short enough that a test does not feel it, long enough that a waiting test leaves the processor to what it waits for.
pub(crate) const INTERVAL: Duration = Duration::from_millis(10);

/// Far beyond what a healthy run needs on the slowest machine: reaching it means that it will never happen.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How many probes fit into [`LIMIT`].
pub(crate) const PROBES: u128 = LIMIT.as_millis() / INTERVAL.as_millis();

/// Asks `probe` until it answers `Some`, and returns that answer.
///
/// # Panics
///
/// When there is no answer within [`LIMIT`]; the message names `what`.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let ask = async {
        loop {
            if let Some(answer) = probe().await {
                return answer;
            }
            pause().await;
        }
    };
    match tokio::time::timeout(LIMIT, ask).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited {} s in vain for: {what}", LIMIT.as_secs()),
    }
}

/// The time between two probes.
pub(crate) async fn pause() {
    tokio::time::sleep(INTERVAL).await;
}
