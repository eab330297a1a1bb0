//! Diagnostics go to stderr: one line each, filtered by `LAPWING_LOG`.

use std::io;

use tracing_subscriber::EnvFilter;

/// The variable that holds the filter, such as `debug` or `lapwing=trace,warn`.
const VARIABLE: &str = "LAPWING_LOG";

/// Starts logging; `default` is the filter where the environment has none that can be used.
pub(crate) fn start(default: &str) {
    let wanted = std::env::var(VARIABLE).ok();
    let parsed = wanted.as_deref().map(EnvFilter::try_new);
    let (filter, complaint) = match parsed {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default), Some(error)),
        None => (EnvFilter::new(default), None),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).without_time().with_target(false).init();
    if let Some(error) = complaint {
        tracing::warn!(%error, "{VARIABLE} is not a filter; `{default}` is used");
    }
}
