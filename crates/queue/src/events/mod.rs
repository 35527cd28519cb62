//! What happens in a queue, as its stream of events tells it: read, waited for, and written to.
//!
//! The stream is trimmed and best effort: base nothing on it that must not be missed.

mod event;
mod id;
mod position;
mod publish;
mod subscriber;

mod wait;
mod watch;

pub use event::{Event, EventEntry};
pub use id::EventId;
pub use position::Gap;
pub use subscriber::{Delivery, Events, EventsOptions, StartAt};
pub use wait::{Finished, WaitError};
pub(crate) use watch::Watches;
