//! Configurations and credentials in a file, to begin with.

use serde_json::Value as Json;

use crate::{Server, http::json};

/// Text that does not say what clients are to be bootstrapped with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BootstrapFileError(String);

impl Server {
    /// Sets what the bootstrap server brings to whom, and what they have to show, before it runs: from JSON such as
    /// `{"configurations":{"EP":CONFIGURATION},"credentials":[CREDENTIALS]}`, either member as the HTTP API gives it
    /// (docs/api/http.md).
    ///
    /// # Errors
    /// What is wrong with the text; what stands before that was set.
    pub fn load_bootstrap(&mut self, text: &str) -> Result<(), BootstrapFileError> {
        let wrong = |where_: &str, why: String| BootstrapFileError(format!("{where_}: {why}"));
        // What the parser says quotes nothing: it stops at the first character that is not JSON.
        let file: Json = serde_json::from_str(text).map_err(|error| BootstrapFileError(error.to_string()))?;
        let members = file.as_object().ok_or_else(|| BootstrapFileError("it is not a JSON object".to_owned()))?;
        if let Some(other) = members.keys().find(|name| !["configurations", "credentials"].contains(&name.as_str())) {
            return Err(BootstrapFileError(format!("{other} is not known")));
        }
        for (endpoint, configuration) in file["configurations"].as_object().into_iter().flatten() {
            let plan = json::plan(configuration).map_err(|why| wrong(endpoint, why))?;
            self.set_plan(endpoint, plan);
        }
        for credentials in file["credentials"].as_array().into_iter().flatten() {
            let parsed = json::parse_security(credentials);
            let (endpoint, info) = parsed.map_err(|error| wrong("credentials", error.text))?;
            self.set_bootstrap_security(&endpoint, info).map_err(|taken| wrong(&endpoint, taken.to_string()))?;
        }
        Ok(())
    }
}
