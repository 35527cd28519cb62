//! An event of a queue as the API shows it: under BullMQ's names.

use std::collections::BTreeMap;

use operator_core::Json;
use operator_queue::events::Event;
use serde::Serialize;
use utoipa::ToSchema;

/// What happened. Which fields there are depends on the event; they have BullMQ's names.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub(crate) struct EventView<'a> {
    /// The name: added, waiting, delayed, waiting-children, active, completed, failed, retries-exhausted, stalled,
    /// progress, paused, resumed, drained, removed, cleaned, duplicated, deduplicated, debounced, or a custom one.
    #[schema(example = "completed")]
    event: &'a str,
    /// The job it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a str>,
    /// The job's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The state the job left.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<&'a str>,
    /// When a delayed job is due, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    returnvalue: Option<&'a Json>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_reason: Option<&'a str>,
    /// The attempts that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_made: Option<u32>,
    /// What the job reported of its progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    data: Option<&'a Json>,
    /// How many jobs were cleaned away.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// The deduplication id.
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<&'a str>,
    /// The job that was not added.
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplicated_job_id: Option<&'a str>,
    /// The deduplication id, in the words of BullMQ 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    debounce_id: Option<&'a str>,
    /// The fields of a custom event.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<BTreeMap<&'a str, &'a str>>,
}

impl<'a> EventView<'a> {
    /// The name, where it can be the name of an event in a stream of them: one line of text.
    pub(crate) fn name(&self) -> Option<&'a str> {
        Some(self.event).filter(|name| !name.is_empty() && !name.contains(char::is_control))
    }

    /// As one line.
    pub(crate) fn line(&self) -> String {
        let text = serde_json::to_string(self).expect("texts and numbers can be JSON");
        // Only the space between the values of others' JSON can hold them: within text they would be escaped.
        text.replace(['\n', '\r'], " ")
    }
}

impl<'a> From<&'a Event> for EventView<'a> {
    fn from(event: &'a Event) -> Self {
        let named = |name| Self { event: name, job_id: event.job_id(), ..Self::default() };
        let moved = |name, prev: &'a Option<String>| Self { prev: prev.as_deref(), ..named(name) };
        match event {
            Event::Added { name, .. } => Self { name: Some(name), ..named("added") },
            Event::Waiting { prev, .. } => moved("waiting", prev),
            Event::Delayed { due_ms, .. } => Self { delay: Some(*due_ms), ..named("delayed") },
            Event::WaitingChildren { prev, .. } => moved("waiting-children", prev),
            Event::Active { prev, .. } => moved("active", prev),
            Event::Completed { return_value, prev, .. } => {
                Self { returnvalue: Some(return_value), ..moved("completed", prev) }
            }
            Event::Failed { reason, prev, .. } => Self { failed_reason: Some(reason), ..moved("failed", prev) },
            Event::RetriesExhausted { attempts_made, .. } => {
                Self { attempts_made: Some(*attempts_made), ..named("retries-exhausted") }
            }
            Event::Stalled { .. } => named("stalled"),
            Event::Progress { data, .. } => Self { data: Some(data), ..named("progress") },
            Event::Paused => named("paused"),
            Event::Resumed => named("resumed"),
            Event::Drained => named("drained"),
            Event::Removed { prev, .. } => moved("removed", prev),
            Event::Cleaned { count } => Self { count: Some(*count), ..named("cleaned") },
            Event::Duplicated { .. } => named("duplicated"),
            Event::Deduplicated { deduplication_id, deduplicated_job_id, .. } => Self {
                deduplication_id: Some(deduplication_id),
                deduplicated_job_id: deduplicated_job_id.as_deref(),
                ..named("deduplicated")
            },
            Event::Debounced { debounce_id, .. } => Self { debounce_id: Some(debounce_id), ..named("debounced") },
            Event::Other { name, fields } => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                Self { fields: Some(fields), ..named(name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_under_bullmqs_names() {
        let value = Json::parse("{\n\"a\": \"b\\n\"}").unwrap();
        let event = Event::Completed { job_id: "7".into(), return_value: value, prev: Some("active".into()) };
        let view = EventView::from(&event);
        assert_eq!(view.name(), Some("completed"));
        let line = r#"{"event":"completed","jobId":"7","prev":"active","returnvalue":{ "a": "b\n"}}"#;
        assert_eq!(view.line(), line);
    }

    #[test]
    fn a_custom_event_keeps_its_fields_and_a_name_of_two_lines_names_nothing() {
        let event = Event::Other { name: "a\nb".into(), fields: vec![("jobId".into(), "7".into())] };
        let view = EventView::from(&event);
        assert_eq!(view.name(), None);
        assert_eq!(view.line(), r#"{"event":"a\nb","jobId":"7","fields":{"jobId":"7"}}"#);
    }
}
