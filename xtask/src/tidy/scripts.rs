//! The Lua scripts: each says in its header what it is given and answers, uses exactly the keys it lists, and gets
//! exactly those from the Rust side.

mod entry;
mod header;

use super::tree::{File, Finding, Tree};
use entry::Entry;
use header::Header;

const FOLDER: &str = "crates/queue/lua/";
const INCLUDES: &str = "crates/queue/lua/include/";
/// Shortcuts of scripts for what nearly every call brings; what is said of the script holds for them.
const PLAIN: &str = "crates/queue/lua/plain/";
const RUST: &str = "crates/queue/src/scripts.rs";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let entries = tree.file(RUST).map(|file| entry::parse(&file.text)).unwrap_or_default();
    let mut found: Vec<Finding> = entries.iter().flat_map(|entry| entry_problems(tree, entry)).collect();
    for file in tree.ending(&[".lua"]).filter(|file| file.path.starts_with(FOLDER)) {
        let name = name_of(file);
        if file.path.starts_with(INCLUDES) {
            found.extend(part_problems(file));
            if !entries.iter().any(|entry| entry.parts.contains(&name)) {
                found.push(file.finding("no script uses it"));
            }
        } else if file.path.starts_with(PLAIN) {
            let entry = entries.iter().find(|entry| entry.name == name);
            found.extend(shortcut_problems(file, entry).into_iter().map(|problem| file.finding(problem)));
        } else {
            let entry = entries.iter().find(|entry| entry.name == name);
            found.extend(script_problems(tree, file, entry).into_iter().map(|problem| file.finding(problem)));
        }
    }
    found
}

fn name_of(file: &File) -> &str {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    name.trim_end_matches(".lua")
}

/// What the Rust side says of scripts and parts that are not there, or joined in the wrong order.
fn entry_problems(tree: &Tree, entry: &Entry<'_>) -> Vec<Finding> {
    let finding = |remedy| Finding { path: RUST.to_owned(), line: 0, remedy };
    let mut found = Vec::new();
    if tree.file(&format!("{FOLDER}{}.lua", entry.name)).is_none() {
        found.push(finding(format!("`{}` has no file in {FOLDER}", entry.name)));
    }
    for (position, part) in entry.parts.iter().enumerate() {
        let Some(file) = tree.file(&format!("{INCLUDES}{part}.lua")) else {
            found.push(finding(format!("`{}` uses `{part}`, which is not in {INCLUDES}", entry.name)));
            continue;
        };
        let missing = header::uses(&file.text).into_iter().find(|used| !entry.parts[..position].contains(used));
        if let Some(missing) = missing {
            found.push(finding(format!("`{}` joins `{part}` without `{missing}` before it", entry.name)));
        }
    }
    found
}

fn part_problems(file: &File) -> Vec<Finding> {
    let name = name_of(file);
    let header = header::text(&file.text);
    let opening = format!("include/{name}.lua: ");
    let mut found = Vec::new();
    if !header.starts_with(&opening) {
        found.push(file.finding(format!("open with `-- {opening}` and what it is for")));
    }
    for section in ["Uses: ", "Bounds: "] {
        if !header.contains(section) {
            found.push(file.finding(format!("the header lacks `{section}`")));
        }
    }
    found
}

fn shortcut_problems(file: &File, entry: Option<&Entry<'_>>) -> Vec<String> {
    let opening = format!("plain/{}.lua: ", name_of(file));
    let mut problems = Vec::new();
    if !header::text(&file.text).starts_with(&opening) {
        problems.push(format!("open with `-- {opening}` and what it is for"));
    }
    match entry {
        None => problems.push("is the shortcut of no script".to_owned()),
        Some(entry) if highest(std::iter::once(file.text.as_str()), "KEYS[") > entry.keys.len() => {
            problems.push(format!("uses more keys than the {} of its script", entry.keys.len()));
        }
        Some(_) => {}
    }
    problems
}

fn script_problems(tree: &Tree, file: &File, entry: Option<&Entry<'_>>) -> Vec<String> {
    let header = match Header::parse(name_of(file), &file.text) {
        Ok(header) => header,
        Err(problem) => return vec![problem],
    };
    let Some(entry) = entry else { return vec![format!("has no entry in {RUST}")] };
    let parts = entry.parts.iter().filter_map(|part| tree.file(&format!("{INCLUDES}{part}.lua")));
    let texts = || std::iter::once(file).chain(parts.clone()).map(|file| file.text.as_str());
    let mut problems = Vec::new();

    let (listed, used) = (header.keys.len(), highest(texts(), "KEYS["));
    if used > listed || (used < listed && !header.unread_keys) {
        problems.push(format!("the header lists {listed} keys, the script uses {used}"));
    }
    if header.keys.len() != entry.keys.len() {
        problems.push(format!("the header lists {listed} keys, {RUST} passes {}", entry.keys.len()));
    }
    for (key, passed) in header.keys.iter().zip(&entry.keys).filter(|(key, passed)| !same_key(key, passed)) {
        problems.push(format!("the header lists the key `{key}` where {RUST} passes `{passed}`"));
    }
    let used = highest(texts(), "ARGV[");
    if used > header.arguments || (used < header.arguments && !header.more_arguments) {
        problems.push(format!("the header lists {} arguments, the script uses {used}", header.arguments));
    }
    problems
}

/// A key of a job has a name in words in the header and a pattern in Rust; all others are spelt alike.
fn same_key(listed: &str, passed: &str) -> bool {
    listed == passed || passed.starts_with("<job>") && listed.contains(' ')
}

/// The highest number that follows `opening` in code.
fn highest<'a>(texts: impl Iterator<Item = &'a str>, opening: &str) -> usize {
    let code = texts.flat_map(str::lines).map(|line| line.split("--").next().unwrap_or_default());
    let numbers =
        code.flat_map(|line| line.split(opening).skip(1)).filter_map(|rest| rest.split_once(']')?.0.parse().ok());
    numbers.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    const PART: &str =
        "-- include/part.lua: shares.\n-- Uses: nothing. Bounds: one command.\nlocal function share() end\n";
    const RUST_SIDE: &str = "script!(\n /// Adds.\n ADD = \"add\", [\"part\"], [\"wait\", \"<job>\"]\n);\n";

    fn script(keys: &str, code: &str) -> String {
        format!(
            "-- add.lua: adds.\n--\n-- KEYS\n--   {keys}\n-- ARGV\n--   1 the job\n-- Reply\n--   none\n-- Events\n\
             --   none\n-- Bounds\n--   one\n{code}\n"
        )
    }

    fn check_script(script: &str, rust: &str, expected: &[&str]) {
        let files = [("crates/queue/lua/add.lua", script), ("crates/queue/lua/include/part.lua", PART), (RUST, rust)];
        assert_findings(check, &files, expected);
    }

    #[test]
    fn a_script_agrees_with_its_header_and_with_rust() {
        check_script(&script("1 wait  2 the job", "f(KEYS[1], KEYS[2], ARGV[1])"), RUST_SIDE, &[]);
    }

    #[test]
    fn each_disagreement_is_found() {
        let place = &["crates/queue/lua/add.lua"][..];
        check_script(&script("1 wait  2 the job", "f(KEYS[1], ARGV[1])"), RUST_SIDE, place);
        check_script(&script("1 active  2 the job", "f(KEYS[1], KEYS[2], ARGV[1])"), RUST_SIDE, place);
        check_script(&script("1 wait  2 the job", "f(KEYS[1], KEYS[2], ARGV[2])"), RUST_SIDE, place);
        check_script("-- add.lua: adds.\nlocal a\n", RUST_SIDE, place);
        let fewer = RUST_SIDE.replace(", \"<job>\"", "");
        check_script(&script("1 wait  2 the job", "f(KEYS[1], KEYS[2], ARGV[1])"), &fewer, place);
    }

    #[test]
    fn a_part_comes_after_what_it_uses() {
        let part = PART.replace("nothing", "other");
        let good = script("1 wait  2 the job", "f(KEYS[1], KEYS[2], ARGV[1])");
        let files =
            [("crates/queue/lua/add.lua", &*good), ("crates/queue/lua/include/part.lua", &*part), (RUST, RUST_SIDE)];
        assert_findings(check, &files, &[RUST]);
    }
}
