//! JSON Schemas of what jobs take and give: compiled once, then asked about documents.
//!
//! A schema comes from whoever wrote a pack, and is applied to whatever anybody submits. So nothing is fetched, patterns
//! run in linear time, and what is found is told without repeating the document.

use std::fmt;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use thiserror::Error;

use crate::Json;

/// The most that is told about one document: enough to mend it, short of a page per job.
const MAX_MISMATCHES: usize = 20;

/// The largest schema, in bytes. It is published, kept and compiled by every process that reads it.
const MAX_SCHEMA_BYTES: usize = 256 * 1024;

/// The most memory that one compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// A compiled schema.
pub struct Schema {
    source: Json,
    /// The same, read: a message lists the fields that there are.
    tree: Value,
    validator: Validator,
}

/// The most fields that a message lists.
const MAX_LISTED: usize = 20;

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSchema {
    /// It is published with the pack, and everybody reads it.
    #[error("the schema has {bytes} bytes and at most {MAX_SCHEMA_BYTES} are allowed: shorten it")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is no schema, or asks for something that is not there.
    #[error("{at}: {problem}", at = if pointer.is_empty() { "the schema" } else { pointer })]
    Invalid {
        /// Where in the schema, as a JSON pointer.
        pointer: String,
        /// What is wrong there.
        problem: String,
    },
}

/// Where a document does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the document, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong there, without the document's own words.
    pub problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.problem),
            pointer => write!(f, "{pointer}: {}", self.problem),
        }
    }
}

impl Schema {
    /// Compiles `source`, a schema of draft 2020-12 unless its `$schema` says otherwise.
    ///
    /// # Errors
    /// [`BadSchema`] when it is too large or no schema, refers to another document, or has a pattern that looks around
    /// or back.
    pub fn compile(source: &Json) -> Result<Self, BadSchema> {
        let bytes = source.as_str().len();
        if bytes > MAX_SCHEMA_BYTES {
            return Err(BadSchema::TooLarge { bytes });
        }
        let tree: Value = source
            .decode()
            .map_err(|error| BadSchema::Invalid { pointer: String::new(), problem: error.to_string() })?;
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES);
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .with_pattern_options(patterns)
            .offline()
            .build(&tree)
            .map_err(|error| BadSchema::Invalid {
                pointer: error.instance_path().to_string(),
                problem: error.to_string(),
            })?;
        Ok(Self { source: source.clone(), tree, validator })
    }

    /// What it was compiled from.
    #[must_use]
    pub fn source(&self) -> &Json {
        &self.source
    }

    /// Where `document` does not fit, the first few places of many; empty when it fits.
    #[must_use]
    pub fn mismatches(&self, document: &Json) -> Vec<Mismatch> {
        match document.decode() {
            Ok(value) => self.mismatches_of(&value),
            Err(error) => vec![Mismatch { pointer: String::new(), problem: error.to_string() }],
        }
    }

    /// The same for a document that was read already.
    #[must_use]
    pub fn mismatches_of(&self, document: &Value) -> Vec<Mismatch> {
        if self.validator.is_valid(document) {
            return Vec::new();
        }
        self.validator.iter_errors(document).flat_map(|error| self.explain(&error)).take(MAX_MISMATCHES).collect()
    }

    /// An unknown or missing field is told as what is wrong with that field.
    fn explain(&self, error: &ValidationError<'_>) -> Vec<Mismatch> {
        let pointer = error.instance_path().to_string();
        let of = |field: &str, problem: String| {
            let field = field.replace('~', "~0").replace('/', "~1");
            Mismatch { pointer: format!("{pointer}/{field}"), problem }
        };
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let problem = match self.fields_beside(&error.schema_path().to_string()) {
                    known if known.is_empty() => "is not known here".to_owned(),
                    known => format!("is not known here: use {}", known.join(", ")),
                };
                unexpected.iter().map(|field| of(field, problem.clone())).collect()
            }
            Kind::Required { property } => vec![of(property.as_str().unwrap_or_default(), "is missing".to_owned())],
            Kind::Type { .. } if error.instance().is_number() => {
                let problem = format!("{} (a text that looks like a number needs quotes)", error.masked());
                vec![Mismatch { pointer, problem }]
            }
            _ => vec![Mismatch { pointer, problem: error.masked().to_string() }],
        }
    }

    /// The fields that the schema with this keyword describes.
    fn fields_beside(&self, keyword: &str) -> Vec<&str> {
        let around = keyword.rsplit_once('/').map_or("", |(around, _)| around);
        let fields = self.tree.pointer(&format!("{around}/properties")).and_then(Value::as_object);
        fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str)).take(MAX_LISTED).collect()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

/// Schemas are the same when they were compiled from the same text.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(source: serde_json::Value) -> Schema {
        Schema::compile(&source.into()).unwrap()
    }

    fn told(schema: &Schema, document: serde_json::Value) -> Vec<String> {
        schema.mismatches(&document.into()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_pointer_and_not_repeated() {
        let schema = schema(json!({
            "type": "object",
            "required": ["id"],
            "additionalProperties": false,
            "properties": {
                "id": {"type": "string", "pattern": "^[a-z]+$"},
                "items": {"type": "array", "items": {"type": "integer", "maximum": 9}},
                "when": {"format": "date-time"},
            },
        }));
        assert!(told(&schema, json!({"id": "a", "items": [1, 2], "when": "2026-01-02T03:04:05Z"})).is_empty());
        assert_eq!(told(&schema, json!({})), ["/id: is missing"]);
        assert_eq!(
            told(&schema, json!({"id": "a", "items": [1, 22]})),
            ["/items/1: value is greater than the maximum of 9"]
        );
        assert_eq!(told(&schema, json!({"id": "a", "idd": 1})), ["/idd: is not known here: use id, items, when"]);
        let secret = told(&schema, json!({"id": "HUNTER2", "when": "HUNTER2"}));
        assert_eq!(secret.len(), 2);
        assert!(!secret.concat().contains("HUNTER2"), "{secret:?}");
    }

    #[test]
    fn what_is_told_is_bounded() {
        let schema = schema(json!({"items": {"type": "string"}}));
        assert_eq!(told(&schema, json!(vec![0; 10_000])).len(), MAX_MISMATCHES);
    }

    #[test]
    fn what_is_no_schema_says_where() {
        for (source, part) in [
            (json!({"type": "strin"}), "/type"),
            (json!({"properties": {"a": {"minimum": "1"}}}), "/properties/a/minimum"),
            (json!({"$ref": "https://example.com/other.json"}), "https://example.com/other.json"),
            (json!({"$ref": "#/$defs/missing"}), "missing"),
            (json!({"pattern": "(?=a)b"}), "/pattern"),
            (json!({"pattern": "(a{1000}){1000}"}), "/pattern"),
            (json!(1), "the schema"),
            (json!({"description": "x".repeat(MAX_SCHEMA_BYTES)}), "bytes"),
        ] {
            let error = Schema::compile(&source.into()).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_pattern_takes_linear_time() {
        let schema = schema(json!({"pattern": "^(a+)+$"}));
        assert_eq!(told(&schema, json!(format!("{}b", "a".repeat(100_000)))).len(), 1);
    }
}
