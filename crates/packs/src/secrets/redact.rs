//! Takes secrets out of whatever a job says before it is stored.
//!
//! Found are the value itself, each longer line of it, and its forms in JSON, in a URL, in hexadecimal and in base64, also
//! as part of something longer in base64. A program that takes a secret apart, or encodes it otherwise, is not seen through.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use operator_core::Json;
use operator_core::settings::Secret;
use serde_json::Value;

/// A shorter value would be found everywhere, and what is left of the text would tell it.
const MIN_BYTES: usize = 6;

/// A shorter encoded form could be part of anything.
const MIN_ENCODED: usize = 8;

/// Knows the secrets that a job type was given.
#[derive(Default)]
pub struct Redactor {
    /// None without a secret.
    finder: Option<AhoCorasick>,
    /// What replaces each pattern of the finder.
    replacements: Vec<String>,
}

impl Redactor {
    /// A redactor of the secrets with these names and values.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        let (mut patterns, mut replacements) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            let forms = forms(secret.expose());
            replacements.extend(forms.iter().map(|_| format!("[secret {name}]")));
            patterns.extend(forms);
        }
        if patterns.is_empty() {
            return Self::default();
        }
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
        Self { finder: Some(finder.expect("a few short patterns fit into the finder")), replacements }
    }

    /// Whether a value of this length is taken out at all.
    #[must_use]
    pub fn is_long_enough(secret: &Secret) -> bool {
        secret.expose().len() >= MIN_BYTES
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match &self.finder {
            Some(finder) if finder.is_match(text) => finder.replace_all(text, &self.replacements),
            _ => text.to_owned(),
        }
    }

    /// The JSON without secrets, byte for byte the same when there are none. Texts are looked at as they are meant,
    /// whatever escapes they are written with.
    #[must_use]
    pub fn json(&self, json: Json) -> Json {
        let Some(finder) = &self.finder else { return json };
        if !json.as_str().contains('\\') && !finder.is_match(json.as_str()) {
            return json;
        }
        let Ok(mut value) = json.decode::<Value>() else {
            return Json::encode(&self.text(json.as_str())).unwrap_or(json);
        };
        if self.value(&mut value) { value.into() } else { json }
    }

    /// Whether anything was taken out.
    fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => self.replace(text),
            Value::Number(number) => {
                let mut text = number.to_string();
                let found = self.replace(&mut text);
                if found {
                    *value = Value::String(text);
                }
                found
            }
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.value(item) | found),
            Value::Object(members) => {
                let mut found = false;
                let old = std::mem::take(members);
                for (mut name, mut value) in old {
                    found |= self.replace(&mut name) | self.value(&mut value);
                    members.insert(name, value);
                }
                found
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    fn replace(&self, text: &mut String) -> bool {
        let found = self.finder.as_ref().is_some_and(|finder| finder.is_match(text.as_str()));
        if found {
            *text = self.text(text);
        }
        found
    }
}

/// The value and everything it is looked for as.
fn forms(secret: &str) -> Vec<String> {
    if secret.len() < MIN_BYTES {
        return Vec::new();
    }
    let escaped = Value::from(secret).to_string();
    let mut forms = vec![secret.to_owned(), escaped[1..escaped.len() - 1].to_owned()];
    forms.extend(secret.lines().map(str::trim).filter(|line| line.len() >= MIN_ENCODED).map(str::to_owned));
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    forms.extend([encoded.replace('+', "%20"), encoded]);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.extend([hex.to_uppercase(), hex]);
    forms.extend((0..3).flat_map(|before| in_base64(secret, before)).filter(|form| form.len() >= MIN_ENCODED));
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// What is the same of the base64 of any text in which the secret follows `before` bytes, modulo three.
fn in_base64(secret: &str, before: usize) -> [String; 2] {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    // Each character holds six bits; those that hold a bit of a neighbour are left out.
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|text| text[from..to].to_owned())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;

    fn redactor(value: &str) -> Redactor {
        Redactor::new([("KEY", &Secret::new(value))])
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secret = "p\u{e4}ss \"w/ord\"+1";
        let redactor = redactor(secret);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret.to_owned(), json!(secret).to_string().trim_matches('"').to_owned(), hex, url] {
            assert_eq!(redactor.text(&format!("a {form} b")), "a [secret KEY] b", "{form}");
        }
        for around in ["", "u:", "user:", "me:"] {
            let encoded = STANDARD.encode(format!("{around}{secret}@host"));
            assert!(redactor.text(&encoded).contains("[secret KEY]"), "{encoded}");
        }
        assert_eq!(redactor.text("nothing here"), "nothing here");
    }

    #[test]
    fn each_line_of_a_key_file_is_taken_out() {
        let redactor = redactor("-----BEGIN-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END-----");
        assert_eq!(redactor.text("line MIIEvQIBADAN"), "line [secret KEY]");
    }

    #[test]
    fn json_stays_json_and_untouched_json_stays_as_it_is() {
        let redactor = redactor("123456789");
        let json = |text: &str| redactor.json(Json::parse(text).unwrap()).as_str().to_owned();
        assert_eq!(json(r#"{"b": 1.0, "a": "x\u0020"}"#), r#"{"b": 1.0, "a": "x\u0020"}"#);
        assert_eq!(json("[123456789]"), r#"["[secret KEY]"]"#);
        assert_eq!(json(r#"{"a":["x\u0031\u00323456789"]}"#), r#"{"a":["x[secret KEY]"]}"#);
        assert_eq!(json(r#"{"123456789":1}"#), r#"{"[secret KEY]":1}"#);
    }

    #[test]
    fn a_short_value_is_left_alone() {
        assert_eq!(redactor("12345").text("12345"), "12345");
        assert!(!Redactor::is_long_enough(&Secret::new("12345")));
    }
}
