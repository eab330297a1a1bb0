use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{ServerAccount, ShortServerId, Stored};
use crate::{
    attributes::{AttributeTable, Changes},
    model::{ObjectDefinition, Path},
};

/// First word of a record; another number is another format.
const FORMAT: &str = "1";
/// Last line of a record: one that lacks it was cut off.
const END: &str = "end\n";

/// What a [`Record`] is about. A driver keeps at most one record a key: a new one replaces the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// What a server wrote to its Server object instance (1/x).
    Server(ShortServerId),
    /// The attributes that a server wrote (LwM2M Core 1.1 section 6.3.6).
    Attributes(ShortServerId),
    /// The whole configuration that a bootstrap server wrote, secrets included: in one record, so that it is the old one or the
    /// new one. What it says holds instead of what the client was configured with.
    Accounts,
    /// The DTLS association with a server, secrets included.
    Association(ShortServerId),
    /// The registration at a server, with what it observes.
    Registration(ShortServerId),
}

/// A piece of state that must outlive the process, in a format of its own (versioned, checked when it is read back).
///
/// It may hold secrets: its `Debug` does not print the content, which is cleared when it is dropped.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What it is about, and under which name it is to be stored.
    pub key: RecordKey,
    /// The content; empty: what is stored is to be removed.
    pub content: Zeroizing<Vec<u8>>,
}

impl Record {
    /// A record as it was stored.
    pub fn new(key: RecordKey, content: Vec<u8>) -> Record {
        Record { key, content: Zeroizing::new(content) }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record {{ key: {:?}, content: {} bytes }}", self.key, self.content.len())
    }
}

impl std::fmt::Display for RecordKey {
    /// A name that suits a file: `server-1`, `attributes-1`, `accounts`, `association-1`, `registration-1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecordKey::Server(ssid) => write!(f, "server-{ssid}"),
            RecordKey::Attributes(ssid) => write!(f, "attributes-{ssid}"),
            RecordKey::Accounts => f.write_str("accounts"),
            RecordKey::Association(ssid) => write!(f, "association-{ssid}"),
            RecordKey::Registration(ssid) => write!(f, "registration-{ssid}"),
        }
    }
}

impl std::str::FromStr for RecordKey {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<RecordKey, UnknownKey> {
        if text == "accounts" {
            return Ok(RecordKey::Accounts);
        }
        let (kind, ssid) = text.rsplit_once('-').ok_or(UnknownKey)?;
        let ssid = ssid.parse().map_err(|_| UnknownKey)?;
        match kind {
            "server" => Ok(RecordKey::Server(ssid)),
            "attributes" => Ok(RecordKey::Attributes(ssid)),
            "association" => Ok(RecordKey::Association(ssid)),
            "registration" => Ok(RecordKey::Registration(ssid)),
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

    /// Reads what a client may have stored that is configured with these servers: first the accounts, then what belongs to
    /// them and to those configured. `read` gives the content of a record, `None` where there is none.
    ///
    /// # Errors
    /// The first of `read`.
    pub fn load<E>(
        configured: impl IntoIterator<Item = ShortServerId>,
        mut read: impl FnMut(RecordKey) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Saved, E> {
        let mut saved = Saved::new();
        let mut add = |saved: &mut Saved, key| {
            let content = read(key)?;
            content.into_iter().for_each(|content| saved.insert(Record::new(key, content)));
            Ok(())
        };
        add(&mut saved, RecordKey::Accounts)?;
        let stored = Stored::load(&saved).and_then(Result::ok).and_then(|stored| stored.objects.accounts().ok());
        let stored = stored.into_iter().flat_map(|accounts| accounts.servers).map(|account| account.ssid);
        for ssid in configured.into_iter().chain(stored) {
            let keys = [RecordKey::Server, RecordKey::Attributes, RecordKey::Association, RecordKey::Registration];
            for key in keys {
                add(&mut saved, key(ssid))?;
            }
        }
        Ok(saved)
    }

    /// Adds a record, in place of an older one of its key.
    pub fn insert(&mut self, record: Record) {
        self.records.retain(|old| old.key != record.key);
        self.records.push(record);
    }

    /// The record of this key.
    pub fn record(&self, key: RecordKey) -> Option<&Record> {
        self.records.iter().find(|record| record.key == key)
    }

    pub(crate) fn get(&self, key: RecordKey) -> Option<&[u8]> {
        self.record(key).map(|record| record.content.as_slice())
    }
}

impl FromIterator<Record> for Saved {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Saved {
        let mut saved = Saved::new();
        records.into_iter().for_each(|record| saved.insert(record));
        saved
    }
}

/// FNV-1a: tells whether a configuration is the one that a record grew from, or a record whole; no protection from anybody.
pub(crate) fn fingerprint(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}

/// The lines of a record between its head and its end, if the head is the one expected.
fn body<'a>(content: &'a [u8], basis: &str) -> Option<std::str::Lines<'a>> {
    let mut lines = std::str::from_utf8(content).ok()?.strip_suffix(END)?.lines();
    let head = format!("{FORMAT} {:016x}", fingerprint(basis.as_bytes()));
    (lines.next()? == head).then_some(lines)
}

impl ServerAccount {
    /// What a record of this account stands on: it holds as long as the configuration says the same.
    ///
    /// `generation` counts the bootstraps that it came through; 0 is one that was configured.
    fn basis(&self, generation: u32) -> String {
        let basis = format!(
            "{} {} {:?} {:?} {:?} {}",
            self.uri,
            self.lifetime,
            self.default_pmin,
            self.default_pmax,
            self.disable_timeout,
            self.notification_storing
        );
        if generation == 0 { basis } else { format!("{basis} {generation}") }
    }

    /// What a server changed of `configured`, to be stored.
    pub(crate) fn record(&self, configured: &ServerAccount, generation: u32) -> Record {
        let basis = fingerprint(configured.basis(generation).as_bytes());
        let mut text = format!("{FORMAT} {basis:016x}\nlifetime {}\n", self.lifetime);
        let optional = [
            ("default_pmin", self.default_pmin),
            ("default_pmax", self.default_pmax),
            ("disable_timeout", self.disable_timeout),
        ];
        for (name, seconds) in optional {
            if let Some(seconds) = seconds {
                let _ = writeln!(text, "{name} {seconds}");
            }
        }
        let _ = write!(text, "notification_storing {}\n{END}", self.notification_storing);
        Record::new(RecordKey::Server(self.ssid), text.into_bytes())
    }

    /// The account with what a server changed of it in an earlier run; as configured if the record does not fit.
    pub(crate) fn restored(&self, saved: &Saved, generation: u32) -> ServerAccount {
        let restore = |content: &[u8]| {
            let mut account = self.clone();
            (account.default_pmin, account.default_pmax, account.disable_timeout) = (None, None, None);
            for line in body(content, &self.basis(generation))? {
                let (name, value) = line.split_once(' ')?;
                match name {
                    "lifetime" => account.lifetime = value.parse().ok()?,
                    "default_pmin" => account.default_pmin = Some(value.parse().ok()?),
                    "default_pmax" => account.default_pmax = Some(value.parse().ok()?),
                    "disable_timeout" => account.disable_timeout = Some(value.parse().ok()?),
                    "notification_storing" => account.notification_storing = value.parse().ok()?,
                    _ => return None,
                }
            }
            Some(account)
        };
        saved.get(RecordKey::Server(self.ssid)).and_then(restore).unwrap_or_else(|| self.clone())
    }

    /// The attributes that this server set, to be stored.
    pub(crate) fn attributes_record(&self, table: &AttributeTable) -> Record {
        let mut text = format!("{FORMAT} {:016x}\n", fingerprint(self.uri.as_str().as_bytes()));
        for (path, attributes) in table.iter() {
            let _ = writeln!(text, "{path} {}", attributes.to_string().replace(';', " ").trim_start());
        }
        text.push_str(END);
        Record::new(RecordKey::Attributes(self.ssid), text.into_bytes())
    }

    /// The attributes that this server set in an earlier run, as far as they still make sense to the definitions.
    pub(crate) fn restored_attributes<'a>(
        &self,
        saved: &Saved,
        definition: impl Fn(&Path) -> Option<&'a ObjectDefinition>,
    ) -> AttributeTable {
        let mut table = AttributeTable::new();
        let content = saved.get(RecordKey::Attributes(self.ssid)).unwrap_or_default();
        for line in body(content, self.uri.as_str()).into_iter().flatten() {
            let Some((path, attributes)) = line.split_once(' ') else { continue };
            let (Ok(path), Ok(changes)) = (path.parse::<Path>(), Changes::parse(attributes.split(' '))) else {
                continue;
            };
            if let Some(definition) = definition(&path) {
                // What does not fit any more (the definition has changed) is left out; the rest still counts.
                let _ = table.write(path, &changes, definition);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::device;

    fn configured() -> ServerAccount {
        ServerAccount::new(7, "coap://h".parse().unwrap()).lifetime(60)
    }

    #[test]
    fn an_account_comes_back_until_its_configuration_changes() {
        let mut changed = configured();
        (changed.lifetime, changed.default_pmin, changed.notification_storing) = (300, Some(5), false);
        let saved = Saved::from_iter([changed.record(&configured(), 0)]);
        assert_eq!(configured().restored(&saved, 0), changed);
        let reconfigured = configured().lifetime(61);
        assert_eq!(reconfigured.restored(&saved, 0), reconfigured);
        assert_eq!(configured().restored(&Saved::new(), 0), configured());
    }

    #[test]
    fn a_damaged_record_is_passed_over() {
        let record = configured().lifetime(300).record(&configured(), 0);
        for cut in 0..record.content.len() {
            let damaged = Record::new(record.key, record.content[..cut].to_vec());
            assert_eq!(configured().restored(&Saved::from_iter([damaged]), 0), configured(), "{cut}");
        }
        let garbage = Record::new(record.key, vec![0xff; 40]);
        assert_eq!(configured().restored(&Saved::from_iter([garbage]), 0), configured());
    }

    #[test]
    fn attributes_come_back() {
        let mut table = AttributeTable::new();
        let battery = Path::object(3).instance(0).resource(device::BATTERY_LEVEL);
        table.write(Path::object(3), &Changes::parse(["pmin=10"]).unwrap(), &device::V1_0).unwrap();
        table.write(battery, &Changes::parse(["gt=50.5", "lt=-3", "st=2"]).unwrap(), &device::V1_0).unwrap();
        let saved = Saved::from_iter([configured().attributes_record(&table)]);
        assert_eq!(configured().restored_attributes(&saved, |_| Some(&device::V1_0)), table);
        assert!(configured().restored_attributes(&saved, |_| None).is_empty());
    }

    #[test]
    fn names_of_records_are_read_back() {
        for key in [RecordKey::Server(1), RecordKey::Attributes(65_534), RecordKey::Registration(7)] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert_eq!("other-1".parse::<RecordKey>(), Err(UnknownKey));
    }
}
