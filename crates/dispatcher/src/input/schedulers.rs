//! A scheduler in the body of a request.

use operator_queue::{JobTemplate, Repeat};
use serde::Deserialize;

use super::body::{read, text};
use super::jobs::Findings;
use crate::ApiSettings;
use crate::problem::{Code, Problem};

/// A scheduler to make, or to give another schedule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewScheduler {
    pub(crate) repeat: Repeat,
    #[serde(default)]
    pub(crate) template: JobTemplate,
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
