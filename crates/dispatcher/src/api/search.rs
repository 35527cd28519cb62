//! All jobs, in pages: first the unfinished ones from Redis, then the finished ones from the history.
//!
//! The two parts differ in kind. The history is a list in which every record has its place: its pages have neither gaps
//! nor doubles. The queues are lists that move while they are read: a page is what stood there at that moment.

use axum::Json;
use axum::extract::State;
use operator_core::{JobState, JobStatus, QueueName};
use operator_queue::{Queue, Range};
use operator_store::RecordFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use super::in_queue::JobPage;
use crate::app::App;
use crate::input::{Limit, Params, Place};
use crate::problem::{Problem, ProblemDocument};
use crate::view::JobView;

/// The states of unfinished jobs, in the order in which they are shown.
const LIVE: [JobState; 5] =
    [JobState::Active, JobState::Waiting, JobState::Prioritized, JobState::Delayed, JobState::WaitingChildren];

/// How many unfinished jobs one request looks at. A filter that few of them pass gives short pages, not a long wait.
const MAX_LOOKED_AT: u64 = 2000;

/// How many jobs are read at a time when only some of them pass.
const SCAN_STEP: u64 = 100;

/// What all jobs may be filtered by.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParams {
    /// Only of this queue.
    #[param(example = "default")]
    queue: Option<String>,
    /// Only of this name.
    #[param(example = "system.echo")]
    name: Option<String>,
    /// Only with this status: pending, active, retrying, completed, failed or cancelled; queued, running and succeeded
    /// mean pending, active and completed.
    #[param(example = "failed")]
    status: Option<String>,
    /// How many jobs a page has, 1 to 200; 50 unless given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Where to go on: the `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Which jobs a page shows.
struct Filter {
    queue: Option<QueueName>,
    name: Option<String>,
    status: Option<JobStatus>,
}

/// All jobs: the unfinished ones as they stand in their queues, then the finished ones of the history, those that
/// finished last first.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs",
    params(SearchParams),
    responses(
        (status = 200, body = JobPage, description = "A page of jobs"),
        (status = 400, body = ProblemDocument, content_type = "application/problem+json", description = "invalid_request"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, database_unavailable"),
    )
)]
pub(crate) async fn search(State(app): State<App>, Params(params): Params<SearchParams>) -> Answer<JobPage> {
    let mut page = Page { limit: params.limit.0 as usize, jobs: Vec::new(), next: place(params.cursor.as_deref())? };
    let filter = Filter::of(params)?;
    page.add_live(&app, &filter).await?;
    page.add_stored(&app, &filter).await?;
    Ok(Json(JobPage { jobs: page.jobs, next_cursor: page.next.map(|next| next.to_string()) }))
}

fn place(cursor: Option<&str>) -> Result<Option<Place>, Problem> {
    cursor.map(str::parse).transpose().map_err(|message: String| Problem::parameter("cursor", message))
}

impl Filter {
    fn of(params: SearchParams) -> Result<Self, Problem> {
        let queue = params.queue.map(QueueName::new).transpose();
        let status = params.status.as_deref().map(str::parse).transpose();
        Ok(Self {
            queue: queue.map_err(|error| Problem::parameter("queue", error))?,
            name: params.name,
            status: status.map_err(|message: String| Problem::parameter("status", message))?,
        })
    }

    /// The lists that may hold jobs which pass, from `from` on; none when only finished jobs do.
    async fn live_lists(&self, app: &App, from: Option<(&QueueName, JobState)>) -> Result<Vec<List>, Problem> {
        let states: &[JobState] = match self.status {
            None => &LIVE,
            Some(JobStatus::Active) => &LIVE[..1],
            Some(JobStatus::Pending | JobStatus::Retrying) => &LIVE[1..],
            Some(JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled) => return Ok(Vec::new()),
        };
        let mut queues = match &self.queue {
            Some(name) => vec![app.queue(name.clone())],
            None => app.queues().await?,
        };
        queues.retain(|queue| from.is_none_or(|(first, _)| queue.name() >= first));
        let counts = futures::future::try_join_all(queues.iter().map(Queue::counts)).await?;
        let rank = |state| LIVE.iter().position(|live| *live == state);
        let lists = queues.into_iter().zip(counts).flat_map(|(queue, counts)| {
            states.iter().map(move |state| List { queue: queue.clone(), state: *state, jobs: counts.of(*state) })
        });
        let is_ahead = |list: &List| {
            from.is_none_or(|(queue, state)| list.queue.name() > queue || rank(list.state) >= rank(state))
        };
        Ok(lists.filter(|list| list.jobs > 0 && is_ahead(list)).collect())
    }

    /// Whether some jobs of a list may not pass.
    fn is_selective(&self) -> bool {
        self.name.is_some() || matches!(self.status, Some(JobStatus::Pending | JobStatus::Retrying))
    }

    fn passes(&self, job: &operator_core::Job, state: JobState) -> bool {
        self.name.as_ref().is_none_or(|name| *name == job.name)
            && self.status.is_none_or(|status| status == job.status(state))
    }
}

/// One list of a queue, and how many jobs it has.
struct List {
    queue: Queue,
    state: JobState,
    jobs: u64,
}

impl List {
    fn is(&self, queue: &QueueName, state: JobState) -> bool {
        self.queue.name() == queue && self.state == state
    }

    fn place(&self, first: u64) -> Place {
        Place::Live { queue: self.queue.name().clone(), state: self.state, first }
    }
}

/// A page being filled.
struct Page {
    limit: usize,
    jobs: Vec<JobView>,
    /// Where the next page begins; moves on while this one fills. `None` is the beginning at first and the end at last.
    next: Option<Place>,
}

impl Page {
    fn room(&self) -> usize {
        self.limit - self.jobs.len()
    }

    async fn add_live(&mut self, app: &App, filter: &Filter) -> Result<(), Problem> {
        let (from, mut first) = match self.next.clone() {
            None => (None, 0),
            Some(Place::Live { queue, state, first }) => (Some((queue, state)), first),
            Some(Place::Stored(_)) => return Ok(()),
        };
        let lists = filter.live_lists(app, from.as_ref().map(|(queue, state)| (queue, *state))).await?;
        // The list that the cursor names may have emptied since: then its position means nothing.
        if !lists.first().zip(from).is_some_and(|(list, (queue, state))| list.is(&queue, state)) {
            first = 0;
        }
        let mut looked_at = 0;
        for list in &lists {
            while first < list.jobs {
                self.next = Some(list.place(first));
                if self.room() == 0 || looked_at >= MAX_LOOKED_AT {
                    return Ok(());
                }
                let step = if filter.is_selective() { SCAN_STEP.max(self.room() as u64) } else { self.room() as u64 };
                if let Some(full_at) = self.add_range(list, filter, first, step).await? {
                    self.next = Some(list.place(full_at));
                    return Ok(());
                }
                first += step;
                looked_at += step;
            }
            first = 0;
        }
        self.next = Some(Place::Stored(None));
        Ok(())
    }

    /// Adds the jobs that pass among `step` jobs from `first` on; tells the position at which the page was full.
    async fn add_range(&mut self, list: &List, filter: &Filter, first: u64, step: u64) -> Result<Option<u64>, Problem> {
        let range = Range { first, last: first + step - 1, ascending: true };
        let jobs = list.queue.jobs(list.state, range).await?;
        for (position, job) in (first..).zip(jobs) {
            if filter.passes(&job, list.state) {
                if self.room() == 0 {
                    return Ok(Some(position));
                }
                self.jobs.push(JobView::of_job(job, list.state));
            }
        }
        Ok(None)
    }

    async fn add_stored(&mut self, app: &App, filter: &Filter) -> Result<(), Problem> {
        let Some(Place::Stored(after)) = &self.next else { return Ok(()) };
        if matches!(filter.status, Some(JobStatus::Pending | JobStatus::Active | JobStatus::Retrying)) {
            self.next = None;
            return Ok(());
        }
        if self.room() == 0 {
            return Ok(());
        }
        let after = Place::stored(after).map_err(|message| Problem::parameter("cursor", message))?;
        let records = RecordFilter {
            queue: filter.queue.as_ref().map(ToString::to_string),
            name: filter.name.clone(),
            status: filter.status,
        };
        let room = u32::try_from(self.room()).unwrap_or(Limit::MAX);
        let found = app.store().records(&records, after.as_ref(), room).await?;
        self.jobs.extend(found.records.into_iter().map(JobView::of_record));
        self.next = found.next.map(|cursor| Place::Stored(Some(cursor.to_string())));
        Ok(())
    }
}
