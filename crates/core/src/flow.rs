//! A tree of jobs, in any number of queues, where each waits for those below it.

use serde::{Deserialize, Serialize};

use crate::{JobOptions, Json, QueueName};

/// A job of a flow with the jobs it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlowJob {
    /// Picks the job type that runs it.
    pub name: String,
    /// The queue it goes into.
    #[serde(alias = "queue")]
    pub queue_name: QueueName,
    /// What the job works on.
    #[serde(default)]
    pub data: Json,
    /// How it wants to be run.
    #[serde(default, alias = "options")]
    pub opts: JobOptions,
    /// The jobs it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<FlowJob>,
}

impl FlowJob {
    /// A job of `queue_name` called `name` that works on `data` and waits for nothing.
    #[must_use]
    pub fn new(queue_name: QueueName, name: impl Into<String>, data: impl Into<Json>) -> Self {
        Self { name: name.into(), queue_name, data: data.into(), opts: JobOptions::default(), children: Vec::new() }
    }

    /// The same job with other options.
    #[must_use]
    pub fn with(mut self, opts: JobOptions) -> Self {
        self.opts = opts;
        self
    }

    /// The same job, waiting for `child`, too.
    #[must_use]
    pub fn waiting_for(mut self, child: FlowJob) -> Self {
        self.children.push(child);
        self
    }
}
