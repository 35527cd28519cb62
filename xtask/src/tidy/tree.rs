//! The files of the repository, read once for all checks, and what a check says of them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::Result;
use crate::program;

/// Every text file that is, or would be, committed.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

/// One text file.
pub(super) struct File {
    /// Relative to the root, with `/` between folders.
    pub(super) path: String,
    pub(super) text: String,
}

/// Something to put in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) path: String,
    /// 1 is the first; 0 means the file as a whole.
    pub(super) line: usize,
    pub(super) remedy: String,
}

impl Tree {
    /// Reads what git knows of and what it does not ignore.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let listing = program::output(&mut git)?;
        // A file git lists may be gone from the working tree, and one that is not UTF-8 is not text.
        let read = |path: &str| Some(File { path: path.to_owned(), text: fs::read_to_string(root.join(path)).ok()? });
        let mut files: Vec<File> = listing.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files whose name ends with one of `endings`.
    pub(super) fn ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| endings.iter().any(|ending| file.path.ends_with(ending)))
    }
}

impl File {
    /// A finding about the whole file.
    pub(super) fn finding(&self, remedy: impl Into<String>) -> Finding {
        self.finding_at(0, remedy)
    }

    /// A finding about the line with this number, from 1.
    pub(super) fn finding_at(&self, line: usize, remedy: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, remedy: remedy.into() }
    }

    /// The lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether the file holds nothing but tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, remedy } = self;
        if *line == 0 { write!(f, "{path}: {remedy}") } else { write!(f, "{path}:{line}: {remedy}") }
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of the given paths and texts, for the tests of the checks.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { files: files.iter().map(file).collect() }
    }
}

/// Asserts that `check` finds exactly what `expected` names, as `path` or `path:line`.
#[cfg(test)]
pub(super) fn assert_findings(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
    let place = |finding: &Finding| match finding.line {
        0 => finding.path.clone(),
        line => format!("{}:{line}", finding.path),
    };
    let findings = check(&Tree::of(files));
    assert_eq!(findings.iter().map(place).collect::<Vec<_>>(), expected, "{findings:#?}");
}
