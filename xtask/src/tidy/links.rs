//! Links between the repository's Markdown files lead somewhere, down to the heading.

use super::tree::{File, Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(&[".md"]).flat_map(|file| broken_links(tree, file)).collect()
}

fn broken_links(tree: &Tree, file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in prose(file) {
        for target in targets(line).filter(|target| is_internal(target)) {
            if let Some(problem) = problem_of(tree, file, target) {
                found.push(file.finding_at(number, format!("link to {target}: {problem}")));
            }
        }
    }
    found
}

/// The lines outside fenced code.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What stands between `](` and `)`, without a title. Code spans are left out.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let outside_code = line.split('`').step_by(2);
    // A link's text may itself be code, so its target can open right after a closing backtick.
    outside_code.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| {
        let (target, _) = rest.split_once(')')?;
        target.split_whitespace().next()
    })
}

/// Not a web address, and not a path that rustdoc resolves.
fn is_internal(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.contains("::")
}

fn problem_of(tree: &Tree, file: &File, target: &str) -> Option<&'static str> {
    let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let path = if path.is_empty() { file.path.clone() } else { resolve(&file.path, path) };
    let folder = format!("{}/", path.trim_end_matches('/'));
    let Some(destination) = tree.file(&path) else {
        let exists = tree.files.iter().any(|file| file.path.starts_with(&folder));
        return (!exists).then_some("there is no such file");
    };
    let missing =
        heading.is_some_and(|heading| path.ends_with(".md") && !anchors(destination).any(|anchor| anchor == heading));
    missing.then_some("the file has no such heading")
}

/// `target` as seen from the folder of `from`, relative to the root.
fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The names under which a page's headings can be linked to.
fn anchors(file: &File) -> impl Iterator<Item = String> {
    prose(file).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    #[test]
    fn links_are_followed_from_the_folder_they_stand_in() {
        let page = "[a](../README.md)\n[b](gone.md)\n[c](../README.md#the-first-part)\n[d](../README.md#none)\n\
            [e](https://example.org)\n`[f](gone.md)`\n[`g`](gone.md)\n[h](../crates/core)\n[i](crate::Queue)\n";
        let files = [("docs/A.md", page), ("README.md", "# The *first* part\n"), ("crates/core/README.md", "")];
        assert_findings(check, &files, &["docs/A.md:2", "docs/A.md:4", "docs/A.md:7"]);
    }

    #[test]
    fn fenced_code_holds_no_links() {
        assert_findings(check, &[("A.md", "```\n[a](gone.md)\n```\n")], &[]);
    }
}
