//! Jobs in the body of a request, checked as far as that can be done without Redis, so that all is accepted or nothing.

use operator_core::ids::check_length;
use operator_core::{JobId, JobOptions, Json, NewJob};

use super::body::one_or_many;
use crate::ApiSettings;
use crate::catalogue::Candidate;
use crate::problem::{Code, FieldError, Problem};

/// The most fields reported at once: a list of a thousand wrong jobs is explained by the first few.
pub(crate) const MAX_ERRORS: usize = 20;

/// The jobs of a body.
#[derive(Debug)]
pub(crate) struct JobList {
    pub(crate) jobs: Vec<NewJob>,
    /// Whether the body was a list, even if of one.
    pub(crate) is_list: bool,
}

/// Reads one job or a list of them.
pub(crate) fn jobs(body: &[u8], settings: &ApiSettings) -> Result<JobList, Problem> {
    let (jobs, is_list) = one_or_many::<NewJob>(body, Code::InvalidJob)?;
    check_count(jobs.len(), settings.max_bulk_jobs)?;
    let mut findings = Findings::new(settings);
    for (position, job) in jobs.iter().enumerate() {
        let at = if is_list { format!("[{position}].") } else { String::new() };
        findings.check(&at, &job.name, &job.data, &job.opts);
    }
    findings.finish()?;
    Ok(JobList { jobs, is_list })
}

pub(super) fn check_count(count: usize, limit: usize) -> Result<(), Problem> {
    if count <= limit {
        return Ok(());
    }
    let detail = format!("the body has {count} jobs and at most {limit} are taken at a time: send several lists");
    Err(Problem::new(Code::TooManyJobs, detail))
}

/// What is wrong with the jobs of a body, gathered so that all of it is told at once.
pub(super) struct Findings<'a> {
    settings: &'a ApiSettings,
    too_large: Vec<FieldError>,
    invalid: Vec<FieldError>,
}

impl JobList {
    /// The jobs as they meet what is known of their types.
    pub(crate) fn candidates(&mut self) -> Vec<Candidate<'_>> {
        let is_list = self.is_list;
        let place = |position| if is_list { format!("[{position}].") } else { String::new() };
        let jobs = self.jobs.iter_mut().enumerate();
        jobs.map(|(position, NewJob { name, data, opts })| Candidate {
            at: place(position),
            name,
            data: data.clone(),
            opts,
        })
        .collect()
    }
}

impl<'a> Findings<'a> {
    pub(super) fn new(settings: &'a ApiSettings) -> Self {
        Self { settings, too_large: Vec::new(), invalid: Vec::new() }
    }

    /// Looks at one job; `at` is where it is, with a dot behind it.
    pub(super) fn check(&mut self, at: &str, name: &str, data: &Json, opts: &JobOptions) {
        if let Some(message) = oversize(data, opts, self.settings) {
            self.too_large.push(FieldError::new(format!("{at}data"), message));
        }
        if name.is_empty() {
            self.add(at, "name", "it is empty: give the name of a job type");
        }
        if let Err(error) = check_length("job name", name) {
            self.add(at, "name", error);
        }
        if let Some(Err(error)) = opts.job_id.as_ref().map(|id| JobId::custom(id.as_str())) {
            self.add(at, "opts.jobId", error);
        }
        if let Err(error) = opts.check() {
            self.add(at, error.field(), error);
        }
        if let Some(parent) = opts.parent.as_ref().filter(|parent| !parent.queue.contains(':')) {
            let message = format!("`{}` is not a queue's key: give prefix and queue, as in bull:mail", parent.queue);
            self.add(at, "opts.parent.queue", message);
        }
    }

    pub(super) fn add(&mut self, at: &str, field: &str, message: impl ToString) {
        self.invalid.push(FieldError::new(format!("{at}{field}"), message));
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        for (code, mut errors) in [(Code::InvalidJob, self.invalid), (Code::DataTooLarge, self.too_large)] {
            if !errors.is_empty() {
                errors.truncate(MAX_ERRORS);
                return Err(Problem::of_fields(code, errors));
            }
        }
        Ok(())
    }
}

fn oversize(data: &Json, opts: &JobOptions, settings: &ApiSettings) -> Option<String> {
    let bytes = data.as_str().len() as u64;
    let limit = opts.size_limit.map_or(settings.max_data_bytes, |own| own.min(settings.max_data_bytes));
    (bytes > limit).then(|| {
        format!("it has {bytes} bytes and at most {limit} are allowed: keep it elsewhere and pass a reference")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ApiSettings {
        ApiSettings { max_data_bytes: 100, max_bulk_jobs: 3, ..ApiSettings::for_tests() }
    }

    fn refused(body: &str) -> Problem {
        jobs(body.as_bytes(), &settings()).expect_err(body)
    }

    #[test]
    fn one_job_and_a_list_of_one_are_told_apart() {
        let one = jobs(br#" {"name":"a","data":{"b":1.50}}"#, &settings()).unwrap();
        assert_eq!((one.is_list, one.jobs.len(), one.jobs[0].data.as_str()), (false, 1, r#"{"b":1.50}"#));
        let list = jobs(br#"[{"name":"a"}]"#, &settings()).unwrap();
        assert_eq!((list.is_list, list.jobs.len(), list.jobs[0].data.as_str()), (true, 1, "null"));
        assert!(jobs(b"[]", &settings()).unwrap().jobs.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (body, field) in [
            (r#"{}"#, ""),
            (r#""text""#, ""),
            (r#"{"name":5}"#, "name"),
            (r#"{"name":"a","payload":1}"#, "payload"),
            (r#"[{"name":"a"},{"name":"b","opts":{"atempts":3}}]"#, "[1].opts.atempts"),
            (r#"[{"name":"a","opts":{"attempts":-1}}]"#, "[0].opts.attempts"),
            (r#"[{"name":"a","opts":{"backoff":{"type":"fixed","jitter":2}}}]"#, "[0].opts.backoff.jitter"),
            (r#"{"name":"a","opts":{"backoff":{"type":"fixed","dealy":2}}}"#, "opts.backoff.dealy"),
            (r#"{"name":"a","opts":{"priority":"urgent"}}"#, "opts.priority"),
            (r#"{"name":"a","opts":{"removeOnComplete":"x"}}"#, "opts.removeOnComplete"),
            (r#"{"name":"","opts":{}}"#, "name"),
            (r#"[{"name":"a","opts":{"jobId":"7"}}]"#, "[0].opts.jobId"),
            (r#"{"name":"a","opts":{"jobId":"meta"}}"#, "opts.jobId"),
            (r#"{"name":"a","opts":{"delay":-1}}"#, "opts.delay"),
            (r#"{"name":"a","opts":{"delay":1e17}}"#, "opts.delay"),
            (r#"{"name":"a","opts":{"delay":9000000000000000}}"#, "opts.delay"),
            (r#"{"name":"a","opts":{"priority":2097152}}"#, "opts.priority"),
            (r#"{"name":"a","opts":{"parent":{"id":"p","queue":"mail"}}}"#, "opts.parent.queue"),
            (r#"{"name":"a","opts":{"parent":{"id":"p"}}}"#, "opts.parent"),
            (r#"{"name":"a","opts":{"deduplication":{"id":""}}}"#, "opts.deduplication.id"),
            (r#"{"name":"a","opts":{"deduplication":{"id":"d","ttl":0}}}"#, "opts.deduplication.ttl"),
            (
                r#"[{"name":"a"},{"name":"a","opts":{"deduplication":{"id":"d","ttl":1000000000000000000}}}]"#,
                "[1].opts.deduplication.ttl",
            ),
            (r#"{"name":"a","opts":{"timestamp":8640000000000000}}"#, "opts.timestamp"),
            (r#"{"name":"a","opts":{"failParentOnFailure":true,"ignoreDependencyOnFailure":true}}"#, "opts"),
            (
                r#"{"name":"a","opts":{"parent":{"id":"p","queue":"b:q"},"deduplication":{"id":"d"}}}"#,
                "opts.deduplication",
            ),
        ] {
            let problem = refused(body);
            assert_eq!((problem.code, problem.errors[0].field.as_str()), (Code::InvalidJob, field), "{body}");
        }
    }

    #[test]
    fn malformed_json_is_said_with_its_place() {
        for body in ["", " ", "{", "[{\"name\":\"a\"},", "nul", "{\"name\":\"a\"} x", "{\"name\":\"a\",\"data\":{,}}"] {
            let problem = refused(body);
            assert_eq!(problem.code, Code::InvalidJson, "{body}: {problem:?}");
        }
        assert!(refused("{\"name\":\"a\",}").detail.contains("line 1 column"));
        let problem = jobs(b"{\"name\":\"\xff\"}", &settings()).unwrap_err();
        assert_eq!(problem.code, Code::InvalidJson);
    }

    #[test]
    fn limits_are_those_of_the_settings_and_of_the_job() {
        let large = format!(r#"[{{"name":"a"}},{{"name":"a","data":"{}"}}]"#, "x".repeat(100));
        let problem = refused(&large);
        assert_eq!((problem.code, problem.errors[0].field.as_str()), (Code::DataTooLarge, "[1].data"));
        assert_eq!(refused(r#"{"name":"a","data":"xx","opts":{"sizeLimit":3}}"#).code, Code::DataTooLarge);
        let many = format!("[{}]", [r#"{"name":"a"}"#; 4].join(","));
        assert_eq!(refused(&many).code, Code::TooManyJobs);
    }

    #[test]
    fn a_deeply_nested_document_is_kept_as_it_is() {
        let deep = format!(r#"{{"name":"a","data":{}{}}}"#, "[".repeat(40), "]".repeat(40));
        assert!(jobs(deep.as_bytes(), &settings()).is_ok());
    }
}
