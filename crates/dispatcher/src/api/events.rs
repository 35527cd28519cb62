//! The events of a queue as they happen, as Server-Sent Events, and events of one's own.
//!
//! A subscription costs a connection to Redis, so their number is bounded. It holds at most a few pages of events: who
//! reads slowly is waited for, and told when events were trimmed meanwhile.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use operator_queue::events::{Delivery, EventId, Events, EventsOptions, Gap, StartAt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::queues;
use crate::app::App;
use crate::input::{JsonBody, Params, QueuePath};
use crate::openapi::{BodyProblems, InQueue, ParamProblems, QueueProblems};
use crate::problem::{Problem, ProblemDocument};
use crate::view::EventView;

/// How often a silent stream says that it is alive: balancers end connections on which nothing moves for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After how long a client comes back when its stream ends.
const RETRY: Duration = Duration::from_secs(2);

/// Where a stream begins.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// The id of the last event that was read: those after it follow. `0` begins with the oldest that is kept. The
    /// header Last-Event-ID goes before it.
    #[param(example = "1700000000000-0")]
    last_event_id: Option<String>,
}

/// An event to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent {
    /// Its name: not one of the queue's own events.
    #[schema(example = "deployed")]
    name: String,
    /// Its fields: texts.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// An event that was published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    /// Its id in the stream.
    #[schema(example = "1700000000000-0")]
    id: String,
}

/// The events of a queue as they happen, as Server-Sent Events: `id` is good for Last-Event-ID, `event` is the name,
/// `data` is one line of JSON. An event called `gap` says that events before the next one are gone. The stream is
/// trimmed: base nothing on it that must not be missed.
#[utoipa::path(
    get, path = "/queues/{queue}/events", tag = "events",
    params(InQueue, EventParams, ("Last-Event-ID" = Option<String>, Header, description = "As lastEventId")),
    responses(
        QueueProblems, ParamProblems,
        (status = 200, body = EventView, content_type = "text/event-stream", description = "The stream; this is the form of its data"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, too_many_listeners"),
    )
)]
pub(crate) async fn subscribe(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(params.last_event_id.as_deref());
    let start = start(last)?;
    let queue = queues::existing(&app, name).await?;
    let place = app.listener_place()?;
    let events = queue.events(EventsOptions { start, ..EventsOptions::default() }).await?;
    let listener = Listener { events, stopping: app.stopping().clone(), _place: place, is_first: true };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    // A proxy that gathers a whole answer before it passes it on would never pass this one on.
    let headers = [(header::CACHE_CONTROL.as_str(), "no-store"), ("x-accel-buffering", "no")];
    Ok((headers, Sse::new(listener.stream()).keep_alive(keep_alive)).into_response())
}

/// Publishes an event of one's own: whoever listens to the queue hears it.
#[utoipa::path(
    post, path = "/queues/{queue}/events", tag = "events", params(InQueue), request_body = NewEvent,
    responses(QueueProblems, BodyProblems, (status = 202, body = Published, description = "In the stream"))
)]
pub(crate) async fn publish(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    JsonBody(event): JsonBody<NewEvent>,
) -> Result<(StatusCode, Json<Published>), Problem> {
    let queue = queues::existing(&app, name).await?;
    let fields: Vec<(&str, &str)> = event.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let id = queue.publish_event(&event.name, &fields, None).await?;
    Ok((StatusCode::ACCEPTED, Json(Published { id: id.to_string() })))
}

fn start(last: Option<&str>) -> Result<StartAt, Problem> {
    let Some(last) = last.filter(|last| !last.is_empty()) else { return Ok(StartAt::Now) };
    match last.parse::<EventId>() {
        Ok(EventId::START) => Ok(StartAt::Beginning),
        Ok(id) => Ok(StartAt::After(id)),
        Err(message) => Err(Problem::parameter("lastEventId", message)),
    }
}

/// Someone who listens, until they leave or the dispatcher stops.
struct Listener {
    events: Events,
    stopping: CancellationToken,
    /// Given back when they leave.
    _place: OwnedSemaphorePermit,
    is_first: bool,
}

impl Listener {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut listener| async {
            let event = listener.next().await?;
            Some((Ok(event), listener))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.is_first) {
            return Some(Event::default().retry(RETRY).comment("listening"));
        }
        tokio::select! {
            () = self.stopping.cancelled() => None,
            delivery = self.events.next() => match delivery? {
                Delivery::Event(entry) => {
                    let view = EventView::from(&entry.event);
                    let event = Event::default().id(entry.id.to_string()).data(view.line());
                    Some(match view.name() {
                        Some(name) => event.event(name),
                        None => event,
                    })
                }
                Delivery::Gap(Gap { after, missing }) => {
                    let data = json!({"event": "gap", "after": after.to_string(), "missing": missing});
                    Some(Event::default().event("gap").data(data.to_string()))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_after_the_last_event_that_was_read() {
        assert_eq!(start(None).unwrap(), StartAt::Now);
        assert_eq!(start(Some("")).unwrap(), StartAt::Now);
        assert_eq!(start(Some("0")).unwrap(), StartAt::Beginning);
        let id = EventId { ms: 17, sequence: 2 };
        assert_eq!(start(Some("17-2")).unwrap(), StartAt::After(id));
        assert_eq!(start(Some("$")).unwrap_err().errors[0].field, "lastEventId");
    }
}
