use std::io;
use std::path::{Path, PathBuf};

use super::secret::SecretSource;

/// Why a configuration was refused. Its text is one line that names the key, the value and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {error}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is not TOML.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What TOML says about it.
        message: String,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}`; the nearest known one is `{nearest}`")]
    UnknownKey {
        /// The key with its tables, `device.modle`.
        key: String,
        /// The known key that looks most like it.
        nearest: String,
    },
    /// A value that the key does not take.
    #[error("`{key}` = {value}: expected {expected}")]
    Value {
        /// The key with its tables.
        key: String,
        /// The value as TOML.
        value: String,
        /// What the key takes.
        expected: String,
    },
    /// What an agent cannot do without was given neither in a file nor otherwise.
    #[error("`{key}` is missing: it is needed in the configuration or on the command line")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key is missing that others in its table need.
    #[error("`{key}` is missing")]
    Absent {
        /// The key with its tables.
        key: String,
    },
    /// There is no server.
    #[error("no server: `server` or `bootstrap-server` is needed in the configuration or on the command line")]
    NoServer,
    /// A key that means nothing without another.
    #[error("`{key}` needs `{other}` beside it")]
    Needs {
        /// The key that is there.
        key: &'static str,
        /// The key that is not.
        other: &'static str,
    },
    /// Two keys that exclude each other.
    #[error("`{key}` and `{other}` exclude each other")]
    Conflict {
        /// One of them.
        key: &'static str,
        /// The other one.
        other: &'static str,
    },
    /// A secret that cannot be used; it is not repeated here.
    #[error("`{key}`: expected {expected}")]
    Secret {
        /// The key.
        key: &'static str,
        /// What the key takes.
        expected: &'static str,
    },
    /// A file that a key names could not be read.
    #[error("`{key}`: cannot read {path}: {error}", path = .path.display())]
    UnreadableKey {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A `coaps` URI and nothing to prove with who the client is.
    #[error(
        "{uri} needs `psk-identity` and `psk-key-file`; or `key`, `cert` and `server-cert`; or `key` and `server-key`"
    )]
    NoCredentials {
        /// The URI.
        uri: String,
    },
    /// Credentials, and no `coaps` URI.
    #[error("`{key}` has no use with {uri}, which is plain CoAP: did you mean coaps://?")]
    Unused {
        /// The credential's key.
        key: &'static str,
        /// The URI.
        uri: String,
    },
    /// An error in a file.
    #[error("{path}: {error}", path = .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error.
        error: Box<ConfigError>,
    },
}

impl ConfigError {
    /// A file that a key names is not what the key takes.
    pub(super) fn file(key: &str, path: &Path, expected: impl Into<String>) -> Self {
        Self::Value { key: key.to_owned(), value: path.display().to_string(), expected: expected.into() }
    }

    /// A secret is not what its key takes.
    pub(super) fn unusable(key: &'static str, source: &SecretSource, expected: &'static str) -> Self {
        match source {
            SecretSource::File(path) => Self::file(key, path, expected),
            SecretSource::Given(_) => Self::Secret { key, expected },
        }
    }

    /// The text of a file is not TOML.
    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
        Self::Syntax { line, column, message: error.message().replace('\n', ", ") }
    }
}
