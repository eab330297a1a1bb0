//! The machine as it is stored.

use super::machine::{Image, Machine, Phase, Settings, Step};
use super::{Package, Severity, UpdateResult};
use crate::bytes::{Rest, put, put_optional};
use crate::objects::keeper::Delivery;
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
        Phase::Downloading(Delivery::Push) => out.push(1),
        Phase::Downloading(Delivery::Pull) => out.push(2),
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

fn put_image(out: &mut Vec<u8>, Image { digest, package }: &Image) {
    out.extend_from_slice(&digest.length.to_be_bytes());
    out.extend_from_slice(&digest.sha256);
    for text in [&package.name, &package.version] {
        put_optional(out, text.as_deref());
    }
}

/// `None` for what no [`encode`] has made.
pub(super) fn decode(content: &[u8]) -> Option<Machine> {
    let mut rest = Rest::new(content);
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
        1 => Phase::Downloading(Delivery::Push),
        2 => Phase::Downloading(Delivery::Pull),
        3 => Phase::Downloaded { image: image(&mut rest)?, deferred: false },
        4 => Phase::Downloaded { image: image(&mut rest)?, deferred: true },
        5 => Phase::Updating { image: image(&mut rest)?, step: Step::Intended },
        6 => Phase::Updating { image: image(&mut rest)?, step: Step::Rebooting(rest.bytes()?.to_vec()) },
        _ => return None,
    };
    let settings = Settings { severity, defer_period, automatic };
    let machine = Machine { phase, result, uri, settings, changed: known.then_some(changed), serial };
    rest.is_empty().then_some(machine)
}

fn image(rest: &mut Rest<'_>) -> Option<Image> {
    let digest = Digest { length: u64::from_be_bytes(rest.take()?), sha256: rest.take()? };
    let package = Package { name: rest.optional_text()?, version: rest.optional_text()? };
    Some(Image { digest, package })
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
            Just(Phase::Downloading(Delivery::Push)),
            Just(Phase::Downloading(Delivery::Pull)),
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
