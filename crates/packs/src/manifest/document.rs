//! YAML that remembers on which line everything stands, so that whatever is wrong with it can be pointed at.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Options, Spanned};

/// A document as plain JSON, and where its parts stand.
pub(super) struct Document {
    pub(super) value: Value,
    root: Node,
}

/// What keeps a document from being read at all.
pub(super) struct Unreadable {
    pub(super) line: Option<u64>,
    pub(super) problem: String,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let parsed: Result<Spanned<Node>, _> = serde_saphyr::from_str_with_options(text, options());
        let root = parsed.map_err(|error| {
            let error = error.without_snippet();
            let line = error.location().map(|place| place.line()).filter(|line| *line > 0);
            Unreadable { line, problem: error.to_string() }
        })?;
        Ok(Self { value: root.value.to_json(), root: root.value })
    }

    /// The line of what stands at this JSON pointer, or of what surrounds it when there is nothing.
    pub(super) fn line(&self, pointer: &str) -> u64 {
        let mut line = 1;
        let mut node = &self.root;
        for segment in segments(pointer) {
            let Some((at, inner)) = node.inner(&segment) else { break };
            (line, node) = (at, inner);
        }
        line
    }
}

/// What a JSON pointer names, step by step.
pub(super) fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

/// The most parts of a document, aliases unfolded: a manifest of five hundred job types has a quarter of it.
const MAX_PARTS: usize = 100_000;

/// As strict as YAML 1.2: `no` is a text, and a key stands once.
fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: MAX_PARTS, max_events: MAX_PARTS * 3 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_PARTS },
    }
}

/// A part of a document.
enum Node {
    Plain(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn to_json(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Fields(fields) => {
                let fields = fields.iter().map(|(key, field)| (key.value.clone(), field.value.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// The part of this name or number, and its line: a field begins with its key.
    fn inner(&self, segment: &str) -> Option<(u64, &Self)> {
        match self {
            Self::Plain(_) => None,
            Self::List(items) => {
                let item = items.get(segment.parse::<usize>().ok()?)?;
                Some((item.referenced.line(), &item.value))
            }
            Self::Fields(fields) => {
                let (key, field) = fields.iter().find(|(key, _)| key.value == segment)?;
                Some((key.referenced.line(), &field.value))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null, a list or fields")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("JSON has no such number"))?;
        Ok(Node::Plain(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(Spanned<String>, Spanned<Node>)> = Vec::new();
        while let Some((key, field)) = access.next_entry::<Spanned<String>, _>()? {
            if fields.iter().any(|(known, _)| known.value == key.value) {
                return Err(A::Error::custom(format!("`{}` stands twice", key.value)));
            }
            fields.push((key, field));
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_has_its_line() {
        let text = "id: a\nlist:\n  - 1\n  - b: {c: [x, true]}\n    d: no\nempty:\nversion: 1.10\n";
        let document = Document::parse(text).ok().unwrap();
        let expected =
            json!({"id": "a", "list": [1, {"b": {"c": ["x", true]}, "d": "no"}], "empty": null, "version": 1.1});
        assert_eq!(document.value, expected);
        for (pointer, line) in [
            ("", 1),
            ("/id", 1),
            ("/list", 2),
            ("/list/0", 3),
            ("/list/1/b/c/1", 4),
            ("/list/1/d", 5),
            ("/list/1/missing", 4),
            ("/empty", 6),
            ("/version", 7),
            ("/nowhere/at/all", 1),
        ] {
            assert_eq!(document.line(pointer), line, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        for (text, line) in [("a: [1\nb: 2", 2), ("a: 1\na: 2", 2), ("a: 'x", 1), ("a: *none", 1), ("a: .nan", 1)] {
            let unreadable = Document::parse(text).err().expect(text);
            assert_eq!(unreadable.line, Some(line), "{text}: {}", unreadable.problem);
        }
    }

    #[test]
    fn a_document_that_would_unfold_without_end_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for number in 1..12 {
            let inner = vec![format!("*a{}", number - 1); 10].join(", ");
            text.push_str(&format!("a{number}: &a{number} [{inner}]\n"));
        }
        assert!(Document::parse(&text).is_err());
    }
}
