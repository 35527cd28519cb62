//! What workers run: packs, job types, and which waiting jobs nobody can run.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use axum::Json;
use axum::extract::{Path, State};
use operator_core::pack::{Advert, JobTypeRecord, PackInfo};
use operator_queue::catalogue::{adverts, job_type_names, job_types};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::in_queue::offset;
use super::{Answer, queues};
use crate::app::App;
use crate::input::{Limit, Offset, Params, QueuePath};
use crate::openapi::{InQueue, ParamProblems, QueueProblems};
use crate::problem::{Code, Problem, ProblemDocument};
use crate::view::{JobTypeView, PackView};

/// How many waiting jobs are looked at unless given.
const LOOK: u64 = 100;

/// The packs of all live workers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Packs {
    /// One per pack and version.
    packs: Vec<PackView>,
}

/// A pack in every version that a live worker has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackDetail {
    /// Its identity.
    #[schema(example = "infra-devops")]
    id: String,
    /// The highest version first.
    versions: Vec<PackView>,
    /// The job types of all of these versions, each as the highest version that ever ran has it.
    job_types: Vec<JobTypeView>,
}

/// Which job types a page has.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobTypeParams {
    /// How many job types a page has, 1 to 200; 50 unless given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Where to go on: the `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of job types.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobTypePage {
    /// By name.
    job_types: Vec<JobTypeView>,
    /// How many there are.
    total: u64,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// How many waiting jobs are looked at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnservedParams {
    /// How many of the jobs that are next, plain and prioritized each, 1 to 1000; 100 unless given.
    #[param(value_type = Option<u32>)]
    look: Option<String>,
}

/// Waiting jobs that no live worker of the queue runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unserved {
    /// How many waiting jobs were looked at, those that are next.
    looked: u64,
    /// The live workers that serve the queue and say what they run. BullMQ's workers do not say it.
    workers: Vec<String>,
    /// The names without a worker, the most frequent first.
    unserved: Vec<UnservedName>,
}

/// A name that no live worker of the queue runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnservedName {
    name: String,
    /// How many of the jobs that were looked at have it.
    jobs: u64,
    /// Whether any worker ever provided it.
    known: bool,
}

/// The packs that live workers have, by id and version.
#[utoipa::path(
    get, path = "/packs", tag = "packs",
    responses(
        (status = 200, body = Packs, description = "The packs"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn list(State(app): State<App>) -> Answer<Packs> {
    Ok(Json(Packs { packs: grouped(&adverts(app.redis()).await?) }))
}

/// One pack that a live worker has, with the schemas of its job types.
#[utoipa::path(
    get, path = "/packs/{id}", tag = "packs", params(("id" = String, Path, description = "The pack's id")),
    responses(
        (status = 200, body = PackDetail, description = "The pack"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "pack_not_found"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn get(State(app): State<App>, Path(id): Path<String>) -> Answer<PackDetail> {
    let live = adverts(app.redis()).await?;
    let mut versions: Vec<_> = grouped(&live).into_iter().filter(|pack| pack.id == id).collect();
    versions.reverse();
    if versions.is_empty() {
        return Err(Problem::new(Code::PackNotFound, format!("no live worker has the pack {id}")));
    }
    let names: BTreeSet<_> = versions.iter().flat_map(|pack| pack.job_types.iter().cloned()).collect();
    let job_types = views(&app, &live, &names.into_iter().collect::<Vec<_>>()).await?;
    Ok(Json(PackDetail { id, versions, job_types }))
}

/// Every job type that a worker ever provided, with how many do now.
#[utoipa::path(
    get, path = "/job-types", tag = "packs", params(JobTypeParams),
    responses(
        ParamProblems,
        (status = 200, body = JobTypePage, description = "A page of job types"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn job_type_list(
    State(app): State<App>,
    Params(params): Params<JobTypeParams>,
) -> Answer<JobTypePage> {
    let first = offset(params.cursor.as_deref())?;
    let (names, live) = tokio::try_join!(job_type_names(app.redis()), adverts(app.redis()))?;
    let after = first + u64::from(params.limit.0);
    let position = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(names.len());
    let job_types = views(&app, &live, &names[position(first)..position(after)]).await?;
    let total = names.len() as u64;
    Ok(Json(JobTypePage { job_types, total, next_cursor: (after < total).then(|| Offset(after).to_string()) }))
}

/// Which of the jobs that are next in a queue no live worker can run.
#[utoipa::path(
    get, path = "/queues/{queue}/unserved", tag = "packs", params(InQueue, UnservedParams),
    responses(QueueProblems, ParamProblems, (status = 200, body = Unserved, description = "What waits for nobody"))
)]
pub(crate) async fn unserved(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    Params(params): Params<UnservedParams>,
) -> Answer<Unserved> {
    let look = params.look.as_deref().map_or(Ok(LOOK), look)?;
    let queue = queues::existing(&app, name).await?;
    let (names, mut live) = tokio::try_join!(queue.next_names(look), adverts(app.redis()))?;
    live.retain(|advert| advert.queues.contains(queue.name()));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in names.iter().filter(|name| !live.iter().any(|advert| advert.runs(name))) {
        *counts.entry(name).or_default() += 1;
    }
    let known = app.catalogue().find(app.redis(), counts.keys().copied().collect::<HashSet<_>>()).await?;
    let is_known = |name: &str| known.get(name).is_some_and(Option::is_some);
    let mut unserved: Vec<_> = counts
        .into_iter()
        .map(|(name, jobs)| UnservedName { name: name.to_owned(), jobs, known: is_known(name) })
        .collect();
    unserved.sort_by_key(|name| std::cmp::Reverse(name.jobs));
    let workers = live.into_iter().map(|advert| advert.name).collect();
    Ok(Json(Unserved { looked: names.len() as u64, workers, unserved }))
}

fn look(text: &str) -> Result<u64, Problem> {
    let count = text.parse().ok().filter(|count| (1..=1000).contains(count));
    count.ok_or_else(|| Problem::parameter("look", format!("`{text}` is not a whole number from 1 to 1000")))
}

/// One view per pack and version, in order, with the workers that have it.
fn grouped(live: &[Advert]) -> Vec<PackView> {
    let mut packs: BTreeMap<_, (&PackInfo, Vec<&Advert>)> = BTreeMap::new();
    for advert in live {
        for pack in &advert.packs {
            packs.entry((&pack.id, &pack.version)).or_insert_with(|| (pack, Vec::new())).1.push(advert);
        }
    }
    packs.into_values().map(|(pack, workers)| PackView::new(pack, &workers)).collect()
}

async fn views(app: &App, live: &[Advert], names: &[String]) -> Result<Vec<JobTypeView>, Problem> {
    let records = job_types(app.redis(), names).await?;
    let view = |(name, recorded): (&String, Option<_>)| {
        let record =
            recorded.map_or_else(JobTypeRecord::default, |found: operator_queue::catalogue::Recorded| found.record);
        JobTypeView::new(name, record, live)
    };
    Ok(names.iter().zip(records).map(view).collect())
}
