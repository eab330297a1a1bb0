//! Which endpoint has to show which identity.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lapwing_dtls::credentials::{Psk, PskError};

use super::{Identity, Server, endpoint::Endpoint};
use crate::Now;

/// What an endpoint has to show before it may register.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityInfo {
    /// That it holds this key. Its identity need not be the endpoint's name.
    Psk(Psk),
    /// That it holds the private key of this one, a SubjectPublicKeyInfo in DER (RFC 7250).
    RawPublicKey(Vec<u8>),
    /// A certificate of which the common name is the endpoint's name, issued by one of those that the server trusts
    /// ([`lapwing_dtls::ServerConfig`]).
    X509,
}

impl SecurityInfo {
    /// That it holds this key.
    ///
    /// # Errors
    /// When the key is empty, or one of both is longer than 65,535 bytes.
    pub fn psk(identity: &[u8], key: &[u8]) -> Result<SecurityInfo, PskError> {
        Psk::new(identity, key).map(SecurityInfo::Psk)
    }

    fn identity(&self, endpoint: &str) -> Identity {
        match self {
            SecurityInfo::Psk(psk) => Identity::Psk(psk.identity().into()),
            SecurityInfo::RawPublicKey(key) => Identity::RawPublicKey(key.as_slice().into()),
            SecurityInfo::X509 => Identity::X509(endpoint.into()),
        }
    }
}

/// A [`SecurityInfo`] was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// An identity tells which endpoint it is, so that two endpoints cannot share one.
    #[error("{identity} is the identity of {endpoint}")]
    IdentityTaken {
        /// What is taken.
        identity: Identity,
        /// Who has it.
        endpoint: Arc<str>,
    },
}

/// Why an endpoint may not register or update over a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stranger {
    #[error("the endpoint has to come over DTLS")]
    NotSecure,
    #[error("the endpoint is not known on the secure interface")]
    Unknown,
    #[error("the session's identity is not the endpoint's")]
    NotItself,
}

/// The entries, by endpoint and by identity.
#[derive(Debug, Default)]
pub(super) struct SecurityStore {
    entries: BTreeMap<Arc<str>, SecurityInfo>,
    endpoints: HashMap<Identity, Arc<str>>,
}

impl SecurityStore {
    /// Whether who has shown `identity` (over plain CoAP nobody shows one) may act as `endpoint`.
    pub(super) fn check(&self, endpoint: &str, identity: Option<&Identity>) -> Result<(), Stranger> {
        match (self.entries.get(endpoint), identity) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Stranger::Unknown),
            (Some(_), None) => Err(Stranger::NotSecure),
            (Some(_), Some(identity)) => {
                let owner = self.endpoints.get(identity).ok_or(Stranger::NotItself)?;
                if **owner == *endpoint { Ok(()) } else { Err(Stranger::NotItself) }
            }
        }
    }

    /// Which endpoint has to show this identity.
    pub(super) fn owner(&self, identity: &Identity) -> Option<&Arc<str>> {
        self.endpoints.get(identity)
    }

    /// What an endpoint has to show.
    pub(super) fn get(&self, endpoint: &str) -> Option<&SecurityInfo> {
        self.entries.get(endpoint)
    }

    /// All entries, in the order of the endpoints' names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &SecurityInfo)> {
        self.entries.iter().map(|(endpoint, info)| (&**endpoint, info))
    }

    /// Sets, changes or removes an entry, and lets `remotes` know which keys open a session. One that was opened by what is
    /// no longer so is closed. Gives the entry before.
    pub(super) fn set<O>(
        &mut self,
        remotes: &mut Endpoint<O>,
        endpoint: &str,
        info: Option<SecurityInfo>,
    ) -> Result<Option<SecurityInfo>, SecurityError> {
        let previous = match &info {
            Some(info) => self.insert(endpoint, info.clone())?,
            None => self.remove(endpoint),
        };
        if previous == info {
            return Ok(previous);
        }
        if let Some(previous) = &previous {
            if let SecurityInfo::Psk(psk) = previous {
                remotes.remove_psk(psk.identity());
            }
            remotes.close_identity(&previous.identity(endpoint));
        }
        if let Some(SecurityInfo::Psk(psk)) = info {
            remotes.add_psk(psk);
        }
        Ok(previous)
    }

    /// Puts in an entry, and gives the one in the place of which it is.
    fn insert(&mut self, endpoint: &str, info: SecurityInfo) -> Result<Option<SecurityInfo>, SecurityError> {
        let identity = info.identity(endpoint);
        if let Some(owner) = self.endpoints.get(&identity).filter(|owner| ***owner != *endpoint) {
            return Err(SecurityError::IdentityTaken { identity, endpoint: Arc::clone(owner) });
        }
        let previous = self.remove(endpoint);
        let endpoint: Arc<str> = endpoint.into();
        self.endpoints.insert(identity, Arc::clone(&endpoint));
        self.entries.insert(endpoint, info);
        Ok(previous)
    }

    fn remove(&mut self, endpoint: &str) -> Option<SecurityInfo> {
        let info = self.entries.remove(endpoint)?;
        self.endpoints.remove(&info.identity(endpoint));
        Some(info)
    }
}

impl Server {
    /// Says what an endpoint has to show: from now on it may not register over plain CoAP, and over DTLS only with this identity;
    /// another's Register is answered 4.00, Update and De-register 4.04. With `None`, and for an endpoint of which
    /// nothing was said, plain CoAP is allowed and DTLS is not. Gives what was said before.
    ///
    /// A session that was established by what is no longer so is closed; its registration stays until its lifetime is over.
    ///
    /// # Errors
    /// The identity is another endpoint's. Nothing has changed then.
    pub fn set_security(
        &mut self,
        now: Now,
        endpoint: &str,
        info: Option<SecurityInfo>,
    ) -> Result<Option<SecurityInfo>, SecurityError> {
        self.now = now;
        let previous = self.security.set(&mut self.endpoint, endpoint, info)?;
        self.hear_sessions();
        Ok(previous)
    }

    /// What an endpoint has to show, `None` when nothing was said of it.
    pub fn security(&self, endpoint: &str) -> Option<&SecurityInfo> {
        self.security.get(endpoint)
    }

    /// The whole security store, in the order of the endpoints' names.
    pub fn securities(&self) -> impl Iterator<Item = (&str, &SecurityInfo)> {
        self.security.iter()
    }
}
