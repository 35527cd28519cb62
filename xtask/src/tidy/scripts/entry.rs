//! The Rust side of a script, read from the text of the queue crate's `scripts.rs`.

/// One `script!` entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The file under `lua/`, without ending.
    pub(super) name: &'a str,
    /// The shared parts joined before it, in order.
    pub(super) parts: Vec<&'a str>,
    /// The key suffixes it is called with.
    pub(super) keys: Vec<&'a str>,
}

/// Every entry of the form `script!(NAME = "file", ["part", …], ["key", …]);`.
pub(super) fn parse(text: &str) -> Vec<Entry<'_>> {
    let entries = text.split("\nscript!(").skip(usize::from(!text.starts_with("script!(")));
    entries.filter_map(|entry| entry.split_once(");")).filter_map(|(entry, _)| parse_one(entry)).collect()
}

fn parse_one(entry: &str) -> Option<Entry<'_>> {
    let (_, entry) = entry.split_once(" = ")?;
    let (name, lists) = entry.split_once('[')?;
    let (parts, keys) = lists.split_once(']')?;
    Some(Entry { name: quoted(name).first()?, parts: quoted(parts), keys: quoted(keys) })
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_whole() {
        let text = "script!(\n/// A.\nADD = \"add\", [\"meta\"],\n[\"wait\", \"a:b\"]\n);\nscript!(\nSTATE = \"state\", [], []\n);";
        let add = Entry { name: "add", parts: vec!["meta"], keys: vec!["wait", "a:b"] };
        let state = Entry { name: "state", parts: vec![], keys: vec![] };
        assert_eq!(parse(text), [add, state]);
    }
}
