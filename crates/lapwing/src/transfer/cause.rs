use std::time::Duration;

use super::Scheme;

/// Why a package was not fetched.
///
/// What servers are told of it, in 5/0/5 (Update Result of Firmware Update) and 9/x/9 (Update Result of Software Management):
///
/// | cause | 5/0/5 | 9/x/9 |
/// |---|---|---|
/// | [`Malformed`](Cause::Malformed), [`Unresolvable`](Cause::Unresolvable), [`NotFound`](Cause::NotFound) (404, 410, 4.04) | 7, invalid URI | 56, invalid URI |
/// | [`Scheme`](Cause::Scheme) | 9, unsupported protocol | 56, invalid URI |
/// | all others, [`Certificate`](Cause::Certificate) among them | 4, connection lost | 52, connection lost |
///
/// That there is no room for it, and that it is damaged, is found by whoever takes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// This is no URI.
    #[error("not a URI that can be fetched: {0}")]
    Malformed(&'static str),
    /// The scheme is none of [`Scheme::ALL`].
    #[error("the protocol '{0}' is not supported: {schemes} are", schemes = schemes())]
    Scheme(String),
    /// The name of the host is not known. That the name cannot be looked up at present is [`Cause::Lost`].
    #[error("the host's name is not known: {0}")]
    Unresolvable(String),
    /// There is nothing at that URI: 404, 410 or 4.04.
    #[error("there is no such file ({0})")]
    NotFound(String),
    /// The server answers with another refusal, or demands what this client cannot give.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The server's certificate, or another proof of who it is, is not believed.
    #[error("the server's certificate is not believed: {0}")]
    Certificate(String),
    /// A coaps server for which no account has credentials and no authority is configured.
    #[error(
        "there are no credentials for this server: no account with the same host and port, and no configured authority"
    )]
    NoCredentials,
    /// What is configured for pulls cannot be used.
    #[error("the configuration: {0}")]
    Configuration(String),
    /// The connection was lost, could not be made, or is of no use at present. It is tried again.
    #[error("{0}")]
    Lost(String),
    /// The server is busy and wants to be left alone for so long. It is tried again.
    #[error("the server is busy ({0})")]
    Busy(String, Duration),
    /// The server does not keep to the protocol.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
    /// The file changed, or had to begin anew, again and again.
    #[error("the file began anew too often")]
    Unstable,
    /// No byte came for so long, and what stood in the way last.
    #[error("no byte came for {after:?}{}", why(.last))]
    GaveUp {
        /// [`PullConfig::give_up`](super::PullConfig::give_up).
        after: Duration,
        /// What the last attempt ended with.
        last: Option<Box<Cause>>,
    },
}

/// `coap, coaps, http and https`
fn schemes() -> String {
    let names: Vec<_> = Scheme::ALL.iter().map(|scheme| scheme.name()).collect();
    let (last, others) = names.split_last().unwrap_or((&"none", &[]));
    format!("{} and {last}", others.join(", "))
}

fn why(last: &Option<Box<Cause>>) -> String {
    last.as_ref().map(|last| format!(": {last}")).unwrap_or_default()
}

impl Cause {
    /// The Update Result of Firmware Update (5/0/5).
    #[must_use]
    pub const fn firmware_result(&self) -> u8 {
        match self {
            Self::Malformed(_) | Self::Unresolvable(_) | Self::NotFound(_) => 7,
            Self::Scheme(_) => 9,
            _ => 4,
        }
    }

    /// The Update Result of Software Management (9/x/9).
    #[must_use]
    pub const fn software_result(&self) -> u8 {
        match self {
            Self::Malformed(_) | Self::Unresolvable(_) | Self::NotFound(_) | Self::Scheme(_) => 56,
            _ => 52,
        }
    }

    /// How long to wait at least before the next attempt; `None`: there is no point in one.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Lost(_) => Some(Duration::ZERO),
            Self::Busy(_, pause) => Some(*pause),
            _ => None,
        }
    }

    /// A name was not resolved.
    pub(super) fn resolving(error: &std::io::Error) -> Self {
        // The standard library gives the text of getaddrinfo's code and not the code: EAI_AGAIN and EAI_SYSTEM in glibc and musl.
        let text = error.to_string();
        let passing = ["Temporary failure", "Try again", "System error"];
        if error.raw_os_error().is_some() || passing.iter().any(|passing| text.contains(passing)) {
            Self::Lost(text)
        } else {
            Self::Unresolvable(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_those_of_the_objects() {
        let gave_up =
            Cause::GaveUp { after: Duration::from_secs(5), last: Some(Box::new(Cause::Lost("reset".into()))) };
        assert_eq!(gave_up.to_string(), "no byte came for 5s: reset");
        for (cause, firmware, software) in [
            (Cause::Malformed("x"), 7, 56),
            (Cause::Unresolvable("x".into()), 7, 56),
            (Cause::NotFound("404".into()), 7, 56),
            (Cause::Scheme("ftp".into()), 9, 56),
            (Cause::Certificate("x".into()), 4, 52),
            (Cause::Refused("403".into()), 4, 52),
            (gave_up, 4, 52),
        ] {
            assert_eq!((cause.firmware_result(), cause.software_result()), (firmware, software), "{cause}");
        }
    }

    #[test]
    fn a_resolver_out_of_reach_is_no_invalid_uri() {
        let error = |text: &str| std::io::Error::other(format!("failed to lookup address information: {text}"));
        assert!(matches!(Cause::resolving(&error("Name or service not known")), Cause::Unresolvable(_)));
        assert!(matches!(Cause::resolving(&error("Name does not resolve")), Cause::Unresolvable(_)));
        assert!(matches!(Cause::resolving(&error("Temporary failure in name resolution")), Cause::Lost(_)));
        assert!(matches!(Cause::resolving(&error("Try again")), Cause::Lost(_)));
    }
}
