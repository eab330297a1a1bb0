//! Sessions that clients may resume: by a ticket, which the client keeps, or by an id (RFC 5077, RFC 5246 section 7.3).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ccm::{
    Ccm, KeyInit,
    aead::{AeadInOut, Nonce},
    consts::{U12, U16},
};
use hmac::{Hmac, Mac as _};
use rand_chacha::{ChaCha20Rng, rand_core::Rng};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    credentials::{PeerIdentity, Psk},
    crypto::same,
    session::Secrets,
    wire::Reader,
};

type Aead = Ccm<aes::Aes128, U16, U12>;

/// The pre-shared keys of a server, by identity.
type Psks = BTreeMap<Vec<u8>, Psk>;

/// Bytes of a [`binding`].
const BINDING: usize = 16;

/// What only the pre-shared key makes of a session's secret: nobody remembers which tickets there are, so that each has to tell
/// whether it was made with the key that its identity has now. `None` where the identity has none. Other clients' tickets are bound
/// to nothing: a certificate or raw public key is shown again by the identity in it.
fn binding(secrets: &Secrets, psks: &Psks) -> Option<[u8; BINDING]> {
    let PeerIdentity::Psk(identity) = &secrets.peer else { return Some([0; BINDING]) };
    let mut mac = Hmac::<Sha256>::new_from_slice(psks.get(identity)?.key()).expect("a key of any length");
    mac.update(b"lapwing ticket");
    mac.update(secrets.master.as_bytes());
    mac.finalize().into_bytes().first_chunk().copied()
}

/// The server's memory of sessions.
pub(super) struct Sessions {
    key: Aead,
    /// Tells our tickets from those of another key.
    name: [u8; 16],
    lifetime: Duration,
    most: usize,
    by_id: BTreeMap<[u8; 32], (Duration, Secrets)>,
    /// Ids, the oldest first.
    order: VecDeque<[u8; 32]>,
}

impl Sessions {
    const NONCE: usize = 12;
    const TAG: usize = 16;
    /// What a ticket has beside its content: the key's name, nonce, tag.
    const OVERHEAD: usize = 16 + Self::NONCE + Self::TAG;
    /// A ticket is at most this long, so that a ClientHello with it fits into one datagram.
    const MOST_TICKET: usize = 896;

    pub(super) fn new(key: &[u8; 16], lifetime: Duration, most: usize) -> Self {
        let key = Aead::new(key.into());
        let mut name = [0; 16];
        // A fingerprint of the key: the tag of nothing, with a nonce that no ticket has.
        let nonce = Nonce::<Aead>::default();
        if let Ok(tag) = key.encrypt_inout_detached(&nonce, b"name", (&mut [][..]).into()) {
            name = tag.into();
        }
        Self { key, name, lifetime, most, by_id: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) const fn is_enabled(&self) -> bool {
        !self.lifetime.is_zero()
    }

    pub(super) fn lifetime_hint(&self) -> u32 {
        u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    /// A ticket: name of the key, nonce, sealed time, session and what binds it to the client's key (RFC 5077 section 4). It is empty
    /// where there can be none.
    pub(super) fn seal(&self, now: Duration, secrets: &Secrets, psks: &Psks, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let mut nonce = Nonce::<Aead>::default();
        rng.fill_bytes(&mut nonce[1..]);
        // The nonce of zeros is that of the name.
        nonce[0] = 1;
        let Some(binding) = binding(secrets, psks) else { return Vec::new() };
        let mut content = Zeroizing::new(Vec::with_capacity(8 + secrets.size() + BINDING));
        content.extend_from_slice(&now.as_secs().to_be_bytes());
        secrets.put(&mut content);
        content.extend_from_slice(&binding);
        if secrets.validity_unchecked || content.len() + Self::OVERHEAD > Self::MOST_TICKET {
            return Vec::new();
        }
        let mut ticket = [&self.name[..], &nonce].concat();
        match self.key.encrypt_inout_detached(&nonce, &self.name, content.as_mut_slice().into()) {
            Ok(tag) => {
                ticket.extend_from_slice(&content);
                ticket.extend_from_slice(&tag);
                ticket
            }
            // Longer than an AEAD takes: no ticket.
            Err(_) => Vec::new(),
        }
    }

    /// The session of a ticket that is ours, whole and young enough, and whose client still has the key that it was made with.
    pub(super) fn open(&self, now: Duration, ticket: &[u8], psks: &Psks) -> Option<Secrets> {
        let rest = ticket.strip_prefix(&self.name)?;
        let (nonce, rest) = rest.split_at_checked(Self::NONCE)?;
        let (content, tag) = rest.split_at_checked(rest.len().checked_sub(Self::TAG)?)?;
        let mut content = Zeroizing::new(content.to_vec());
        let (nonce, tag) = (nonce.try_into().ok()?, tag.try_into().ok()?);
        self.key.decrypt_inout_detached(&nonce, &self.name, content.as_mut_slice().into(), &tag).ok()?;
        let mut reader = Reader(&content);
        let sealed = Duration::from_secs(u64::from_be_bytes(reader.array()?));
        let secrets = Secrets::read(&mut reader)?;
        let bound = reader.array::<BINDING>()?;
        reader.end(())?;
        let still = self.is_alive(now, sealed) && binding(&secrets, psks).is_some_and(|own| same(&own, &bound));
        still.then_some(secrets)
    }

    fn is_alive(&self, now: Duration, since: Duration) -> bool {
        // A ticket from the future is one of a time before a restart.
        now.as_secs().checked_sub(since.as_secs()).is_some_and(|age| age < self.lifetime.as_secs())
    }

    /// Remembers a session; the oldest gives way. One whose certificates are still to be checked is not remembered.
    pub(super) fn insert(&mut self, now: Duration, id: [u8; 32], secrets: &Secrets) {
        if secrets.validity_unchecked {
            return;
        }
        while self.order.len() >= self.most {
            match self.order.pop_front() {
                Some(oldest) => drop(self.by_id.remove(&oldest)),
                None => return,
            }
        }
        self.order.push_back(id);
        self.by_id.insert(id, (now, secrets.clone()));
    }

    /// The session of this id.
    pub(super) fn get(&self, now: Duration, id: &[u8]) -> Option<Secrets> {
        let (since, secrets) = self.by_id.get(<&[u8; 32]>::try_from(id).ok()?)?;
        self.is_alive(now, *since).then(|| secrets.clone())
    }

    pub(super) fn forget(&mut self, peer: &PeerIdentity) {
        self.by_id.retain(|_, (_, secrets)| secrets.peer != *peer);
        self.order.retain(|id| self.by_id.contains_key(id));
    }

    pub(super) fn memory(&self) -> usize {
        self.by_id.values().map(|(_, secrets)| 64 + size_of::<(Duration, Secrets)>() + secrets.peer.len()).sum()
    }
}
