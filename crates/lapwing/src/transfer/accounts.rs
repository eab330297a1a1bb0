use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use lapwing_lwm2m::account::{Security, ServerUri};

/// Knows the credentials of coaps servers: the [`Accounts`] of a client do.
pub trait Credentials: Send + Sync {
    /// Those of the server at this host and port. The host is a name, or an address without brackets.
    fn lend(&self, host: &str, port: u16) -> Loan;
}

/// What comes of asking for credentials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Loan {
    /// These.
    Granted(Box<Security>),
    /// There are none.
    Refused,
    /// It is not known yet: ask again.
    Later,
}

/// The accounts of a client (object 0), as they are at each time: a package on a server that has one is pulled with its credentials.
///
/// ```
/// use std::sync::Arc;
///
/// use lapwing::Client;
/// use lapwing::transfer::{Accounts, PullConfig, Puller};
///
/// let accounts = Accounts::default();
/// let mut config = PullConfig::default();
/// config.credentials = Some(Arc::new(accounts.clone()));
/// let puller = Puller::new(config);
/// let client = Client::builder("kettle-1").server("coap://localhost").lend(accounts).build()?;
/// # Ok::<(), lapwing::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct Accounts(Arc<Mutex<Option<Known>>>);

/// Those with a coaps URI; before the client runs it is not known which there are.
type Known = Vec<(ServerUri, Security)>;

impl Accounts {
    /// Those that there are now.
    pub(crate) fn set<'a>(&self, accounts: impl Iterator<Item = (&'a ServerUri, &'a Security)>) {
        let secure = accounts.filter(|(uri, _)| uri.is_secure());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(secure.map(|(uri, security)| (uri.clone(), security.clone())).collect());
    }
}

impl Credentials for Accounts {
    fn lend(&self, host: &str, port: u16) -> Loan {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(accounts) = &*known else { return Loan::Later };
        let same = |uri: &ServerUri| uri.host().eq_ignore_ascii_case(host) && uri.port() == port;
        let found = accounts.iter().find(|(uri, _)| same(uri));
        found.map_or(Loan::Refused, |(_, security)| Loan::Granted(Box::new(security.clone())))
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_lends_to_its_own_host_and_port_alone() {
        let accounts = Accounts::default();
        assert!(matches!(accounts.lend("files.example", 5684), Loan::Later));
        let security = Security::psk("me", *b"sixteen secret b").unwrap();
        let plain = ("coap://plain.example".parse().unwrap(), Security::default());
        let secure: (ServerUri, _) = ("coaps://files.example".parse().unwrap(), security.clone());
        accounts.set([&plain, &secure].into_iter().map(|(uri, security)| (uri, security)));
        assert!(matches!(accounts.lend("FILES.example", 5684), Loan::Granted(lent) if *lent == security));
        for (host, port) in [("files.example", 5683), ("other.example", 5684), ("plain.example", 5683)] {
            assert!(matches!(accounts.lend(host, port), Loan::Refused), "{host}:{port}");
        }
    }
}
