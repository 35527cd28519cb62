//! A request that stands in front of its server until the test decides what becomes of it.

use std::sync::Arc;

use tokio::sync::watch;

/// A request that a [`super::Proxy`] holds. Dropping it leaves the request where it is.
#[derive(Debug, Default)]
pub struct HeldRequest(Arc<Hold>);

/// How far the request has come: the test and the request's link take turns.
#[derive(Debug, Default)]
pub(super) struct Hold(watch::Sender<Stage>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Awaited,
    Arrived,
    /// The test lets it through on its own connection.
    Forwarded,
    /// The test cuts its connection.
    Parted,
    /// The client's end of the connection is gone.
    Orphaned,
    /// The test lets it through all the same.
    Delivered,
    /// The server has executed it.
    Executed,
}

impl HeldRequest {
    pub(super) fn hold(&self) -> Arc<Hold> {
        Arc::clone(&self.0)
    }

    /// Returns when the request has come.
    pub async fn arrived(&self) {
        self.0.wait_for(Stage::Arrived).await;
    }

    /// Lets the request through.
    pub fn forward(self) {
        self.0.set(Stage::Forwarded);
    }

    /// Resets the client's connection and returns when it is gone. The request itself is still under way.
    pub async fn part(&self) {
        self.0.set(Stage::Parted);
        self.0.wait_for(Stage::Orphaned).await;
    }

    /// Lets a parted request through and returns when the server has executed it.
    pub async fn deliver(self) {
        self.0.set(Stage::Delivered);
        self.0.wait_for(Stage::Executed).await;
    }
}

impl Hold {
    /// Says that the request has come, and waits for the test. Whether it goes on as if nothing had been.
    pub(super) async fn is_let_through(&self) -> bool {
        self.set(Stage::Arrived);
        let mut stages = self.0.subscribe();
        let decided = stages.wait_for(|stage| *stage != Stage::Arrived).await;
        *decided.expect("the sender is part of self") == Stage::Forwarded
    }

    /// Says that the client is gone, and waits until the test lets the request through.
    pub(super) async fn outlive_client(&self) {
        self.set(Stage::Orphaned);
        self.wait_for(Stage::Delivered).await;
    }

    pub(super) fn note_executed(&self) {
        self.set(Stage::Executed);
    }

    fn set(&self, stage: Stage) {
        self.0.send_replace(stage);
    }

    async fn wait_for(&self, stage: Stage) {
        let mut stages = self.0.subscribe();
        let there = stages.wait_for(|current| *current == stage).await;
        drop(there.expect("the sender is part of self"));
    }
}
