//! What came of a sequence.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::operation::Operation;

/// What came of a sequence.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The sequence.
    pub sequence: String,
    /// How many operations were done.
    pub steps: usize,
    /// How often each declared difference occurred, by its id.
    pub declared: BTreeMap<&'static str, usize>,
    /// The steps that differed in a way nobody declared. The run ends with the first, unless it is told to go on.
    pub differences: Vec<StepDifference>,
}

/// Where two subjects went different ways.
#[derive(Debug, Clone, Serialize)]
pub struct StepDifference {
    /// The line of the operation.
    pub line: usize,
    /// The operation.
    pub operation: Value,
    /// Every place that differs and is not declared.
    pub places: Vec<Unequal>,
}

/// A place in which the subjects differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unequal {
    /// Which place.
    pub place: Place,
    /// What BullMQ has there.
    pub node: Value,
    /// What we have there.
    pub ours: Value,
}

/// Something that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// What the operation answered.
    Answer,
    /// A key.
    Key(String),
}

impl Verdict {
    pub(crate) fn new(sequence: &str) -> Self {
        Self { sequence: sequence.to_owned(), steps: 0, declared: BTreeMap::new(), differences: Vec::new() }
    }

    /// Whether nothing differed but what is declared.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

impl StepDifference {
    pub(crate) fn new(line: usize, operation: &Operation, places: Vec<Unequal>) -> Self {
        Self { line, operation: operation.to_json(), places }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_equal() {
            return write!(f, "{}: equal after each of {} steps", self.sequence, self.steps);
        }
        write!(f, "{}", self.sequence)?;
        self.differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
    }
}

impl fmt::Display for StepDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.operation)?;
        for unequal in &self.places {
            let place = match &unequal.place {
                Place::Answer => "the answer",
                Place::Key(key) => key,
            };
            write!(f, "\n    {place}\n      BullMQ: {}\n      ours:   {}", unequal.node, unequal.ours)?;
        }
        Ok(())
    }
}
