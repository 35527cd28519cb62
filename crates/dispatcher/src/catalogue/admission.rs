//! Jobs on their way into a queue meet what is known of their types: their data is checked, their options are completed,
//! and a name that nobody ever provided is let in, told or refused, as the settings say.

use std::collections::BTreeSet;
use std::sync::Arc;

use operator_core::{JobOptions, Json};
use operator_telemetry::names;

use super::JobType;
use crate::app::App;
use crate::input::MAX_ERRORS;
use crate::problem::{Code, FieldError, Problem};
use crate::settings::UnknownJobs;

/// Data of more bytes than this is checked off the threads that answer requests.
const MUCH_DATA: usize = 64 * 1024;

/// A job before it is added.
pub(crate) struct Candidate<'a> {
    /// Where in the body it is, with a dot behind it.
    pub(crate) at: String,
    pub(crate) name: &'a str,
    pub(crate) data: Json,
    pub(crate) opts: &'a mut JobOptions,
}

/// Data and the type that it has to fit.
type Check = (String, Json, Arc<JobType>);

/// Checks and completes `candidates`, all or none. The names that nobody ever provided are returned, unless nobody is to
/// be told.
pub(crate) async fn admit(app: &App, candidates: Vec<Candidate<'_>>) -> Result<Vec<String>, Problem> {
    let wanted = candidates.iter().map(|candidate| candidate.name).collect();
    let known = app.catalogue().find(app.redis(), wanted).await?;
    let (mut checks, mut refused, mut unknown) = (Vec::new(), Vec::new(), BTreeSet::new());
    for Candidate { at, name, data, opts } in candidates {
        if let Some(job_type) = known.get(name).cloned().flatten() {
            job_type.record.info.defaults.complete(opts);
            checks.push((at, data, job_type));
        } else if app.settings().unknown_jobs == UnknownJobs::Refuse {
            refused.push(FieldError::new(format!("{at}name"), unknown_name(name)));
        } else {
            unknown.insert(name.to_owned());
        }
    }
    refused.extend(mismatches(checks).await?);
    if !refused.is_empty() {
        refused.truncate(MAX_ERRORS);
        return Err(Problem::of_fields(Code::InvalidJob, refused));
    }
    Ok(if app.settings().unknown_jobs == UnknownJobs::Warn { warn(app, unknown) } else { Vec::new() })
}

fn unknown_name(name: &str) -> String {
    format!(
        "no worker has ever provided the job type `{name}`: start one that does, or let such jobs in with \
         OPERATOR_UNKNOWN_JOBS=warn, which jobs of BullMQ's workers need"
    )
}

fn warn(app: &App, unknown: BTreeSet<String>) -> Vec<String> {
    metrics::counter!(names::JOBS_UNKNOWN).increment(unknown.len() as u64);
    for name in unknown.iter().filter(|name| app.catalogue().is_news(name)) {
        tracing::warn!(name, "jobs were added that no worker of ours has ever provided");
    }
    unknown.into_iter().collect()
}

async fn mismatches(checks: Vec<Check>) -> Result<Vec<FieldError>, Problem> {
    let bytes: usize = checks.iter().map(|(_, data, _)| data.as_str().len()).sum();
    if bytes <= MUCH_DATA {
        return Ok(all_mismatches(&checks));
    }
    tokio::task::spawn_blocking(move || all_mismatches(&checks)).await.map_err(Problem::internal)
}

fn all_mismatches(checks: &[Check]) -> Vec<FieldError> {
    let of_one = |(at, data, job_type): &Check| {
        let found = job_type.input.as_ref().map(|input| input.mismatches(data)).unwrap_or_default();
        let told = |mismatch: operator_core::pack::Mismatch| {
            FieldError::new(format!("{at}data{}", path(&mismatch.pointer)), mismatch)
        };
        found.into_iter().map(told).collect::<Vec<_>>()
    };
    checks.iter().flat_map(of_one).take(MAX_ERRORS).collect()
}

/// A JSON pointer in the form in which the other fields of a body are named: `/items/1/price` is `.items[1].price`.
fn path(pointer: &str) -> String {
    let segments = pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"));
    segments.fold(String::new(), |path, segment| match segment.parse::<usize>() {
        Ok(position) => format!("{path}[{position}]"),
        Err(_) => format!("{path}.{segment}"),
    })
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_pointer_becomes_the_path_of_a_field() {
        assert_eq!(path(""), "");
        assert_eq!(path("/items/1/price"), ".items[1].price");
        assert_eq!(path("/a~1b/~0"), ".a/b.~");
    }
}
