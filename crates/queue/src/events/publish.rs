//! Custom events: whoever listens to the queue, in Rust or in Node, hears them among the queue's own.

use super::EventId;
use super::event::WIRE_NAMES;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, RedisError};

/// How many entries the stream keeps after a custom event by default: BullMQ's number, and fewer than the queue's own.
const MAX_EVENTS: u64 = 1000;

impl Queue {
    /// Writes an event called `name` with these fields. The stream, which the queue's own events share, keeps about
    /// `max_events` entries, or BullMQ's default of 1000.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for a name of the wire and for a field called `event`; [`QueueError::Redis`].
    pub async fn publish_event(
        &self,
        name: &str,
        fields: &[(&str, &str)],
        max_events: Option<u64>,
    ) -> Result<EventId, QueueError> {
        if name.is_empty() || WIRE_NAMES.contains(&name) {
            let problem = format!("`{name}` is not free: choose a name that no event of a queue has");
            return Err(QueueError::InvalidArgument { field: "name", problem });
        }
        if fields.iter().any(|(field, _)| *field == "event") {
            let problem = "`event` holds the name: call the field something else".to_owned();
            return Err(QueueError::InvalidArgument { field: "fields", problem });
        }
        let max = max_events.unwrap_or(MAX_EVENTS).into();
        let mut args: Vec<Arg> = vec![self.keys.key("events").into(), "MAXLEN".into(), "~".into(), max];
        args.extend::<[Arg; 3]>(["*".into(), "event".into(), name.into()]);
        args.extend(fields.iter().flat_map(|(field, value)| [Arg::from(*field), Arg::from(*value)]));
        let id = self.redis.command("XADD", args).await?.text().and_then(|id| id.parse().ok());
        id.ok_or_else(|| RedisError::Answer { what: "XADD" }.into())
    }
}
