//! What is told of a bootstrap session, in the words of Leshan's bootstrap demo.

use std::{fmt::Write, sync::Arc};

use lapwing_coap::ContentFormat;
use lapwing_lwm2m::server::bootstrap::{Event, Failure, Happening, Operation, Step};

/// The longest message, in bytes: error texts are the client's.
const MESSAGE: usize = 1_024;

/// One sentence about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Arc<str>,
    /// Milliseconds since 1970; 0 while the time is unknown.
    pub(crate) time: u64,
    pub(crate) message: String,
}

/// What is told of an event: one that Leshan has two or three for, in so many.
pub(crate) fn told(event: &Event) -> Vec<Told> {
    let time = event.time.unix.map_or(0, |unix| unix.as_millis() as u64);
    let sentences = sentences(&event.what).into_iter();
    let told = sentences.map(|(name, message)| {
        let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= MESSAGE).last().unwrap_or_default();
        let message = if message.len() > MESSAGE { format!("{} …", &message[..end]) } else { message };
        Told { name, endpoint: Arc::clone(&event.endpoint), time, message }
    });
    told.collect()
}

fn sentences(what: &Happening) -> Vec<(&'static str, String)> {
    let authorized = || ("authorized", "The client is allowed to connect.".to_owned());
    let failed = |cause: &str| ("failed", format!("Bootstrap session failed : {cause}"));
    match what {
        Happening::Requested { address, identity, format, attributes } => {
            let mut message = format!("Bootstrap Request from {address}");
            // Writing to a string does not fail.
            if let Some(identity) = identity {
                let _ = write!(message, "\nIdentity: {identity}");
            }
            if let Some(format) = format {
                let _ = write!(message, "\nPreferred Content Format: {}", name(*format));
            }
            if !attributes.is_empty() {
                let _ = write!(message, "\nAdditional attributes: {attributes:?}");
            }
            vec![("new session", message)]
        }
        Happening::Begun => vec![authorized()],
        Happening::Sent { task, format } => vec![sent(*task, *format)],
        Happening::Answered { response, .. } if response.code.is_success() => {
            vec![("receive success response", format!("Receive {}", response.code))]
        }
        Happening::Answered { response, .. } => {
            let text = response.diagnostic().map_or_else(String::new, |text| format!("\n{text}"));
            vec![("receive error response", format!("Receive {}{text}", response.code))]
        }
        Happening::Finished => vec![("finished", "Bootstrap session finished with success".to_owned())],
        Happening::Failed(Failure::Unauthorized) => {
            vec![("unauthorized", format!("{}\n(probably bad credentials)", Failure::Unauthorized))]
        }
        Happening::Failed(Failure::NoPlan) => vec![
            authorized(),
            ("no config", "No config to apply to this client.".to_owned()),
            failed("NO_BOOTSTRAP_CONFIG"),
        ],
        Happening::Failed(why @ Failure::Unanswered { task, .. }) => vec![
            ("request failure", format!("No answer to use: {why}")),
            failed(if task.operation == Operation::Finish { "FINISH_FAILED" } else { "REQUEST_FAILED" }),
        ],
        Happening::Failed(Failure::FinishRefused(_)) => vec![failed("FINISH_FAILED")],
        Happening::Failed(Failure::Refused { .. } | Failure::NoOwnAccount) => vec![failed("REQUEST_FAILED")],
        Happening::Failed(Failure::Replaced | Failure::Cancelled) => vec![failed("CANCELLED")],
        Happening::Failed(_) => vec![failed("INTERNAL_SERVER_ERROR")],
        _ => Vec::new(),
    }
}

fn sent(task: Step, format: Option<ContentFormat>) -> (&'static str, String) {
    let path = task.path;
    match task.operation {
        Operation::Discover => ("send discover", format!("Send DISCOVER request on {path}")),
        Operation::Delete => ("send delete", format!("Send DELETE request on {path}")),
        Operation::Write => {
            let format = format.map_or_else(String::new, |format| format!(" using {}", name(format)));
            ("send write", format!("Send WRITE request on {path}{format}"))
        }
        Operation::Read => ("send request", format!("Send request: READ on {path}")),
        Operation::Finish => ("send request", "Send request: FINISH".to_owned()),
    }
}

fn name(format: ContentFormat) -> String {
    format.name().map_or_else(|| format.0.to_string(), str::to_owned)
}
