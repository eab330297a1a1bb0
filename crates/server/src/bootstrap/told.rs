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
    let endpoint = || Arc::clone(&event.endpoint);
    sentences.map(|(name, message)| Told { name, endpoint: endpoint(), time, message: cut(message) }).collect()
}

/// The message, or as much of it as is remembered.
fn cut(message: String) -> String {
    if message.len() <= MESSAGE {
        return message;
    }
    let end = (0..=MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or_default();
    format!("{} …", &message[..end])
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

#[cfg(test)]
mod tests {
    use lapwing_coap::wire::Code;
    use lapwing_lwm2m::{model::Path, server::RequestError};

    use super::*;

    fn names(what: Happening) -> Vec<&'static str> {
        sentences(&what).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn every_failure_has_leshans_names() {
        let task = Step { operation: Operation::Write, path: Path::object(1) };
        let failed = |why| sentences(&Happening::Failed(why)).pop().expect("a sentence");
        for (why, cause) in [
            (Failure::NoPlan, "NO_BOOTSTRAP_CONFIG"),
            (Failure::Unanswered { task, why: RequestError::TimedOut }, "REQUEST_FAILED"),
            (Failure::Refused { task, code: Code::BAD_REQUEST }, "REQUEST_FAILED"),
            (Failure::NoOwnAccount, "REQUEST_FAILED"),
            (Failure::FinishRefused(Code::NOT_ACCEPTABLE), "FINISH_FAILED"),
            (Failure::Replaced, "CANCELLED"),
            (Failure::Cancelled, "CANCELLED"),
            (Failure::TooMany, "INTERNAL_SERVER_ERROR"),
        ] {
            assert_eq!(failed(why), ("failed", format!("Bootstrap session failed : {cause}")));
        }
        assert_eq!(names(Happening::Failed(Failure::Unauthorized)), ["unauthorized"]);
        let discover = Step { operation: Operation::Discover, path: Path::ROOT };
        assert_eq!(names(Happening::Sent { task: discover, format: None }), ["send discover"]);
    }

    #[test]
    fn what_a_client_says_is_cut_between_characters() {
        assert_eq!(cut("ä".repeat(512)), "ä".repeat(512));
        assert_eq!(cut(format!("x{}", "ä".repeat(4_000))), format!("x{} …", "ä".repeat(511)));
    }
}
