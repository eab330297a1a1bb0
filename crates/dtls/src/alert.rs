//! Alerts (RFC 5246 section 7.2).

use core::fmt;

/// What an alert says. Any number may come from the other end; those that this crate sends or explains have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AlertDescription(pub u8);

macro_rules! descriptions {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal;)*) => {
        impl AlertDescription {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*

            /// The name in the standards, as in `unknown_psk_identity`.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

descriptions! {
    /// The sender will send nothing more (RFC 5246 section 7.2.1).
    CLOSE_NOTIFY = 0, "close_notify";
    /// A message that does not belong here.
    UNEXPECTED_MESSAGE = 10, "unexpected_message";
    /// A record is not authentic. Many stacks send it for a wrong key.
    BAD_RECORD_MAC = 20, "bad_record_mac";
    /// A record is longer than it may be.
    RECORD_OVERFLOW = 22, "record_overflow";
    /// There is no set of parameters that both ends accept: suites, extended master secret, groups.
    HANDSHAKE_FAILURE = 40, "handshake_failure";
    /// A certificate or raw public key cannot be used.
    BAD_CERTIFICATE = 42, "bad_certificate";
    /// A certificate of a kind that is not supported.
    UNSUPPORTED_CERTIFICATE = 43, "unsupported_certificate";
    /// A certificate was revoked by its issuer.
    CERTIFICATE_REVOKED = 44, "certificate_revoked";
    /// A certificate is not valid any more, or not yet.
    CERTIFICATE_EXPIRED = 45, "certificate_expired";
    /// A certificate is not acceptable for some other reason.
    CERTIFICATE_UNKNOWN = 46, "certificate_unknown";
    /// A field is out of range or does not go with others.
    ILLEGAL_PARAMETER = 47, "illegal_parameter";
    /// No path from the certificate to one that is trusted.
    UNKNOWN_CA = 48, "unknown_ca";
    /// The certificate is valid, and its holder may not connect.
    ACCESS_DENIED = 49, "access_denied";
    /// A message cannot be read.
    DECODE_ERROR = 50, "decode_error";
    /// A signature or a Finished message does not verify.
    DECRYPT_ERROR = 51, "decrypt_error";
    /// The version is not DTLS 1.2.
    PROTOCOL_VERSION = 70, "protocol_version";
    /// Something failed that has to do with neither the other end nor the protocol.
    INTERNAL_ERROR = 80, "internal_error";
    /// The user ended the handshake.
    USER_CANCELED = 90, "user_canceled";
    /// A renegotiation is refused (RFC 5246 section 7.4.1.1).
    NO_RENEGOTIATION = 100, "no_renegotiation";
    /// A ServerHello answers an extension that was not offered.
    UNSUPPORTED_EXTENSION = 110, "unsupported_extension";
    /// The server name is not known here (RFC 6066 section 3).
    UNRECOGNIZED_NAME = 112, "unrecognized_name";
    /// The identity of the pre-shared key is not known here (RFC 4279 section 2).
    UNKNOWN_PSK_IDENTITY = 115, "unknown_psk_identity";
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "alert {}", self.0),
        }
    }
}

/// An alert message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whether the association ends with it.
    pub fatal: bool,
    /// What it says.
    pub description: AlertDescription,
}

impl Alert {
    /// An alert that ends the association.
    #[must_use]
    pub const fn fatal(description: AlertDescription) -> Self {
        Self { fatal: true, description }
    }

    /// An alert that does not, by itself, end the association.
    #[must_use]
    pub const fn warning(description: AlertDescription) -> Self {
        Self { fatal: false, description }
    }

    /// Reads an alert. One record carries one: anything else is no alert.
    #[must_use]
    pub const fn parse(body: &[u8]) -> Option<Self> {
        match *body {
            [level @ (1 | 2), description] => {
                Some(Self { fatal: level == 2, description: AlertDescription(description) })
            }
            _ => None,
        }
    }

    /// As it is sent.
    #[must_use]
    pub const fn encode(self) -> [u8; 2] {
        [1 + self.fatal as u8, self.description.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_two_bytes_and_its_level_is_known() {
        let alert = Alert::fatal(AlertDescription::UNKNOWN_PSK_IDENTITY);
        assert_eq!(alert.encode(), [2, 115]);
        assert_eq!(Alert::parse(&[2, 115]), Some(alert));
        assert_eq!(Alert::parse(&[1, 0]), Some(Alert::warning(AlertDescription::CLOSE_NOTIFY)));
        for bad in [&[][..], &[2], &[0, 0], &[3, 0], &[2, 115, 0]] {
            assert_eq!(Alert::parse(bad), None);
        }
        assert_eq!(alert.description.to_string(), "unknown_psk_identity (115)");
        assert_eq!(AlertDescription(7).to_string(), "alert 7");
    }
}
