//! Text as the database can hold it: without U+0000, which PostgreSQL's TEXT refuses, and, for what is indexed, short.
//! Both databases store the same form, so that a dump of one can be loaded into the other.

use std::borrow::Cow;

/// U+001A, "substitute": what follows it is not itself. It hardly occurs in text, so hardly anything is changed.
const MARK: char = '\u{1a}';

/// Stands after the mark for U+0000; a console shows it as a small NUL.
const NUL_SIGN: char = '\u{2400}';

/// The longest key that is stored as it is, in bytes. PostgreSQL refuses index rows over 2704 bytes, and an index
/// holds up to three keys and a time.
const MAX_KEY: usize = 800;

/// How much of a longer key is kept in front of its digest.
const KEPT_OF_LONG_KEY: usize = 700;

/// `text` without U+0000: it becomes U+001A U+2400, and U+001A becomes U+001A U+001A.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => stored.extend([MARK, NUL_SIGN]),
            MARK => stored.extend([MARK, MARK]),
            other => stored.push(other),
        }
    }
    Cow::Owned(stored)
}

/// The text that [`stored`] was made of.
pub(crate) fn original(stored: String) -> String {
    if !stored.contains(MARK) {
        return stored;
    }
    let mut original = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        match character {
            MARK => match characters.next() {
                Some(NUL_SIGN) => original.push('\0'),
                other => original.extend(other),
            },
            other => original.push(other),
        }
    }
    original
}

/// Like [`stored`] for queues, ids and names, which are indexed: one that is too long keeps its beginning and a digest
/// of the whole, so that different keys stay different and one of them never stops a batch.
pub(crate) fn key(text: &str) -> Cow<'_, str> {
    let stored = stored(text);
    if stored.len() <= MAX_KEY {
        return stored;
    }
    let kept = stored.floor_char_boundary(KEPT_OF_LONG_KEY);
    Cow::Owned(format!("{}~{:032x}", &stored[..kept], digest(stored.as_bytes())))
}

/// FNV-1a with 128 bits: written down for good, unlike the standard library's hash, which may change.
fn digest(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |digest, byte| (digest ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_none_holds_a_nul() {
        for text in ["", "plain ünïcödé 🦀", "\0", "a\0b\0\0", "\u{1a}", "\u{1a}\u{2400}", "\u{2400}", "\u{1a}\0\u{1a}"]
        {
            let stored = stored(text);
            assert!(!stored.contains('\0'), "{text:?}");
            assert_eq!(original(stored.into_owned()), text);
        }
    }

    #[test]
    fn a_text_without_nul_is_stored_as_it_is() {
        assert!(matches!(stored("line\nline\t␀ \u{1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_keys_are_short_and_different() {
        let (one, other) = ("é".repeat(5000) + "1", "é".repeat(5000) + "2");
        assert!(key(&one).len() <= MAX_KEY);
        assert_ne!(key(&one), key(&other));
        assert_eq!(key("short"), "short");
        assert_eq!(digest(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(digest(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
