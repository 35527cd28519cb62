//! Schedulers and their jobs.

use operator_core::schedule::next_cron;

use super::view::{Fields, QueueView, number};
use super::{Circumstances, Findings, Invariant};

/// Where a job that has not started can be.
const BEFORE: [&str; 4] = ["wait", "paused", "prioritized", "delayed"];

pub(super) fn check(queue: &QueueView<'_>, circumstances: &Circumstances, found: &mut Findings) {
    for (scheduler, slot) in queue.sorted("repeat") {
        let suffix = format!("repeat:{scheduler}");
        let Some(settings) = queue.hash(&suffix) else {
            found.add(Invariant::Scheduler, queue, &suffix, "is listed, but has no settings");
            continue;
        };
        let count = number(settings, "ic").unwrap_or_default();
        found.unless(count >= 1.0, Invariant::Scheduler, queue, &suffix, "has never made a job");
        let to_come = |states: &[&str]| -> Vec<&str> {
            let is_to_come = |id: &str, fields: &Fields| {
                fields.get("rjk").is_some_and(|of| of == scheduler)
                    && !fields.contains_key("ats")
                    && queue.is_in(id, states)
            };
            queue.jobs().into_iter().filter(|(id, fields)| is_to_come(id, fields)).map(|(id, _)| id).collect()
        };
        // A job in line may be an older one: of a scheduler that was removed meanwhile, or tried again from the start.
        let delayed = to_come(&["delayed"]);
        found.unless(
            delayed.len() <= 1,
            Invariant::Scheduler,
            queue,
            &suffix,
            &format!("has several jobs: {}", delayed.join(", ")),
        );
        let current = format!("{suffix}:{slot:.0}");
        if !is_over(settings, slot, circumstances.now_ms) {
            let has_one = to_come(&BEFORE).contains(&current.as_str());
            found.unless(has_one, Invariant::Scheduler, queue, &suffix, "has no job to come");
        }
    }
}

/// Whether no slot follows this one.
fn is_over(settings: &Fields, slot: f64, now_ms: u64) -> bool {
    let count = number(settings, "ic").unwrap_or_default();
    if number(settings, "limit").is_some_and(|limit| count >= limit) {
        return true;
    }
    let Some(end) = number(settings, "endDate") else { return false };
    #[expect(clippy::cast_precision_loss, reason = "times of this millennium are exact")]
    let now = now_ms as f64;
    let next = match (number(settings, "every"), settings.get("pattern")) {
        (Some(every), _) => Some((slot + every).max(now)),
        (_, Some(pattern)) => {
            let zone = settings.get("tz").map(String::as_str);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in milliseconds")]
            let next = next_cron(pattern, zone, slot.max(now) as u64).ok().flatten();
            #[expect(clippy::cast_precision_loss, reason = "times of this millennium are exact")]
            next.map(|next| next as f64)
        }
        _ => None,
    };
    slot >= end || next.is_none_or(|next| next > end)
}
