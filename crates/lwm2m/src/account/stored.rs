//! The record of all accounts, as a bootstrap left them.

use super::{AccountObjects, Record, RecordKey, Saved, clear};
use crate::{
    format::tlv,
    model::{Node, Path},
};

/// First octet of the record; another number is another format.
const VERSION: u8 = 1;
/// Version, generation, purge.
const HEAD: usize = 1 + 4 + 8;
/// Octets of the checksum at the end.
const CHECKSUM: usize = 8;

/// When the account of the bootstrap server is to be forgotten (0/x/12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purge {
    /// Never: it has no time-out, or no bootstrap has succeeded.
    Never,
    /// Its time-out runs since a moment that nobody knew the date of: it begins again with each start.
    Unknown,
    /// At this time, in seconds since 1970.
    At(u64),
}

/// All accounts, as they are stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// Counts the bootstraps: what a server changed of its account was a change of the accounts of one generation.
    pub(crate) generation: u32,
    pub(crate) purge: Purge,
    pub(crate) objects: AccountObjects,
}

impl Stored {
    /// The record: version, generation, purge time, each object's length and TLV, checksum.
    pub(crate) fn record(&self) -> Record {
        // Room enough that the content, with its keys, is not moved about while it grows.
        let mut record = Record::new(RecordKey::Accounts, Vec::with_capacity(16 * 1024));
        let content = &mut *record.content;
        content.push(VERSION);
        content.extend(self.generation.to_be_bytes());
        let purge = match self.purge {
            Purge::Never => 0,
            Purge::Unknown => 1,
            Purge::At(seconds) => seconds.max(2),
        };
        content.extend(purge.to_be_bytes());
        for id in AccountObjects::ALL {
            let at = content.len();
            content.extend([0; 4]);
            let mut node = Node::Object(self.objects.get(id).cloned().unwrap_or_default());
            // Content of the level of its path, of values that came by TLV or text: it can be encoded.
            let encoded = tlv::encode(&Path::object(id), &node, content);
            debug_assert!(encoded.is_ok(), "{encoded:?}");
            if let Node::Object(copy) = &mut node {
                copy.values_mut().for_each(clear);
            }
            let length = (content.len() - at - 4) as u32;
            content[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        let sum = super::record::fingerprint(content);
        content.extend(sum.to_be_bytes());
        record
    }

    /// What was stored; an error if that is damaged or of another version, `None` if there is nothing.
    pub(crate) fn load(saved: &Saved) -> Option<Result<Stored, Damaged>> {
        saved.get(RecordKey::Accounts).filter(|content| !content.is_empty()).map(|content| {
            let stored = Stored::read(content).ok_or(Damaged)?;
            // One that no accounts can be made of is of no use either.
            stored.objects.accounts().map_err(|_| Damaged)?;
            Ok(stored)
        })
    }

    fn read(content: &[u8]) -> Option<Stored> {
        let (body, sum) = content.split_at_checked(content.len().checked_sub(CHECKSUM)?)?;
        if super::record::fingerprint(body).to_be_bytes() != *sum {
            return None;
        }
        let (head, mut rest) = body.split_first_chunk::<HEAD>()?;
        let (&[version], head) = head.split_first_chunk::<1>()?;
        if version != VERSION {
            return None;
        }
        let (generation, purge) = head.split_first_chunk::<4>()?;
        let purge = match u64::from_be_bytes(purge.try_into().ok()?) {
            0 => Purge::Never,
            1 => Purge::Unknown,
            seconds => Purge::At(seconds),
        };
        let mut objects = AccountObjects::default();
        for id in AccountObjects::ALL {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (encoded, after) = after.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
            rest = after;
            let Ok(Node::Object(instances)) = tlv::decode(&Path::object(id), AccountObjects::definition(id)?, encoded)
            else {
                return None;
            };
            *objects.get_mut(id)? = instances;
        }
        rest.is_empty().then_some(Stored { generation: u32::from_be_bytes(*generation), purge, objects })
    }
}

/// What is stored cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;
