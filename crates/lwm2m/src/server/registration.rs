//! One client's registration, as the registration interface describes it (LwM2M core 1.1 section 6.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use lapwing_coap::{ContentFormat, link::Link};

use super::{Identity, Remote};
use crate::{
    Now,
    model::{InstanceId, ObjectId, Path, Version},
};

/// The last segment of the Location that a Register was answered with: 16 characters that cannot be guessed (80 bits).
///
/// Over plain CoAP whoever knows it may update or end the registration, from any address; over DTLS only who has shown the
/// same [`Identity`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId([u8; RegistrationId::LENGTH]);

impl RegistrationId {
    const LENGTH: usize = 16;
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    /// An id from 80 random bits.
    pub(super) fn from_random(bits: [u8; 10]) -> RegistrationId {
        let mut number = bits.iter().fold(0u128, |number, &byte| number << 8 | u128::from(byte));
        RegistrationId(std::array::from_fn(|_| {
            let digit = Self::ALPHABET[(number & 31) as usize];
            number >>= 5;
            digit
        }))
    }

    /// The id as it stands in the Location.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is made of ASCII letters and digits")
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistrationId({})", self.as_str())
    }
}

/// A string that no server of this kind has given out as an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a registration id")]
pub struct NotAnId;

impl FromStr for RegistrationId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<RegistrationId, NotAnId> {
        let id: [u8; RegistrationId::LENGTH] = text.as_bytes().try_into().map_err(|_| NotAnId)?;
        if id.iter().all(|byte| Self::ALPHABET.contains(byte)) { Ok(RegistrationId(id)) } else { Err(NotAnId) }
    }
}

/// An object that a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// Its version: `ver=`, or what the standard has in its absence (LwM2M core 1.1 section 7.2.2).
    pub version: Version,
    /// The instances that were named.
    pub instances: BTreeSet<InstanceId>,
}

/// What a client has told of itself. It is never changed: an Update makes a new one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Registration {
    /// Names this registration until the client registers anew.
    pub id: RegistrationId,
    /// Endpoint Client Name (`ep`).
    pub endpoint: Arc<str>,
    /// Where the client was last heard of; requests go there.
    pub address: SocketAddr,
    /// Whom requests go to: over DTLS that is an association, which may end before the registration does. The client then has to
    /// send an Update over a new one before it can be asked again.
    pub remote: Remote,
    /// Who the client has shown itself to be; `None` over plain CoAP.
    pub identity: Option<Identity>,
    /// Lifetime (`lt`) in seconds; 0 never lapses. 86,400 when the client named none.
    pub lifetime: u32,
    /// LwM2M version of the enabler (`lwm2m`).
    pub version: Version,
    /// Binding mode (`b`) as the client wrote it, `U` when it named none.
    pub binding: String,
    /// Whether the client asked for queue mode (`Q` in 1.1, a `Q` in the binding in 1.0).
    pub queue_mode: bool,
    /// Number for SMS (`sms`).
    pub sms: Option<String>,
    /// The alternate path under which the objects live, beginning and ending with `/`; `/` when there is none.
    pub root: String,
    /// The links of the registration as they came, in their order.
    pub links: Vec<Link>,
    /// The same, understood.
    pub objects: BTreeMap<ObjectId, Offer>,
    /// Content formats of the root link's `ct`; empty when it has none.
    pub formats: Vec<ContentFormat>,
    /// Query parameters that the standard does not name.
    pub attributes: BTreeMap<String, String>,
    /// When the Register came.
    pub registered: Now,
    /// When the last Register or Update came.
    pub updated: Now,
}

impl Registration {
    /// Whether it was made over DTLS.
    pub fn is_secure(&self) -> bool {
        self.identity.is_some()
    }

    /// The version of `object` that the client offers.
    pub fn version_of(&self, object: ObjectId) -> Option<Version> {
        self.objects.get(&object).map(|offer| offer.version)
    }

    /// Every instance the client offers, in order.
    pub fn instances(&self) -> impl Iterator<Item = Path> + '_ {
        self.objects.iter().flat_map(|(&object, offer)| {
            offer.instances.iter().map(move |&instance| Path::object(object).instance(instance))
        })
    }

    /// When it lapses without an Update (`elapsed`), the grace included; `None` with lifetime 0.
    pub(super) fn lapses(&self, grace: Duration) -> Option<Duration> {
        let lifetime = Duration::from_secs(u64::from(self.lifetime));
        (self.lifetime != 0).then(|| self.updated.elapsed + lifetime + grace.min(lifetime / 10))
    }
}

/// What an Update named; `None` is what it left as it was (LwM2M core 1.1 section 6.2.2).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// A new lifetime in seconds.
    pub lifetime: Option<u32>,
    /// A new binding mode.
    pub binding: Option<String>,
    /// A new number for SMS.
    pub sms: Option<String>,
    /// The new list of objects and instances.
    pub links: Option<Vec<Link>>,
    /// Parameters that the standard does not name.
    pub attributes: BTreeMap<String, String>,
    /// Whether it came from another remote than the registration had: requests go there from now on.
    pub moved: bool,
}
