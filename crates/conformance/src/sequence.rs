//! A sequence of operations, and the lines it is written in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::operation::Operation;

/// Operations in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// What it is about.
    pub name: String,
    /// The major versions of BullMQ that can do all of it.
    pub against: Vec<u8>,
    /// The operations with the numbers of their lines.
    pub steps: Vec<Step>,
}

/// One operation of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its line, from 1.
    pub line: usize,
    /// What is done.
    pub operation: Operation,
}

/// The first line of a file, when it says something about the whole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    sequence: String,
    #[serde(default = "both", skip_serializing_if = "Vec::is_empty")]
    against: Vec<u8>,
}

/// Why a file is no sequence.
#[derive(Debug, Error)]
pub enum UnreadableSequence {
    /// A line is not what it should be.
    #[error("{name}, line {line}: {problem}; docs/conformance.md lists the operations")]
    Line {
        /// The sequence.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: serde_json::Error,
    },
    /// The file cannot be read.
    #[error("failed to read {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: std::io::Error,
    },
}

fn both() -> Vec<u8> {
    vec![5, 6]
}

impl Sequence {
    /// A sequence of these operations, for every version.
    #[must_use]
    pub fn new(name: impl Into<String>, operations: impl IntoIterator<Item = Operation>) -> Self {
        let steps = operations.into_iter().enumerate().map(|(at, operation)| Step { line: at + 1, operation });
        Self { name: name.into(), against: both(), steps: steps.collect() }
    }

    /// Reads lines: an operation each, the first one may say what the sequence is about. Empty lines and those that
    /// begin with `#` are left out.
    ///
    /// # Errors
    /// [`UnreadableSequence::Line`].
    pub fn parse(name: &str, text: &str) -> Result<Self, UnreadableSequence> {
        let mut sequence = Self { name: name.to_owned(), against: both(), steps: Vec::new() };
        for (at, text) in text.lines().enumerate() {
            let line = at + 1;
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            let unreadable = |problem| UnreadableSequence::Line { name: name.to_owned(), line, problem };
            let value: Value = serde_json::from_str(text).map_err(unreadable)?;
            if value.get("sequence").is_some() {
                let header: Header = serde_json::from_value(value).map_err(unreadable)?;
                (sequence.name, sequence.against) = (header.sequence, header.against);
            } else {
                let operation = serde_json::from_value(value).map_err(unreadable)?;
                sequence.steps.push(Step { line, operation });
            }
        }
        Ok(sequence)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`UnreadableSequence`].
    pub fn read(path: &Path) -> Result<Self, UnreadableSequence> {
        let unreadable = |problem| UnreadableSequence::File { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&path.file_stem().unwrap_or_default().to_string_lossy(), &text)
    }

    /// Every sequence of the repository, by the names of their files.
    ///
    /// # Errors
    /// [`UnreadableSequence`].
    pub fn read_all() -> Result<Vec<Self>, UnreadableSequence> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/sequences");
        let unreadable = |problem| UnreadableSequence::File { path: folder.clone(), problem };
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// The sequence as lines, which [`Self::parse`] reads.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let header = serde_json::json!({ "sequence": self.name, "against": self.against });
        let operations = self.steps.iter().map(|step| step.operation.to_json());
        std::iter::once(header).chain(operations).map(|line| format!("{line}\n")).collect()
    }

    /// The queues its operations name.
    #[must_use]
    pub fn queues(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for step in &self.steps {
            collect_queues(&step.operation.to_json(), &mut found);
        }
        found
    }
}

fn collect_queues(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_queues(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    // `parent.queue` holds a whole key prefix.
                    Value::String(queue) if (name == "queue" || name == "queueName") && !queue.contains(':') => {
                        found.insert(queue.clone());
                    }
                    // Data may use any name.
                    _ if name == "data" => {}
                    other => collect_queues(other, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written() {
        let text = r#"{"sequence":"pausing","against":[6]}

# A comment.
{"op":"pause","queue":"q"}
{"op":"addFlow","flow":{"name":"p","queueName":"parents","children":[{"name":"c","queueName":"children"}]}}
"#;
        let sequence = Sequence::parse("file", text).unwrap();
        assert_eq!(
            (sequence.name.as_str(), sequence.against.as_slice(), sequence.steps[0].line),
            ("pausing", &[6][..], 4)
        );
        assert_eq!(sequence.queues().into_iter().collect::<Vec<_>>(), ["children", "parents", "q"]);
        let again = Sequence::parse("file", &sequence.to_lines()).unwrap();
        assert_eq!(again.steps[1].operation, sequence.steps[1].operation);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = Sequence::parse("file", "\n{\"op\":\"dance\"}").unwrap_err().to_string();
        assert!(error.contains("file, line 2") && error.contains("dance"), "{error}");
    }
}
