//! Words that have no place in the tree: unowned promises, places that only one machine has, calls that race.

use super::tree::{File, Finding, Tree};

/// A word, where it is looked for, and what to do instead. The words are written in halves, for this file is read too.
struct Word {
    word: &'static str,
    /// Endings of the files looked at; none means every file.
    endings: &'static [&'static str],
    /// What makes the word acceptable when it stands on the same line.
    unless: Option<&'static str>,
    remedy: &'static str,
}

const UNOWNED: &str = "say it in an issue and link that here, or do it now";
const RACE: &str = "the environment is read once at start: pass a map instead";
const MACHINE: &str = "this path exists on one machine only";
const REGISTRY: &str = "name the package, not the host of its registry";

const WORDS: &[Word] = &[
    Word { word: concat!("TO", "DO"), endings: &[], unless: Some("/issues/"), remedy: UNOWNED },
    Word { word: concat!("FIX", "ME"), endings: &[], unless: Some("/issues/"), remedy: UNOWNED },
    Word { word: concat!("set_", "var("), endings: &[".rs"], unless: None, remedy: RACE },
    Word { word: concat!("remove_", "var("), endings: &[".rs"], unless: None, remedy: RACE },
    Word { word: concat!("/wo", "rk/main"), endings: &[], unless: None, remedy: MACHINE },
    Word { word: concat!("/ro", "ot/."), endings: &[], unless: None, remedy: MACHINE },
    Word { word: concat!("crates", ".io"), endings: &[], unless: None, remedy: REGISTRY },
    Word { word: concat!("npmjs", ".org"), endings: &[], unless: None, remedy: REGISTRY },
    Word { word: concat!("pypi", ".org"), endings: &[], unless: None, remedy: REGISTRY },
    Word { word: concat!("deb", ".debian"), endings: &[], unless: None, remedy: REGISTRY },
];

/// Files made by package managers, which name their registry themselves.
const GENERATED: &[&str] = &["Cargo.lock", "package-lock.json"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let written = tree.files.iter().filter(|file| !GENERATED.iter().any(|name| file.path.ends_with(name)));
    written.flat_map(|file| WORDS.iter().flat_map(|word| word.in_file(file))).collect()
}

impl Word {
    fn in_file(&self, file: &File) -> Vec<Finding> {
        if !self.endings.is_empty() && !self.endings.iter().any(|ending| file.path.ends_with(ending)) {
            return Vec::new();
        }
        let stands = |line: &str| has_word(line, self.word) && !self.unless.is_some_and(|excuse| line.contains(excuse));
        let lines = file.lines().filter(|(_, line)| stands(line));
        lines.map(|(number, _)| file.finding_at(number, format!("`{}`: {}", self.word, self.remedy))).collect()
    }
}

/// Whether `word` stands in `line` and is not part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    let inner_edges = (word.starts_with(char::is_alphanumeric), word.ends_with(char::is_alphanumeric));
    line.match_indices(word).any(|(start, _)| {
        let before = inner_edges.0 && joins(line[..start].chars().next_back());
        let after = inner_edges.1 && joins(line[start + word.len()..].chars().next());
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    #[test]
    fn an_unowned_promise_is_found_and_an_owned_one_is_not() {
        let promise = concat!("// TO", "DO later\n");
        let owned = concat!("// TO", "DO https://example.org/issues/7\n");
        let longer = concat!("MASTO", "DON\n");
        assert_findings(check, &[("a.rs", promise), ("b.rs", owned), ("c.md", longer)], &["a.rs:1"]);
    }

    #[test]
    fn places_of_one_machine_are_found_outside_generated_files() {
        let place = concat!("a\nsee /wo", "rk/main\n");
        assert_findings(check, &[("a.md", place), ("interop/package-lock.json", place)], &["a.md:2"]);
    }
}
