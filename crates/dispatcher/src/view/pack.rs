//! Packs and job types as the API shows them.

use std::collections::BTreeSet;

use operator_core::Json;
use operator_core::pack::{Advert, JobTypeRecord, PackInfo, Protection};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A pack in one version, and who has it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pack)]
pub(crate) struct PackView {
    /// Its identity.
    #[schema(example = "infra-devops")]
    pub(crate) id: String,
    /// Its version.
    #[schema(example = "1.0.0")]
    pub(crate) version: String,
    /// What people call it.
    name: String,
    /// What it is for.
    description: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// What it says it can do.
    capabilities: Vec<String>,
    /// Packs that must be loaded beside it.
    depends_on: Vec<String>,
    /// The names of its job types.
    pub(crate) job_types: Vec<String>,
    /// The live workers that have it, by name.
    workers: Vec<String>,
    /// The queues those serve.
    queues: Vec<String>,
}

/// A job type, and who provides it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobType)]
pub(crate) struct JobTypeView {
    /// The name of its jobs.
    #[schema(example = "infra.test_job")]
    name: String,
    /// The pack it belongs to; null for one that a program registered by itself.
    pack: Option<String>,
    /// The version of the pack that the rest is from.
    version: Option<String>,
    /// What it does.
    description: String,
    /// The JSON Schema of the data of its jobs; null when any will do.
    #[schema(value_type = Option<Object>)]
    input: Option<Json>,
    /// The JSON Schema of their results; null when any will do.
    #[schema(value_type = Option<Object>)]
    output: Option<Json>,
    /// What its jobs get where whoever adds them says nothing.
    #[schema(value_type = Object)]
    defaults: Value,
    /// The protections without which no worker runs it.
    requires: Vec<&'static str>,
    /// How many live workers provide it.
    workers: u64,
    /// The queues those serve.
    queues: Vec<String>,
}

impl PackView {
    pub(crate) fn new(pack: &PackInfo, workers: &[&Advert]) -> Self {
        Self {
            id: pack.id.clone(),
            version: pack.version.to_string(),
            name: pack.name.clone(),
            description: pack.description.clone(),
            tags: pack.tags.clone(),
            capabilities: pack.capabilities.clone(),
            depends_on: pack.depends_on.clone(),
            job_types: pack.job_types.keys().cloned().collect(),
            workers: workers.iter().map(|worker| worker.name.clone()).collect(),
            queues: queues(workers),
        }
    }
}

impl JobTypeView {
    pub(crate) fn new(name: &str, record: JobTypeRecord, live: &[Advert]) -> Self {
        let providers: Vec<_> = live.iter().filter(|worker| worker.provides(name)).collect();
        Self {
            name: name.to_owned(),
            pack: record.pack,
            version: record.version.map(|version| version.to_string()),
            description: record.info.description,
            input: record.info.input,
            output: record.info.output,
            defaults: json!(record.info.defaults),
            requires: record.info.requires.into_iter().map(Protection::name).collect(),
            workers: providers.len() as u64,
            queues: queues(&providers),
        }
    }
}

fn queues(workers: &[&Advert]) -> Vec<String> {
    let names: BTreeSet<_> = workers.iter().flat_map(|worker| &worker.queues).collect();
    names.into_iter().map(ToString::to_string).collect()
}
