//! Secrets by name, from where the worker keeps them: its environment, files that the environment names, a folder.
//!
//! A job type gets those that its manifest lists. What must not be stored with a job is the [`Redactor`]'s business.

mod redact;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use operator_core::settings::{Secret, Source, vars};
use thiserror::Error;

pub use redact::Redactor;

/// Why a secret, or a variable to be passed on, cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Nobody provides it.
    #[error("the secret {0} is neither in the worker's environment nor in a file ({0}_FILE, OPERATOR_SECRETS_DIR)")]
    Missing(String),
    /// It is there and cannot be read.
    #[error("the secret {name} cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What the system said.
        reason: String,
    },
    /// What a worker is configured with is for the worker.
    #[error("{0} is a setting of the worker, which no pack is given")]
    WorkersOwn(String),
    /// Not the name of an environment variable.
    #[error("`{0}` cannot be the name of a variable: letters, digits and _ only")]
    BadName(String),
}

/// Where a worker keeps secrets. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    /// Reads `NAME`, and `NAME_FILE` where the source does.
    source: Arc<dyn Source + Send + Sync>,
    folder: Option<PathBuf>,
}

impl Secrets {
    /// Secrets from `source`, then from the files of `folder`, each called as the secret is.
    #[must_use]
    pub fn new(source: Arc<dyn Source + Send + Sync>, folder: Option<PathBuf>) -> Self {
        Self { source, folder }
    }

    /// The secret called `name`.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn get(&self, name: &str) -> Result<Secret, SecretError> {
        self.variable(name)?.map_or_else(|| self.in_folder(name), Ok)
    }

    /// The environment variable called `name`, for a manifest that passes it on.
    ///
    /// # Errors
    /// [`SecretError`]; that it is not set is none.
    pub fn variable(&self, name: &str) -> Result<Option<Secret>, SecretError> {
        check(name)?;
        let unreadable = |reason| SecretError::Unreadable { name: name.to_owned(), reason };
        Ok(self.source.get(name).map_err(unreadable)?.map(Secret::new))
    }

    fn in_folder(&self, name: &str) -> Result<Secret, SecretError> {
        let missing = || SecretError::Missing(name.to_owned());
        let path = self.folder.as_ref().ok_or_else(missing)?.join(name);
        match fs::read_to_string(path) {
            Ok(text) => Ok(Secret::new(text.trim_end_matches(['\n', '\r']))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(SecretError::Unreadable { name: name.to_owned(), reason: error.to_string() }),
        }
    }
}

fn check(name: &str) -> Result<(), SecretError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) || name.as_bytes()[0].is_ascii_digit() {
        return Err(SecretError::BadName(name.to_owned()));
    }
    // With the address of Redis or the key of the API a job could do whatever the worker can.
    let bare = name.strip_suffix("_FILE").unwrap_or(name);
    let is_own = vars::ALL.iter().any(|var| var.name == bare || var.older.contains(&bare));
    if is_own { Err(SecretError::WorkersOwn(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_secret_is_found_in_the_environment_before_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("TOKEN"), "from the folder\n").unwrap();
        fs::write(folder.path().join("OTHER"), "other").unwrap();
        let environment = HashMap::from([("TOKEN", "from the environment")]);
        let secrets = Secrets::new(Arc::new(environment), Some(folder.path().to_owned()));
        assert_eq!(secrets.get("TOKEN").unwrap().expose(), "from the environment");
        assert_eq!(secrets.get("OTHER").unwrap().expose(), "other");
        assert_eq!(secrets.get("NONE"), Err(SecretError::Missing("NONE".to_owned())));
        assert_eq!(secrets.variable("OTHER"), Ok(None));
    }

    #[test]
    fn the_workers_own_settings_and_paths_are_no_secrets_of_a_pack() {
        let environment = HashMap::from([("REDIS_URL", "redis://user:password@host")]);
        let secrets = Secrets::new(Arc::new(environment), None);
        for name in ["REDIS_URL", "BR_OS_QUEUE_URL", "OPERATOR_API_KEY_FILE", "DATABASE_URL"] {
            assert_eq!(secrets.get(name), Err(SecretError::WorkersOwn(name.to_owned())));
        }
        for name in ["../etc/shadow", "", "A B", "1A"] {
            assert_eq!(secrets.get(name), Err(SecretError::BadName(name.to_owned())));
        }
    }
}
