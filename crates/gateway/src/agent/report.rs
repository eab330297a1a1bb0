//! What the agent says in the log: a line for each thing that happens.

use std::time::Duration;

use lapwing::{Event, Events, Handle, ServerId, ShortServerId};

use super::status::Reporter;

/// Says in the log what happens, until the client stops.
pub(super) async fn report(mut events: Events, reporter: &Reporter) {
    while let Some(event) = events.next().await {
        reporter.take(&event);
        say(event, &reporter.endpoint, &reporter.handle);
    }
}

fn say(event: Event, endpoint: &str, handle: &Handle) {
    let at = |server: ShortServerId| named(handle, ServerId::Server(server));
    match event {
        Event::AccountsUsed { stored: true } => {
            tracing::info!(
                "{endpoint} uses the stored accounts of an earlier bootstrap, not those configured (--reset-accounts forgets them)"
            );
        }
        Event::AccountsUsed { stored: false } => tracing::info!("{endpoint} uses the configured accounts"),
        Event::AccountsDamaged => {
            tracing::error!("{endpoint} cannot read the stored accounts: those configured are used")
        }
        Event::Secured { server, resumed, connection_id } => {
            let how = if resumed { "resumed a session" } else { "shook hands" };
            let outlives = if connection_id { "with" } else { "without" };
            tracing::info!("{endpoint} {how} with {}, {outlives} Connection ID", at(server));
        }
        Event::ValidityUnchecked { server } => {
            let server = named(handle, server);
            tracing::warn!(
                "{endpoint} does not know the time: whether the certificate of {server} is still valid is checked later"
            );
        }
        Event::Registered { server, after } => {
            tracing::info!("{endpoint} registered at {} in {:.1} ms", at(server), 1e3 * after.as_secs_f64());
        }
        Event::Resumed { server, after } => {
            let took = 1e3 * after.as_secs_f64();
            tracing::info!("{endpoint} goes on with its registration at {}, after {took:.1} ms", at(server));
        }
        Event::RegistrationFailed { server, reason, retry_in } => {
            tracing::warn!("{endpoint} cannot register at {}: {reason}; {}", at(server), next(retry_in));
        }
        Event::ServerLost { server, reason } => {
            tracing::warn!("{endpoint} lost its registration at {}: {reason}", at(server));
        }
        Event::Deregistered { server, back_in: Some(wait) } => {
            tracing::info!("{endpoint} was disabled by {}; back in {}", at(server), seconds(wait));
        }
        Event::Deregistered { server, back_in: None } => tracing::info!("{endpoint} de-registered from {}", at(server)),
        Event::NotificationLost { server, path } => {
            tracing::warn!("a notification of {path} was not acknowledged by {}", at(server));
        }
        Event::BootstrapBegun => {
            tracing::info!("{endpoint} is being bootstrapped by {}", named(handle, ServerId::Bootstrap));
        }
        Event::BootstrapFinished => {
            tracing::info!("{endpoint} was bootstrapped by {}", named(handle, ServerId::Bootstrap));
        }
        Event::BootstrapInconsistent(why) => {
            let server = named(handle, ServerId::Bootstrap);
            tracing::warn!("{endpoint} cannot use what {server} wrote: {why}; it may correct that");
        }
        Event::BootstrapRefused(path) => {
            let server = named(handle, ServerId::Bootstrap);
            tracing::warn!("{endpoint} cannot have {path} as {server} wrote it; it may correct that");
        }
        Event::BootstrapFailed { reason, retry_in } => {
            let server = named(handle, ServerId::Bootstrap);
            let next = retry_in.map_or("going on with the accounts there are".to_owned(), |wait| next(Some(wait)));
            tracing::warn!("{endpoint} cannot be bootstrapped by {server}: {reason}; {next}");
        }
        Event::BootstrapAccountPurged => {
            tracing::info!("{endpoint} has forgotten its bootstrap server, as it was told to")
        }
        event => tracing::debug!(?event),
    }
}

/// The server's URI.
fn named(handle: &Handle, server: ServerId) -> String {
    handle.uri(server).map_or_else(|| format!("server {server}"), |uri| uri.to_string())
}

fn next(retry_in: Option<Duration>) -> String {
    retry_in.map_or_else(
        || "waiting for the network to change".to_owned(),
        |wait| format!("trying again in {}", seconds(wait)),
    )
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
