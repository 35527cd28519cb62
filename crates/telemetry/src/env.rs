//! The process environment as a source of settings, with `NAME_FILE` for values kept in files.
//!
//! What the variables mean is left to whoever reads them through [`Reader`](operator_core::settings::Reader).

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use operator_core::settings::Source;

/// The environment of this process.
///
/// When `NAME` is absent or blank and `NAME_FILE` names a file, the trimmed content of that file is the value, which
/// is how container platforms hand out secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

/// The most a `NAME_FILE` may hold: far above any secret or certificate, far below what a wrong path could cost.
const MAX_FILE_BYTES: u64 = 64 * 1024;

impl Source for ProcessEnv {
    fn get(&self, name: &str) -> Result<Option<String>, String> {
        lookup(name, |name| std::env::var_os(name))
    }
}

fn lookup(name: &str, var: impl Fn(&str) -> Option<OsString>) -> Result<Option<String>, String> {
    let value = var(name).map(text).transpose()?.filter(|value| !value.trim().is_empty());
    if value.is_some() {
        return Ok(value);
    }
    let file_var = format!("{name}_FILE");
    let Some(path) = var(&file_var).filter(|path| !path.is_empty()) else { return Ok(None) };
    match read_value(Path::new(&path)) {
        // Who names a file means its content: nothing in it is a secret not filled in yet, not a wish to go without one.
        Ok(value) if value.is_empty() => Err(format!("{file_var} names {}, which is empty", path.display())),
        Ok(value) => Ok(Some(value)),
        Err(problem) => Err(format!("{file_var} names {}, {problem}", path.display())),
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|_| "the value is not valid UTF-8".to_owned())
}

fn read_value(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("which cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("which is larger than {MAX_FILE_BYTES} bytes"));
    }
    let content = String::from_utf8(bytes).map_err(|_| "which is not valid UTF-8".to_owned())?;
    Ok(content.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write;

    use operator_core::settings::{Reader, vars};

    use super::*;

    fn look(name: &str, vars: &HashMap<&str, OsString>) -> Result<Option<String>, String> {
        lookup(name, |name| vars.get(name).cloned())
    }

    fn file_with(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn a_value_may_come_from_a_file() {
        let file = file_with(b"redis://:hunter2@db\n");
        let vars = HashMap::from([("REDIS_URL_FILE", file.path().as_os_str().to_owned()), ("REDIS_URL", " ".into())]);
        assert_eq!(look("REDIS_URL", &vars), Ok(Some("redis://:hunter2@db".to_owned())));
        assert_eq!(look("DATABASE_URL", &vars), Ok(None));
    }

    #[test]
    fn the_variable_itself_wins_over_its_file() {
        let vars = HashMap::from([("PORT_FILE", "/does/not/exist".into()), ("PORT", "80".into())]);
        assert_eq!(look("PORT", &vars), Ok(Some("80".to_owned())));
    }

    #[test]
    fn an_unusable_file_is_named_and_its_content_is_not() {
        let missing = HashMap::from([("OPERATOR_API_KEY_FILE", "/does/not/exist".into())]);
        let error = look("OPERATOR_API_KEY", &missing).unwrap_err();
        assert!(error.contains("OPERATOR_API_KEY_FILE") && error.contains("/does/not/exist"), "{error}");

        let empty = file_with(b" \n");
        let vars = HashMap::from([("OPERATOR_API_KEY_FILE", empty.path().as_os_str().to_owned())]);
        let error = look("OPERATOR_API_KEY", &vars).unwrap_err();
        assert!(error.contains("OPERATOR_API_KEY_FILE") && error.contains("empty"), "{error}");

        let long = "s3cret".repeat(20_000);
        for content in [long.as_bytes(), b"s3cret\xff"] {
            let file = file_with(content);
            let vars = HashMap::from([("OPERATOR_API_KEY_FILE", file.path().as_os_str().to_owned())]);
            let error = look("OPERATOR_API_KEY", &vars).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_real_environment_is_read() {
        let source = ProcessEnv;
        assert!(source.get("PATH").unwrap().is_some());
        let mut reader = Reader::new(&source);
        assert_eq!(reader.text(&vars::OPERATOR_WORKER_NAME), None);
    }
}
