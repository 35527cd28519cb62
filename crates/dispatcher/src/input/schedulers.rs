//! A scheduler in the body of a request.

use operator_core::Json;
use operator_queue::{JobTemplate, Repeat};
use serde::Deserialize;

use super::body::{read, text};
use super::jobs::Findings;
use crate::ApiSettings;
use crate::catalogue::Candidate;
use crate::problem::{Code, Problem};

/// A scheduler to make, or to give another schedule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewScheduler {
    pub(crate) repeat: Repeat,
    #[serde(default)]
    pub(crate) template: JobTemplate,
}

impl NewScheduler {
    /// The jobs to be made, as they meet what is known of their type. Without a name they have that of the scheduler,
    /// `id`; without data they have an empty object.
    pub(crate) fn candidate<'a>(&'a mut self, id: &'a str) -> Candidate<'a> {
        let JobTemplate { name, data, opts } = &mut self.template;
        let data = if data.as_str() == "null" { Json::from(serde_json::json!({})) } else { data.clone() };
        Candidate { at: "template.".to_owned(), name: name.as_deref().unwrap_or(id), data, opts }
    }
}

/// Reads a scheduler. Whether its schedule can be followed is the queue's to say: that depends on the clock.
pub(crate) fn scheduler(body: &[u8], settings: &ApiSettings) -> Result<NewScheduler, Problem> {
    let wanted: NewScheduler = read(text(body)?, Code::InvalidSchedule)?;
    let mut findings = Findings::new(settings);
    // Without a name of their own the jobs have the scheduler's.
    let name = wanted.template.name.as_deref().unwrap_or("named");
    findings.check("template.", name, &wanted.template.data, &wanted.template.opts);
    findings.finish()?;
    Ok(wanted)
}
