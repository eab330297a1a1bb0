use super::ShortServerId;

/// What a [`Record`] is about. A driver keeps at most one record a key: a new one replaces the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// What a server wrote to its Server object instance (1/x).
    Server(ShortServerId),
    /// The attributes that a server wrote (LwM2M Core 1.1 section 6.3.6).
    Attributes(ShortServerId),
}

/// A piece of state that must outlive the process, in a format of its own (versioned, checked when it is read back).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What it is about, and under which name it is to be stored.
    pub key: RecordKey,
    /// The content. Empty: the record is to be removed.
    pub content: Vec<u8>,
}

impl Record {
    /// A record as it was stored.
    pub fn new(key: RecordKey, content: Vec<u8>) -> Record {
        Record { key, content }
    }
}

impl std::fmt::Display for RecordKey {
    /// A name that suits a file: `server-1`, `attributes-1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecordKey::Server(ssid) => write!(f, "server-{ssid}"),
            RecordKey::Attributes(ssid) => write!(f, "attributes-{ssid}"),
        }
    }
}

impl std::str::FromStr for RecordKey {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<RecordKey, UnknownKey> {
        let (kind, ssid) = text.rsplit_once('-').ok_or(UnknownKey)?;
        let ssid = ssid.parse().map_err(|_| UnknownKey)?;
        match kind {
            "server" => Ok(RecordKey::Server(ssid)),
            "attributes" => Ok(RecordKey::Attributes(ssid)),
            _ => Err(UnknownKey),
        }
    }
}

/// The text names no [`RecordKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a record")]
pub struct UnknownKey;

/// The records that a driver has stored, for [`Client::new`](crate::client::Client::new).
///
/// A record that is damaged, or that belongs to an account whose configuration has changed since, is passed over: then
/// the configuration holds.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    records: Vec<Record>,
}

impl Saved {
    /// Nothing stored.
    pub const fn new() -> Saved {
        Saved { records: Vec::new() }
    }

    /// Adds a record, in place of an older one of its key.
    pub fn insert(&mut self, record: Record) {
        self.records.retain(|old| old.key != record.key);
        self.records.push(record);
    }

    pub(crate) fn get(&self, key: RecordKey) -> Option<&[u8]> {
        self.records.iter().find(|record| record.key == key).map(|record| record.content.as_slice())
    }
}

impl FromIterator<Record> for Saved {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Saved {
        let mut saved = Saved::new();
        records.into_iter().for_each(|record| saved.insert(record));
        saved
    }
}
