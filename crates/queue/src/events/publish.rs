//! Custom events: whoever listens to the queue, in Rust or in Node, hears them among the queue's own.

use operator_core::ids::check_length;

use super::EventId;
use super::event::WIRE_NAMES;
use crate::error::QueueError;
use crate::queue::{MAX_EVENTS, Queue};
use crate::redis::{Arg, RedisError};

impl Queue {
    /// Writes an event called `name` with these fields. The stream, which the queue's own events share, keeps about
    /// `max_events` entries, or as many as the queue keeps anyway. (BullMQ's default is 1000, which would cut away what
    /// others have not read yet.)
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for a name of the wire and for a field called `event`; [`QueueError::InvalidId`]
    /// for a name that is too long; [`QueueError::TooLarge`] when the fields together have more bytes than the data of a
    /// job may have; [`QueueError::Redis`].
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
        check_length("event name", name)?;
        let bytes = fields.iter().map(|(field, value)| (field.len() + value.len()) as u64).sum();
        self.check_bytes(bytes, None)?;
        let max = match max_events {
            Some(max) => max,
            None => self.meta_number("opts.maxLenEvents").await?.unwrap_or(MAX_EVENTS),
        };
        let mut args: Vec<Arg> = vec![self.keys.key("events").into(), "MAXLEN".into(), "~".into(), max.into()];
        args.extend::<[Arg; 3]>(["*".into(), "event".into(), name.into()]);
        args.extend(fields.iter().flat_map(|(field, value)| [Arg::from(*field), Arg::from(*value)]));
        let id = self.redis.command("XADD", args).await?.text().and_then(|id| id.parse().ok());
        id.ok_or_else(|| RedisError::Answer { what: "XADD" }.into())
    }
}
