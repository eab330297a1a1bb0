//! Diagnostics go to stderr: one line each, filtered by `LAPWING_LOG`.

use std::io;

use tracing_subscriber::EnvFilter;

/// The variable that holds the filter, such as `debug` or `lapwing=trace,warn`.
const VARIABLE: &str = "LAPWING_LOG";

/// What is said by default. The driver's own words on registrations are left out: the agent says the same with the server's URI.
pub(crate) const QUIET: &str =
    "warn,lapwing::driver=error,lapwing::driver::operations=warn,lapwing::driver::records=warn";

/// The same, and what becomes of the registration and of updates.
pub(crate) const AGENT: &str = "warn,lapwing::driver=error,lapwing::driver::operations=warn,lapwing::driver::records=warn,\
     lapwing::objects=info,lapwing::transfer=info,lapwing_gateway=info";

/// All that is of use to who looks for an error.
pub(crate) const DEBUG: &str = "debug";

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
        tracing::warn!("{VARIABLE} is not a filter ({error}); the default is used");
    }
}
