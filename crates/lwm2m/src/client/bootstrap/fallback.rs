//! When failing to register with a server leads to the bootstrap server (LwM2M Core 1.1 sections 6.1.4 and 6.2.1.1).

use lapwing_coap::Code;
use lapwing_dtls::{Closed, Failure as Handshake, credentials::CertificateError};

use crate::{account::ServerAccount, client::Failure};

/// Attempts of a sequence where the retry resources do not say (1/x/17 has this default).
const ATTEMPTS: u32 = 5;

/// Not the server's fault, nor that of the accounts: it passes with the time.
const TIME_UNKNOWN: Handshake = Handshake::Certificate(CertificateError::TimeUnknown);

/// Whether the bootstrap server is to be asked after so many failed attempts to register, the last for this reason: at once where
/// the server does not want the client, otherwise when all sequences of attempts have failed (one, where 1/x/20 does not say more).
pub(in crate::client) fn is_due(account: &ServerAccount, failures: u32, reason: &Failure) -> bool {
    let sequences = account.retry.sequence_count.unwrap_or(1).max(1);
    let attempts = account.retry.count.unwrap_or(ATTEMPTS).max(1).saturating_mul(sequences);
    account.bootstrap_on_failure && (is_rejection(reason) || failures >= attempts)
}

/// Whether the server has heard the client and does not want it, which trying again does not change.
fn is_rejection(reason: &Failure) -> bool {
    match reason {
        // Too many requests: later it may be wanted.
        Failure::Refused(code) => code.is_client_error() && *code != Code::TOO_MANY_REQUESTS,
        Failure::Handshake(why) => why.alert().is_some() && *why != TIME_UNKNOWN,
        Failure::Closed(why) => matches!(why, Closed::Alert(_) | Closed::Certificate(_)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use lapwing_dtls::alert::AlertDescription;

    use super::*;
    use crate::account::Retry;

    fn account(retry: Retry) -> ServerAccount {
        ServerAccount::new(1, "coap://h".parse().unwrap()).retry(retry)
    }

    fn first_due(retry: Retry) -> u32 {
        (1..100).find(|failures| is_due(&account(retry), *failures, &Failure::TimedOut)).unwrap()
    }

    #[test]
    fn counts_attempts_as_the_retry_resources_say() {
        assert_eq!(first_due(Retry::UNSET), 5);
        assert_eq!(first_due(Retry::UNSET.count(3)), 3);
        assert_eq!(first_due(Retry::UNSET.count(3).sequence_count(4)), 12);
        assert_eq!(first_due(Retry::UNSET.sequence_count(2)), 10);
        assert_eq!(first_due(Retry::UNSET.count(0).sequence_count(0)), 1);
    }

    #[test]
    fn a_rejection_counts_at_once_unless_it_is_switched_off() {
        let mut account = account(Retry::UNSET);
        for (code, due) in [
            (Code::BAD_REQUEST, true),
            (Code::FORBIDDEN, true),
            (Code::TOO_MANY_REQUESTS, false),
            (Code::INTERNAL_SERVER_ERROR, false),
            (Code::SERVICE_UNAVAILABLE, false),
        ] {
            assert_eq!(is_due(&account, 1, &Failure::Refused(code)), due, "{code}");
        }
        for (why, due) in [
            (Handshake::Alert(AlertDescription::UNKNOWN_PSK_IDENTITY), true),
            (Handshake::Certificate(CertificateError::NotExpected), true),
            (Handshake::TimedOut, false),
            (TIME_UNKNOWN, false),
        ] {
            assert_eq!(is_due(&account, 1, &Failure::Handshake(why)), due, "{why}");
        }
        account.bootstrap_on_failure = false;
        assert!(!is_due(&account, 100, &Failure::Refused(Code::FORBIDDEN)));
    }
}
