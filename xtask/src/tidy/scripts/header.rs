//! The header of a script: what it is given, what it answers, what it tells the world, and what bounds its work.

/// The sections of a header, in their order.
const SECTIONS: [&str; 5] = ["KEYS", "ARGV", "Reply", "Events", "Bounds"];

/// What a script's header says of its call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The keys, in order.
    pub(super) keys: Vec<String>,
    /// Whether a note says that a key is passed and not read, as one is that only names the slot in a cluster.
    pub(super) unread_keys: bool,
    /// The highest number among the arguments.
    pub(super) arguments: usize,
    /// Whether more may follow (`2.. the lines`).
    pub(super) more_arguments: bool,
}

impl Header {
    /// Reads the header of the script called `name`.
    ///
    /// # Errors
    /// What is missing from it, as a remedy.
    pub(super) fn parse(name: &str, script: &str) -> Result<Self, String> {
        let header = text(script);
        let opening = format!("{name}.lua: ");
        if !header.starts_with(&opening) {
            return Err(format!("open with `-- {opening}` and what it does"));
        }
        let sections: Vec<&str> = header.lines().filter(|line| SECTIONS.contains(line)).collect();
        if sections != SECTIONS {
            return Err(format!("the header needs the sections {} in this order", SECTIONS.join(", ")));
        }
        if let Some(empty) = SECTIONS.iter().find(|section| section_of(&header, section).next().is_none()) {
            return Err(format!("the header's section {empty} is empty; say `none`"));
        }
        let numbers: Vec<&str> = section_of(&header, "ARGV").filter_map(number_of).collect();
        let number = |text: &&str| text.trim_end_matches('.').parse().unwrap_or(0);
        Ok(Self {
            keys: keys_of(&header)?,
            unread_keys: section_of(&header, "KEYS").any(|line| line.contains("not read")),
            arguments: numbers.iter().map(number).max().unwrap_or(0),
            more_arguments: numbers.iter().any(|number| number.ends_with("..")),
        })
    }
}

/// The leading comment without its dashes.
pub(super) fn text(script: &str) -> String {
    let lines = script.lines().map_while(|line| line.strip_prefix("--"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The parts a shared part needs before it (`Uses: a, b.`).
pub(super) fn uses(part: &str) -> Vec<&str> {
    let Some((_, uses)) = part.split_once("Uses: ") else { return Vec::new() };
    let uses = uses.split('.').next().unwrap_or_default();
    uses.split(',').map(str::trim).filter(|part| *part != "nothing").collect()
}

/// The lines of a section: everything up to the next, without the indent of two.
fn section_of<'a>(header: &'a str, section: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = header.lines().skip_while(move |line| *line != section).skip(1);
    lines.take_while(|line| !SECTIONS.contains(line)).filter_map(|line| line.strip_prefix("  "))
}

/// The 2 of `2 job id`, the `2..` of `2.. the lines`; none for a line that goes on.
fn number_of(line: &str) -> Option<&str> {
    let (number, _) = line.split_once(' ')?;
    let digits = number.strip_suffix("..").unwrap_or(number);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// `1 wait  2 the job` as two keys. A line with a deeper indent is a note.
fn keys_of(header: &str) -> Result<Vec<String>, String> {
    let mut keys = Vec::new();
    let lines = section_of(header, "KEYS").filter(|line| !line.starts_with(' ') && *line != "none");
    for entry in lines.flat_map(|line| line.split("  ")) {
        let (number, key) = entry.trim().split_once(' ').unwrap_or((entry, ""));
        if number.parse() != Ok(keys.len() + 1) || key.is_empty() {
            return Err(format!("in KEYS, `{entry}` should be `{} <key>`", keys.len() + 1));
        }
        keys.push(key.to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "-- log.lua: appends lines\n-- to a log.\n--\n-- KEYS\n--   1 the job  2 its logs\n\
        --     the second is not read\n-- ARGV\n\
        --   1 how many,\n--     on two lines\n--   2.. the lines\n-- Reply\n--   1 done\n-- Events\n--   none\n-- Bounds\n\
        --   few\nlocal a\n";

    #[test]
    fn a_header_lists_keys_and_arguments() {
        let keys = vec!["the job".to_owned(), "its logs".to_owned()];
        assert_eq!(
            Header::parse("log", SCRIPT),
            Ok(Header { keys, unread_keys: true, arguments: 2, more_arguments: true })
        );
    }

    #[test]
    fn what_a_header_lacks_is_named() {
        assert!(Header::parse("add", SCRIPT).unwrap_err().contains("add.lua: "));
        assert!(Header::parse("log", &SCRIPT.replace("-- Events\n", "")).unwrap_err().contains("Events"));
        assert!(Header::parse("log", &SCRIPT.replace("--   few\n", "")).unwrap_err().contains("Bounds"));
        assert!(Header::parse("log", &SCRIPT.replace("2 its", "3 its")).unwrap_err().contains("2 <key>"));
    }

    #[test]
    fn a_part_names_what_it_uses() {
        assert_eq!(uses("-- Uses: meta, enqueue. Bounds: x."), ["meta", "enqueue"]);
        assert!(uses("-- Uses: nothing. Bounds: x.").is_empty());
    }
}
