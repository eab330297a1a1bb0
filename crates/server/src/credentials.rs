//! Credentials in a file, to begin with.

use serde_json::Value as Json;

use crate::{Server, http::json::parse_security};

/// Text that does not say what endpoints have to show. It quotes nothing of the text: there are keys in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsError(String);

impl Server {
    /// Says what endpoints have to show, before the server runs: from a JSON array of credentials as
    /// `GET /api/security/clients?keys` gives it (docs/api/http.md).
    ///
    /// # Errors
    /// What is wrong with the text; what stands before that was set.
    pub fn load_credentials(&mut self, text: &str) -> Result<(), CredentialsError> {
        let wrong = |at: usize, why: String| CredentialsError(format!("entry {}: {why}", at + 1));
        let file: Vec<Json> = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            CredentialsError(format!("line {line}, column {column}: this is no array of credentials in JSON"))
        })?;
        for (at, credentials) in file.iter().enumerate() {
            let (endpoint, info) = parse_security(credentials).map_err(|error| wrong(at, error.text))?;
            self.set_security(&endpoint, info).map_err(|taken| wrong(at, taken.to_string()))?;
        }
        Ok(())
    }
}
