//! What is stored of a package that is not whole.

use sha2::Sha256;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

use crate::bytes::{Rest, put};
use crate::driver::Disk;
use crate::store::{Store, StoreError};
use crate::transfer::{Head, Part};

/// Of the layout below.
const VERSION: u16 = 1;

/// Where a package comes from, and what a server needs to be told to go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// As it was written; it may hold secrets.
    pub(super) uri: String,
    pub(super) etag: Vec<u8>,
    pub(super) local_port: Option<u16>,
}

impl Origin {
    /// `None` where nobody could tell later whether a part belongs to this package.
    pub(super) fn new(uri: &str, head: &Head) -> Option<Self> {
        Some(Self { uri: uri.to_owned(), etag: head.etag.clone()?, local_port: head.local_port })
    }
}

/// The record: so many bytes are on the disk, synced.
pub(super) struct Remains {
    pub(super) origin: Origin,
    pub(super) length: u64,
    /// Of those bytes.
    pub(super) sha256: Sha256,
}

impl Remains {
    pub(super) fn part(origin: &Origin, length: u64) -> Part {
        Part { offset: length, etag: Some(origin.etag.clone()), local_port: origin.local_port }
    }

    /// What was stored; one that cannot be read is as good as none. Blocks.
    pub(super) fn load<D: Disk>(store: &Store<D>, name: &str) -> std::io::Result<Option<Self>> {
        match store.load(name) {
            Ok(Some(found)) if found.version == VERSION => Ok(decode(&found.content)),
            Ok(_) | Err(StoreError::Damaged { .. } | StoreError::InUse { .. }) => Ok(None),
            Err(StoreError::Disk { error, .. }) => Err(error),
        }
    }

    /// Blocks until it is on the disk.
    pub(super) fn save<D: Disk>(
        store: &Store<D>,
        name: &str,
        origin: &Origin,
        length: u64,
        sha256: &Sha256,
    ) -> std::io::Result<()> {
        store.save(name, VERSION, &encode(origin, length, sha256)).map_err(|error| match error {
            StoreError::Disk { error, .. } => error,
            other => std::io::Error::other(other),
        })
    }
}

fn encode(origin: &Origin, length: u64, sha256: &Sha256) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, origin.uri.as_bytes());
    put(&mut out, &origin.etag);
    out.extend_from_slice(&origin.local_port.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    put(&mut out, &sha256.serialize());
    out
}

/// `None` for what no [`encode`] has made.
fn decode(content: &[u8]) -> Option<Remains> {
    let mut rest = Rest::new(content);
    let (uri, etag) = (rest.text()?, rest.bytes()?.to_vec());
    let local_port = Some(u16::from_be_bytes(rest.take()?)).filter(|port| *port != 0);
    let length = u64::from_be_bytes(rest.take()?);
    let state: &SerializedState<Sha256> = rest.bytes()?.try_into().ok()?;
    let sha256 = Sha256::deserialize(state).ok()?;
    rest.is_empty().then_some(Remains { origin: Origin { uri, etag, local_port }, length, sha256 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest;

    use super::*;

    proptest! {
        #[test]
        fn a_hash_goes_on_where_it_was(
            first in any::<Vec<u8>>(),
            second in any::<Vec<u8>>(),
            uri in ".{0,20}",
            etag in any::<Vec<u8>>(),
            port in 1_u16..,
            cut in any::<prop::sample::Index>(),
        ) {
            let origin = Origin { uri, etag, local_port: Some(port) };
            let record = encode(&origin, first.len() as u64, &Sha256::new_with_prefix(&first));
            let found = decode(&record).unwrap();
            prop_assert_eq!((found.origin, found.length), (origin, first.len() as u64));
            let digest = found.sha256.chain_update(&second).finalize();
            prop_assert_eq!(digest, Sha256::digest([first, second].concat()));
            prop_assert!(decode(&record[..cut.index(record.len())]).is_none());
        }
    }
}
