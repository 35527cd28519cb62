//! Schedulers and their jobs.

use super::view::{QueueView, number};
use super::{Findings, Invariant};

/// Where a job that has not started can be.
const BEFORE: [&str; 4] = ["wait", "paused", "prioritized", "delayed"];

pub(super) fn check(queue: &QueueView<'_>, found: &mut Findings) {
    for (scheduler, slot) in queue.sorted("repeat") {
        let suffix = format!("repeat:{scheduler}");
        let Some(settings) = queue.hash(&suffix) else {
            found.add(Invariant::Scheduler, queue, &suffix, "is listed, but has no settings");
            continue;
        };
        let count = number(settings, "ic").unwrap_or_default();
        found.unless(count >= 1.0, Invariant::Scheduler, queue, &suffix, "has never made a job");
        let fresh: Vec<&str> = queue
            .jobs()
            .into_iter()
            .filter(|(id, fields)| {
                fields.get("rjk").is_some_and(|of| of == scheduler)
                    && !fields.contains_key("ats")
                    && queue.is_in(id, &BEFORE)
            })
            .map(|(id, _)| id)
            .collect();
        found.unless(
            fresh.len() <= 1,
            Invariant::Scheduler,
            queue,
            &suffix,
            &format!("has several jobs: {}", fresh.join(", ")),
        );
        let is_over = number(settings, "limit").is_some_and(|limit| count >= limit)
            || number(settings, "endDate").is_some_and(|end| slot >= end)
            || number(settings, "every")
                .zip(number(settings, "endDate"))
                .is_some_and(|(every, end)| slot + every > end);
        let current = format!("{suffix}:{slot:.0}");
        if !is_over {
            found.unless(fresh.contains(&current.as_str()), Invariant::Scheduler, queue, &suffix, "has no job to come");
        }
    }
}
