//! Flows in the body of a request. Every job of a tree is checked as a job of a list is, and what only a tree can have is
//! refused, too: a job that waits for itself, a parent or child that could vanish into another job.

use operator_core::{FlowJob, InvalidOptions, JobId, QueueName};
use operator_queue::MAX_FLOW_JOBS;

use super::body::one_or_many;
use super::jobs::{Findings, check_count};
use crate::ApiSettings;
use crate::catalogue::Candidate;
use crate::problem::{Code, Problem};

/// The flows of a body.
#[derive(Debug)]
pub(crate) struct FlowList {
    pub(crate) flows: Vec<FlowJob>,
    /// Whether the body was a list, even if of one.
    pub(crate) is_list: bool,
}

/// Reads one flow or a list of them.
pub(crate) fn flows(body: &[u8], settings: &ApiSettings) -> Result<FlowList, Problem> {
    let (flows, is_list) = one_or_many::<FlowJob>(body, Code::InvalidJob)?;
    check_count(flows.iter().map(count).sum(), settings.max_bulk_jobs.min(MAX_FLOW_JOBS))?;
    let mut findings = Findings::new(settings);
    for (position, flow) in flows.iter().enumerate() {
        let at = if is_list { format!("[{position}].") } else { String::new() };
        check(&mut findings, &at, flow, &mut Vec::new());
    }
    findings.finish()?;
    Ok(FlowList { flows, is_list })
}

impl FlowList {
    /// All jobs of all trees as they meet what is known of their types.
    pub(crate) fn candidates(&mut self) -> Vec<Candidate<'_>> {
        let mut candidates = Vec::new();
        for (position, flow) in self.flows.iter_mut().enumerate() {
            let at = if self.is_list { format!("[{position}].") } else { String::new() };
            gather(&mut candidates, at, flow);
        }
        candidates
    }
}

fn gather<'a>(candidates: &mut Vec<Candidate<'a>>, at: String, flow: &'a mut FlowJob) {
    for (position, child) in flow.children.iter_mut().enumerate() {
        gather(candidates, format!("{at}children[{position}]."), child);
    }
    candidates.push(Candidate { at, name: &flow.name, data: flow.data.clone(), opts: &mut flow.opts });
}

fn count(flow: &FlowJob) -> usize {
    1 + flow.children.iter().map(count).sum::<usize>()
}

/// Looks at a job and all below it; `above` are the jobs with ids of their own that wait for it.
fn check<'a>(findings: &mut Findings<'_>, at: &str, job: &'a FlowJob, above: &mut Vec<Place<'a>>) {
    findings.check(at, &job.name, &job.data, &job.opts);
    let is_child = !above.is_empty();
    if is_child && job.opts.parent.is_some() {
        findings.add(at, "opts.parent", "the job above it is its parent: leave this out");
    }
    let vanishing = if is_child { InvalidOptions::DeduplicatedChild } else { InvalidOptions::DeduplicatedParent };
    if job.opts.deduplication.is_some() && (is_child || !job.children.is_empty()) {
        findings.add(at, vanishing.field(), vanishing);
    }
    let place = (&job.queue_name, job.opts.job_id.as_ref());
    if place.1.is_some() && above.contains(&place) {
        findings.add(at, "opts.jobId", "it is the id of a job that waits for this one: a job cannot wait for itself");
    }
    above.push(place);
    for (position, child) in job.children.iter().enumerate() {
        check(findings, &format!("{at}children[{position}]."), child, above);
    }
    above.pop();
}

/// A job of the tree: its queue, and its id if it was given one.
type Place<'a> = (&'a QueueName, Option<&'a JobId>);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ApiSettings {
        ApiSettings { max_data_bytes: 100, max_bulk_jobs: 4, ..ApiSettings::for_tests() }
    }

    fn refused(body: &str) -> (Code, Option<String>) {
        let problem = flows(body.as_bytes(), &settings()).expect_err(body);
        (problem.code, problem.errors.first().map(|error| error.field.clone()))
    }

    #[test]
    fn what_is_wrong_with_a_tree_is_named_by_its_path() {
        let tree =
            |child: &str| format!(r#"{{"name":"a","queueName":"q","opts":{{"jobId":"r"}},"children":[{child}]}}"#);
        for (child, field) in [
            (r#"{"name":"b"}"#, "children[0]"),
            (r#"{"name":"b","queueName":"a:b"}"#, "children[0].queueName"),
            (r#"{"name":"b","queueName":""}"#, "children[0].queueName"),
            (r#"{"name":"","queueName":"q"}"#, "children[0].name"),
            (r#"{"name":"b","queueName":"q","opts":{"jobId":"r"}}"#, "children[0].opts.jobId"),
            (r#"{"name":"b","queueName":"q","opts":{"priority":-1}}"#, "children[0].opts.priority"),
            (r#"{"name":"b","queueName":"q","opts":{"deduplication":{"id":"x"}}}"#, "children[0].opts.deduplication"),
            (r#"{"name":"b","queueName":"q","opts":{"parent":{"id":"x","queue":"b:q"}}}"#, "children[0].opts.parent"),
        ] {
            assert_eq!(refused(&tree(child)), (Code::InvalidJob, Some(field.to_owned())), "{child}");
        }
        let other = tree(r#"{"name":"b","queueName":"other","opts":{"jobId":"r"}}"#);
        assert!(flows(other.as_bytes(), &settings()).is_ok());
        let parent = tree(r#"{"name":"b","queueName":"q"}"#).replace(r#""jobId":"r""#, r#""deduplication":{"id":"d"}"#);
        assert_eq!(refused(&parent), (Code::InvalidJob, Some("opts.deduplication".to_owned())));
    }

    #[test]
    fn limits_count_every_job_of_every_tree() {
        let leaf = r#"{"name":"b","queueName":"q"}"#;
        let tree = format!(r#"{{"name":"a","queueName":"q","children":[{leaf},{leaf}]}}"#);
        let list = flows(format!("[{tree}]").as_bytes(), &settings()).unwrap();
        assert_eq!((list.is_list, list.flows[0].children.len()), (true, 2));
        assert_eq!(refused(&format!("[{tree},{tree}]")).0, Code::TooManyJobs);
        let large = format!(r#"{{"name":"b","queueName":"q","data":"{}"}}"#, "x".repeat(100));
        let tree = format!(r#"[{{"name":"a","queueName":"q","children":[{leaf},{large}]}}]"#);
        assert_eq!(refused(&tree), (Code::DataTooLarge, Some("[0].children[1].data".to_owned())));
    }
}
