//! The machine as it is stored.

use super::UpdateResult;
use super::machine::{Image, Kind, Machine, Phase, Source, Task};
use crate::objects::bytes::{Rest, put, put_optional};
use crate::objects::software::OperationalState;

/// Of the layout below.
pub const VERSION: u16 = 1;

const TASKS: [Task; 7] =
    [Task::Install, Task::Remove, Task::Activate, Task::Deactivate, Task::Start, Task::Stop, Task::Purge];

/// The kind and the operational state are not in it.
pub fn encode(machine: &Machine) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&[machine.result as u8, machine.announce.into()]);
    out.extend_from_slice(&machine.serial.to_be_bytes());
    put(&mut out, machine.uri.as_bytes());
    let task = machine.task.and_then(|task| TASKS.iter().position(|each| *each == task));
    // 0 is none; there are seven.
    out.push(task.map_or(0, |number| number as u8 + 1));
    match &machine.in_place {
        None => out.push(0),
        Some((image, active)) => {
            out.push(if *active { 2 } else { 1 });
            put_image(&mut out, image);
        }
    }
    match &machine.phase {
        Phase::Initial => out.push(0),
        Phase::Downloading(Source::Push) => out.push(1),
        Phase::Downloading(Source::Pull) => out.push(2),
        Phase::Downloaded => out.push(3),
        Phase::Delivered(image) => {
            out.push(4);
            put_image(&mut out, image);
        }
        Phase::Installed { image, active } => {
            out.push(if *active { 6 } else { 5 });
            put_image(&mut out, image);
        }
    }
    out
}

fn put_image(out: &mut Vec<u8>, Image { length, sha256, name, version }: &Image) {
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(sha256);
    put_optional(out, name.as_deref());
    put_optional(out, version.as_deref());
}

/// `None` for what no [`encode`] has made.
pub fn decode(kind: Kind, content: &[u8]) -> Option<Machine> {
    let mut rest = Rest::new(content);
    let result = UpdateResult::from_number(rest.byte()?)?;
    let announce = rest.boolean()?;
    let serial = u64::from_be_bytes(rest.take()?);
    let uri = rest.text()?;
    let task = match rest.byte()?.checked_sub(1) {
        None => None,
        Some(number) => Some(*TASKS.get(usize::from(number))?),
    };
    let in_place = match rest.byte()? {
        0 => None,
        1 => Some((image(&mut rest)?, false)),
        2 => Some((image(&mut rest)?, true)),
        _ => return None,
    };
    let phase = match rest.byte()? {
        0 => Phase::Initial,
        1 => Phase::Downloading(Source::Push),
        2 => Phase::Downloading(Source::Pull),
        3 => Phase::Downloaded,
        4 => Phase::Delivered(image(&mut rest)?),
        5 => Phase::Installed { image: image(&mut rest)?, active: false },
        6 => Phase::Installed { image: image(&mut rest)?, active: true },
        _ => return None,
    };
    let mut machine = Machine { phase, result, uri, announce, in_place, task, serial, ..Machine::new(kind) };
    // What is active was left running.
    if machine.is_active() || matches!(machine.in_place, Some((_, true))) {
        machine.operational = OperationalState::Running;
    }
    rest.is_empty().then_some(machine)
}

fn image(rest: &mut Rest<'_>) -> Option<Image> {
    let (length, sha256) = (u64::from_be_bytes(rest.take()?), rest.take()?);
    Some(Image { length, sha256, name: rest.optional_text()?, version: rest.optional_text()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image() -> impl Strategy<Value = Image> {
        let text = || proptest::option::of(".{0,8}");
        (any::<u64>(), any::<[u8; 32]>(), text(), text()).prop_map(|(length, sha256, name, version)| Image {
            length,
            sha256,
            name,
            version,
        })
    }

    fn phase() -> impl Strategy<Value = Phase> {
        prop_oneof![
            Just(Phase::Initial),
            Just(Phase::Downloading(Source::Push)),
            Just(Phase::Downloading(Source::Pull)),
            Just(Phase::Downloaded),
            image().prop_map(Phase::Delivered),
            (image(), any::<bool>()).prop_map(|(image, active)| Phase::Installed { image, active }),
        ]
    }

    prop_compose! {
        fn machine()(
            phase in phase(),
            result in proptest::sample::select(vec![0_u8, 1, 2, 3, 50, 51, 52, 53, 54, 56, 57, 58, 59]),
            uri in ".{0,20}",
            announce in any::<bool>(),
            in_place in proptest::option::of((image(), any::<bool>())),
            task in proptest::option::of(proptest::sample::select(TASKS.to_vec())),
            serial in any::<u64>(),
        ) -> Machine {
            let result = UpdateResult::from_number(result).unwrap();
            Machine { phase, result, uri, announce, in_place, task, serial, ..Machine::new(Kind::Package) }
        }
    }

    proptest! {
        #[test]
        fn a_machine_survives_its_record(machine in machine(), cut in any::<prop::sample::Index>()) {
            let record = encode(&machine);
            let found = decode(Kind::Package, &record).unwrap();
            let operational = found.operational;
            prop_assert_eq!(found, Machine { operational, ..machine });
            prop_assert_eq!(decode(Kind::Package, &record[..cut.index(record.len())]), None);
        }

        #[test]
        fn what_is_no_record_is_refused(content in any::<Vec<u8>>()) {
            if let Some(machine) = decode(Kind::Own, &content) {
                prop_assert_eq!(decode(Kind::Own, &encode(&machine)), Some(machine));
            }
        }
    }
}
