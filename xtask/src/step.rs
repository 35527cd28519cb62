//! A run of several steps: each is announced, timed and remembered, and one that fails does not hide the others.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// The steps taken so far.
#[derive(Default)]
pub(crate) struct Steps {
    taken: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    problem: Option<String>,
}

impl Steps {
    /// Takes one step.
    pub(crate) fn take(&mut self, name: &'static str, action: impl FnOnce() -> Result<()>) {
        println!("── {name}");
        let start = Instant::now();
        let problem = action().err().map(|failure| failure.to_string());
        let step = Step { name, took: start.elapsed(), problem };
        println!("{}", step.line());
        self.taken.push(step);
    }

    /// Prints all steps again, one line each.
    ///
    /// # Errors
    /// When one of them failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!();
        for step in &self.taken {
            println!("{}", step.line());
        }
        let steps: Vec<String> =
            self.taken.iter().filter(|step| step.problem.is_some()).map(|step| step.name.to_owned()).collect();
        if steps.is_empty() { Ok(()) } else { Err(Failure::Steps { steps }) }
    }
}

impl Step {
    fn line(&self) -> String {
        let (name, seconds) = (self.name, self.took.as_secs_f64());
        match &self.problem {
            None => format!("   {name:<12} ok      {seconds:>8.1} s"),
            Some(problem) => format!("   {name:<12} FAILED  {seconds:>8.1} s  {problem}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_hide_the_next_and_fails_the_run() {
        let mut steps = Steps::default();
        let mut reached = false;
        steps.take("first", || Err(Failure::Untidy { count: 1 }));
        steps.take("second", || {
            reached = true;
            Ok(())
        });
        assert!(reached);
        assert_eq!(steps.finish().unwrap_err().to_string(), "not passed: first");
    }
}
