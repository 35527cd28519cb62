//! The beginning of a text that may be long, for messages that are stored with a job.

use std::fmt;

/// Shows at most the first `.1` bytes of `.0`, and an ellipsis when there is more.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, limit) = *self;
        if text.len() <= limit {
            return f.write_str(text);
        }
        write!(f, "{}…", &text[..text.floor_char_boundary(limit)])
    }
}

#[cfg(test)]
mod tests {
    use super::Excerpt;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(Excerpt("short", 5).to_string(), "short");
        assert_eq!(Excerpt("größer", 3).to_string(), "gr…");
    }
}
