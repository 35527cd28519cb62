//! No file is longer than can be read in one go, unless its header says why.

use super::tree::{File, Finding, Tree};

/// The most lines of a file, its tests apart.
const CEILING: usize = 500;

/// The words with which a header explains a longer file.
const REASON: &str = "over 500 lines";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let endings = [".rs", ".lua", ".mjs", ".sh", ".sql"];
    tree.ending(&endings).filter(|file| !file.is_test()).filter_map(too_long).collect()
}

fn too_long(file: &File) -> Option<Finding> {
    let length = file.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    let remedy = format!("{length} lines without tests: split it, or let its header say why it is `{REASON}`");
    (length > CEILING && !explained(file)).then(|| file.finding(remedy))
}

fn explained(file: &File) -> bool {
    let header =
        file.text.lines().take_while(|line| line.starts_with("//") || line.starts_with("--") || line.starts_with('#'));
    header.into_iter().any(|line| line.contains(REASON))
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    #[test]
    fn only_a_long_file_without_a_reason_is_found() {
        let long = "fn a() {}\n".repeat(CEILING);
        let tested = format!("//! A.\n#[cfg(test)]\n{long}");
        let explained = format!("//! A table, over 500 lines because it has one per code.\n{long}");
        let bad = format!("//! A.\n{long}");
        let files = [
            ("a.rs", &*tested),
            ("b.rs", &*explained),
            ("c.rs", &*bad),
            ("crates/a/tests/d.rs", &*bad),
            ("e.md", &*bad),
        ];
        assert_findings(check, &files, &["c.rs"]);
    }
}
