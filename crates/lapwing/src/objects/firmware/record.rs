//! The machine as it is stored: integers in network byte order, texts and bytes behind their length.

use super::machine::{Image, Machine, Phase, Settings, Source, Step};
use super::{Package, Severity, UpdateResult};
use crate::transfer::Digest;

/// Of the layout below.
pub(super) const VERSION: u16 = 1;

pub(super) fn encode(machine: &Machine) -> Vec<u8> {
    let mut out = Vec::new();
    let Settings { severity, defer_period, automatic } = machine.settings;
    out.extend_from_slice(&[machine.result as u8, severity as u8, automatic.into(), machine.changed.is_some().into()]);
    out.extend_from_slice(&defer_period.to_be_bytes());
    out.extend_from_slice(&machine.changed.unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&machine.serial.to_be_bytes());
    put(&mut out, machine.uri.as_bytes());
    match &machine.phase {
        Phase::Idle => out.push(0),
        Phase::Downloading(Source::Push) => out.push(1),
        Phase::Downloading(Source::Pull) => out.push(2),
        Phase::Downloaded { image, deferred } => {
            out.push(if *deferred { 4 } else { 3 });
            put_image(&mut out, image);
        }
        Phase::Updating { image, step: Step::Intended } => {
            out.push(5);
            put_image(&mut out, image);
        }
        Phase::Updating { image, step: Step::Rebooting(memory) } => {
            out.push(6);
            put_image(&mut out, image);
            put(&mut out, memory);
        }
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // What is stored here is a few hundred bytes.
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_image(out: &mut Vec<u8>, Image { digest, package }: &Image) {
    out.extend_from_slice(&digest.length.to_be_bytes());
    out.extend_from_slice(&digest.sha256);
    for text in [&package.name, &package.version] {
        out.push(text.is_some().into());
        put(out, text.as_deref().unwrap_or_default().as_bytes());
    }
}

/// `None` for what no [`encode`] has made.
pub(super) fn decode(content: &[u8]) -> Option<Machine> {
    let mut rest = Rest(content);
    let result = UpdateResult::from_number(rest.byte()?)?;
    let severity = Severity::from_number(rest.byte()?)?;
    let automatic = rest.boolean()?;
    let known = rest.boolean()?;
    let defer_period = u32::from_be_bytes(rest.take()?);
    let changed = u64::from_be_bytes(rest.take()?);
    let serial = u64::from_be_bytes(rest.take()?);
    let uri = rest.text()?;
    let phase = match rest.byte()? {
        0 => Phase::Idle,
        1 => Phase::Downloading(Source::Push),
        2 => Phase::Downloading(Source::Pull),
        3 => Phase::Downloaded { image: rest.image()?, deferred: false },
        4 => Phase::Downloaded { image: rest.image()?, deferred: true },
        5 => Phase::Updating { image: rest.image()?, step: Step::Intended },
        6 => Phase::Updating { image: rest.image()?, step: Step::Rebooting(rest.bytes()?.to_vec()) },
        _ => return None,
    };
    let settings = Settings { severity, defer_period, automatic };
    let machine = Machine { phase, result, uri, settings, changed: known.then_some(changed), serial };
    rest.0.is_empty().then_some(machine)
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn optional_text(&mut self) -> Option<Option<String>> {
        let known = self.boolean()?;
        let text = self.text()?;
        Some(known.then_some(text))
    }

    fn image(&mut self) -> Option<Image> {
        let digest = Digest { length: u64::from_be_bytes(self.take()?), sha256: self.take()? };
        let package = Package { name: self.optional_text()?, version: self.optional_text()? };
        Some(Image { digest, package })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image() -> impl Strategy<Value = Image> {
        let text = || proptest::option::of(".{0,8}");
        (any::<u64>(), any::<[u8; 32]>(), text(), text()).prop_map(|(length, sha256, name, version)| Image {
            digest: Digest { length, sha256 },
            package: Package { name, version },
        })
    }

    fn phase() -> impl Strategy<Value = Phase> {
        prop_oneof![
            Just(Phase::Idle),
            Just(Phase::Downloading(Source::Push)),
            Just(Phase::Downloading(Source::Pull)),
            (image(), any::<bool>()).prop_map(|(image, deferred)| Phase::Downloaded { image, deferred }),
            image().prop_map(|image| Phase::Updating { image, step: Step::Intended }),
            (image(), any::<Vec<u8>>())
                .prop_map(|(image, memory)| Phase::Updating { image, step: Step::Rebooting(memory) }),
        ]
    }

    prop_compose! {
        fn machine()(
            phase in phase(),
            result in 0_u8..=11,
            uri in ".{0,20}",
            severity in 0_u8..=2,
            defer_period in any::<u32>(),
            automatic in any::<bool>(),
            changed in any::<Option<u64>>(),
            serial in any::<u64>(),
        ) -> Machine {
            let settings = Settings { severity: Severity::from_number(severity).unwrap(), defer_period, automatic };
            Machine { phase, result: UpdateResult::from_number(result).unwrap(), uri, settings, changed, serial }
        }
    }

    proptest! {
        #[test]
        fn a_machine_survives_its_record(machine in machine(), cut in any::<prop::sample::Index>()) {
            let record = encode(&machine);
            prop_assert_eq!(decode(&record), Some(machine));
            prop_assert_eq!(decode(&record[..cut.index(record.len())]), None);
        }

        #[test]
        fn what_is_no_record_is_refused(content in any::<Vec<u8>>()) {
            if let Some(machine) = decode(&content) {
                prop_assert_eq!(decode(&encode(&machine)), Some(machine));
            }
        }
    }
}
