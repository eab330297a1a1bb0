//! Associations as bytes, so that a restart or a long sleep needs no handshake.

use core::fmt;

use zeroize::Zeroizing;

use crate::association::Role;
use crate::record::{ConnectionId, MAX_SEQUENCE};
use crate::session::Secrets;
use crate::wire::{Reader, put_vector8};

/// An exported association: to be stored durably, and then told with `exported`.
pub struct Export {
    /// The association. It is secret.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The number of the first record that an import sends.
    pub(crate) next: u64,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("next", &self.next).finish_non_exhaustive()
    }
}

/// What an association needs to go on.
pub(crate) struct State {
    pub(crate) role: Role,
    pub(crate) secrets: Secrets,
    pub(crate) randoms: ([u8; 32], [u8; 32]),
    pub(crate) encrypt_then_mac: bool,
    pub(crate) own_id: ConnectionId,
    pub(crate) peer_id: ConnectionId,
    pub(crate) next: u64,
}

const VERSION: u8 = 2;

pub(crate) fn export(state: &State) -> Export {
    // Room for all of it, so that nothing secret is left behind by a buffer that grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(256 + state.secrets.size()));
    bytes.extend_from_slice(&[VERSION, state.role as u8, state.encrypt_then_mac.into()]);
    state.secrets.put(&mut bytes);
    bytes.extend_from_slice(&state.randoms.0);
    bytes.extend_from_slice(&state.randoms.1);
    put_vector8(&mut bytes, |buffer| buffer.extend_from_slice(state.own_id.as_bytes()));
    put_vector8(&mut bytes, |buffer| buffer.extend_from_slice(state.peer_id.as_bytes()));
    bytes.extend_from_slice(&state.next.to_be_bytes());
    Export { bytes, next: state.next }
}

pub(crate) fn import(bytes: &[u8]) -> Option<State> {
    let mut reader = Reader(bytes);
    reader.u8().filter(|version| *version == VERSION)?;
    let role = match reader.u8()? {
        0 => Role::Client,
        1 => Role::Server,
        _ => return None,
    };
    let encrypt_then_mac = reader.u8().filter(|flag| *flag < 2)? == 1;
    let secrets = Secrets::read(&mut reader)?;
    let randoms = (reader.array()?, reader.array()?);
    let own_id = ConnectionId::new(reader.vector8()?)?;
    let peer_id = ConnectionId::new(reader.vector8()?)?;
    let next = u64::from_be_bytes(reader.array()?);
    if next > MAX_SEQUENCE + 1 {
        return None;
    }
    reader.end(State { role, secrets, randoms, encrypt_then_mac, own_id, peer_id, next })
}
