//! What is wrong with a pack, and where.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Everything that is wrong with a pack, one line for each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct BadManifest {
    /// In the order of the file.
    pub problems: Vec<ManifestProblem>,
}

/// One thing that is wrong. Shown as `file:line: key: what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestProblem {
    /// Which file.
    pub file: PathBuf,
    /// Which line, from 1; absent when it is about the file.
    pub line: Option<u64>,
    /// Which key, its parts joined with dots; empty when it is about the file.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}
