//! Every source file says at its top what it is for.

use super::tree::{File, Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter_map(|file| Some((file, kind(file)?)))
        .filter_map(|(file, kind)| kind.missing(file))
        .collect()
}

/// How a kind of file opens.
struct Kind {
    openings: &'static [&'static str],
    remedy: &'static str,
}

impl Kind {
    fn missing(&self, file: &File) -> Option<Finding> {
        let mut lines = file.text.lines().filter(|line| !line.starts_with("#!/"));
        let first = lines.next().unwrap_or_default();
        let opens = self.openings.iter().any(|opening| first.starts_with(opening) && first.len() > opening.len());
        (!opens).then(|| file.finding(self.remedy))
    }
}

const RUST: Kind = Kind {
    openings: &["//! ", "#![doc = include_str!("],
    remedy: "open with //!: what the file is for and what it leaves to whom",
};
const LUA: Kind = Kind { openings: &["-- "], remedy: "open with a comment: what the script does" };
const SQL: Kind = Kind { openings: &["-- "], remedy: "open with a comment: what the migration does" };
const SCRIPT: Kind = Kind { openings: &["// ", "/** ", "/* "], remedy: "open with a comment: what the script is for" };
const SHELL: Kind = Kind { openings: &["# "], remedy: "follow the #! line with a comment: what the script is for" };

fn kind(file: &File) -> Option<Kind> {
    let ending = file.path.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "rs" => Some(RUST),
        "lua" => Some(LUA),
        "sql" if file.path.starts_with("migrations/") => Some(SQL),
        "mjs" | "cjs" | "js" | "ts" => Some(SCRIPT),
        "sh" | "bash" => Some(SHELL),
        _ => file
            .text
            .lines()
            .next()
            .is_some_and(|line| line.starts_with("#!/") && line.ends_with("sh"))
            .then_some(SHELL),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    #[test]
    fn every_kind_of_file_opens_with_what_it_is_for() {
        let good = [
            ("a.rs", "//! Says it.\n"),
            ("lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            ("a.lua", "-- Says it.\n"),
            ("a.mjs", "#!/usr/bin/env node\n// Says it.\n"),
            ("run", "#!/usr/bin/env bash\n# Says it.\n"),
            ("a.md", "anything"),
        ];
        assert_findings(check, &good, &[]);
        let bad =
            [("a.rs", "use std;\n"), ("a.lua", "local a\n"), ("a.mjs", "import a\n"), ("run", "#!/bin/sh\nset -e\n")];
        assert_findings(check, &bad, &["a.rs", "a.lua", "a.mjs", "run"]);
    }

    #[test]
    fn an_empty_header_is_none() {
        assert_findings(check, &[("a.rs", "//! \n")], &["a.rs"]);
    }
}
