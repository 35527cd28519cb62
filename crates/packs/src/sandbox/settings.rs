//! What an operator of a worker may set about the programs it runs.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use operator_core::settings::{Reader, vars};

/// What holds for every program of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSettings {
    /// Where programs get their folders: the system's folder for temporary files.
    pub tmp: PathBuf,
    /// What every program may read and execute besides the defaults, for interpreters in unusual places.
    pub read: Vec<PathBuf>,
    /// The users that programs run as, each program as another one, where the worker may choose: 59000 to 59999.
    pub uids: Option<RangeInclusive<u32>>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self { tmp: std::env::temp_dir(), read: Vec::new(), uids: Some(59_000..=59_999) }
    }
}

impl SandboxSettings {
    /// Reads `OPERATOR_SANDBOX_TMP`, `OPERATOR_SANDBOX_READ` and `OPERATOR_SANDBOX_UIDS`; what is wrong with them the
    /// reader reports.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let tmp = reader.text(&vars::OPERATOR_SANDBOX_TMP).map_or_else(std::env::temp_dir, PathBuf::from);
        let read: Vec<_> = reader
            .text_or(&vars::OPERATOR_SANDBOX_READ, "")
            .split(':')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect();
        if let Some(path) = read.iter().find(|path| path.is_relative()) {
            reader.problem(&vars::OPERATOR_SANDBOX_READ, format!("`{}` is not an absolute path", path.display()));
        }
        let text = reader.text_or(&vars::OPERATOR_SANDBOX_UIDS, vars::OPERATOR_SANDBOX_UIDS.default);
        let uids = uids(&text).unwrap_or_else(|| {
            let forms = "off, or a range of user ids above 0 such as 59000-59999";
            reader.problem(&vars::OPERATOR_SANDBOX_UIDS, format!("`{text}` is not {forms}"));
            None
        });
        Self { tmp, read, uids }
    }
}

/// Nothing when the text is no range, nothing in something when users are not switched.
fn uids(text: &str) -> Option<Option<RangeInclusive<u32>>> {
    if matches!(text, "off" | "no" | "false" | "0") {
        return Some(None);
    }
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first <= last && last < u32::MAX).then_some(Some(first..=last))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn nothing_set_means_what_the_reference_says() {
        let nothing = HashMap::new();
        assert_eq!(SandboxSettings::read(&mut Reader::new(&nothing)), SandboxSettings::default());
    }

    #[test]
    fn what_is_set_is_read_and_what_cannot_be_used_is_reported() {
        let source =
            HashMap::from([("OPERATOR_SANDBOX_READ", "/opt/py:/opt/node"), ("OPERATOR_SANDBOX_UIDS", "7000-7009")]);
        let settings = SandboxSettings::read(&mut Reader::new(&source));
        assert_eq!(settings.read, [PathBuf::from("/opt/py"), PathBuf::from("/opt/node")]);
        assert_eq!(settings.uids, Some(7000..=7009));
        for (name, bad) in [
            ("OPERATOR_SANDBOX_READ", "opt"),
            ("OPERATOR_SANDBOX_UIDS", "0-5"),
            ("OPERATOR_SANDBOX_UIDS", "9-5"),
            ("OPERATOR_SANDBOX_UIDS", "some"),
        ] {
            let source = HashMap::from([(name, bad)]);
            let mut reader = Reader::new(&source);
            SandboxSettings::read(&mut reader);
            assert!(reader.finish().unwrap_err().to_string().contains(name), "{bad}");
        }
    }
}
