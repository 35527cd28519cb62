//! A scheduler as the API shows it. `repeat` and `template` can be sent as they are shown.

use operator_core::time::iso;
use operator_queue::{JobTemplate, Repeat, Scheduler};
use serde::Serialize;
use utoipa::ToSchema;

/// A scheduler.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Scheduler)]
pub(crate) struct SchedulerView {
    /// Its id, unique within its queue.
    #[schema(example = "nightly")]
    id: String,
    /// When its current job is or was due; in the past once the schedule has ended.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// How many jobs it has made; null for a repeatable job of BullMQ 5.
    iterations: Option<u64>,
    /// When it makes them.
    #[schema(value_type = Object)]
    repeat: Repeat,
    /// What they are.
    #[schema(value_type = Object)]
    template: JobTemplate,
}

impl From<Scheduler> for SchedulerView {
    fn from(scheduler: Scheduler) -> Self {
        let (data, opts) = scheduler.template.map_or((None, None), |template| (template.data, template.opts));
        let template =
            JobTemplate { name: Some(scheduler.name), data: data.unwrap_or_default(), opts: opts.unwrap_or_default() };
        Self {
            id: scheduler.id,
            next_at: scheduler.next_ms.map(iso),
            iterations: scheduler.iteration_count,
            // A pattern's hash has an offset of 0 on the wire, which means nothing.
            repeat: Repeat { offset_ms: scheduler.repeat.offset_ms.filter(|ms| *ms > 0), ..scheduler.repeat },
            template,
        }
    }
}
