//! The machine as it is stored.

use lapwing_lwm2m::model::ObjectLink;
use zeroize::Zeroizing;

use super::machine::{Kind, Machine, Password, Phase, Settings};
use super::{OperationalState, Release, Task, UpdateResult};
use crate::bytes::{Rest, put, put_optional};
use crate::objects::keeper::Delivery;
use crate::transfer::Digest;

/// Of the layout below. A program that is taken back reads what the one on trial has left: where it cannot, it has nothing to report.
pub(super) const VERSION: u16 = 1;

const TASKS: [Task; 7] =
    [Task::Install, Task::Remove, Task::Activate, Task::Deactivate, Task::Start, Task::Stop, Task::Purge];

/// The kind and the operational state are not in it.
pub(super) fn encode(machine: &Machine) -> Zeroizing<Vec<u8>> {
    let Settings { announce, user, password, link } = &machine.settings;
    // So that no copy of a password is left behind by growing.
    let mut out = Zeroizing::new(Vec::with_capacity(4096));
    out.extend_from_slice(&[machine.result as u8, (*announce).into(), link.is_some().into()]);
    let link = link.unwrap_or(ObjectLink::NULL);
    out.extend_from_slice(&link.object.to_be_bytes());
    out.extend_from_slice(&link.instance.to_be_bytes());
    put(&mut out, user.as_bytes());
    put(&mut out, password.0.as_bytes());
    put(&mut out, machine.reason.as_bytes());
    out.extend_from_slice(&machine.serial.to_be_bytes());
    put(&mut out, machine.uri.as_bytes());
    let task = machine.task.and_then(|task| TASKS.iter().position(|each| *each == task));
    // 0 is none; there are seven.
    out.push(task.map_or(0, |number| number as u8 + 1));
    out.push(machine.package.is_some().into());
    if let Some(Digest { length, sha256 }) = &machine.package {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(sha256);
    }
    match &machine.in_place {
        None => out.push(0),
        Some((release, active)) => {
            out.push(if *active { 2 } else { 1 });
            put_release(&mut out, release);
        }
    }
    match &machine.phase {
        Phase::Initial => out.push(0),
        Phase::Downloading(Delivery::Push) => out.push(1),
        Phase::Downloading(Delivery::Pull) => out.push(2),
        Phase::Downloaded => out.push(3),
        Phase::Delivered(release) => {
            out.push(4);
            put_release(&mut out, release);
        }
        Phase::Installed { release, active } => {
            out.push(if *active { 6 } else { 5 });
            put_release(&mut out, release);
        }
    }
    out
}

fn put_release(out: &mut Vec<u8>, Release { length, sha256, name, version }: &Release) {
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(sha256);
    put_optional(out, name.as_deref());
    put_optional(out, version.as_deref());
}

/// `None` for what no [`encode`] has made.
pub(super) fn decode(kind: Kind, content: &[u8]) -> Option<Machine> {
    let mut rest = Rest::new(content);
    let result = UpdateResult::from_number(rest.byte()?)?;
    let (announce, linked) = (rest.boolean()?, rest.boolean()?);
    let link = ObjectLink { object: u16::from_be_bytes(rest.take()?), instance: u16::from_be_bytes(rest.take()?) };
    let (user, password) = (rest.text()?, Password(Zeroizing::new(rest.text()?)));
    let settings = Settings { announce, user, password, link: linked.then_some(link) };
    let reason = rest.text()?;
    let serial = u64::from_be_bytes(rest.take()?);
    let uri = rest.text()?;
    let task = match rest.byte()?.checked_sub(1) {
        None => None,
        Some(number) => Some(*TASKS.get(usize::from(number))?),
    };
    let package = match rest.boolean()? {
        false => None,
        true => Some(Digest { length: u64::from_be_bytes(rest.take()?), sha256: rest.take()? }),
    };
    let in_place = match rest.byte()? {
        0 => None,
        1 => Some((release(&mut rest)?, false)),
        2 => Some((release(&mut rest)?, true)),
        _ => return None,
    };
    let phase = match rest.byte()? {
        0 => Phase::Initial,
        1 => Phase::Downloading(Delivery::Push),
        2 => Phase::Downloading(Delivery::Pull),
        3 => Phase::Downloaded,
        4 => Phase::Delivered(release(&mut rest)?),
        5 => Phase::Installed { release: release(&mut rest)?, active: false },
        6 => Phase::Installed { release: release(&mut rest)?, active: true },
        _ => return None,
    };
    let mut machine =
        Machine { phase, result, uri, settings, reason, package, in_place, task, serial, ..Machine::new(kind) };
    // What is active was left running.
    if machine.is_active() || matches!(machine.in_place, Some((_, true))) {
        machine.operational = OperationalState::Running;
    }
    rest.is_empty().then_some(machine)
}

fn release(rest: &mut Rest<'_>) -> Option<Release> {
    let (length, sha256) = (u64::from_be_bytes(rest.take()?), rest.take()?);
    Some(Release { length, sha256, name: rest.optional_text()?, version: rest.optional_text()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn release() -> impl Strategy<Value = Release> {
        let text = || proptest::option::of(".{0,8}");
        (any::<u64>(), any::<[u8; 32]>(), text(), text()).prop_map(|(length, sha256, name, version)| Release {
            length,
            sha256,
            name,
            version,
        })
    }

    fn phase() -> impl Strategy<Value = Phase> {
        prop_oneof![
            Just(Phase::Initial),
            Just(Phase::Downloading(Delivery::Push)),
            Just(Phase::Downloading(Delivery::Pull)),
            Just(Phase::Downloaded),
            release().prop_map(Phase::Delivered),
            (release(), any::<bool>()).prop_map(|(release, active)| Phase::Installed { release, active }),
        ]
    }

    prop_compose! {
        fn settings()(
            announce in any::<bool>(),
            user in ".{0,8}",
            password in ".{0,8}",
            link in proptest::option::of(any::<(u16, u16)>()),
        ) -> Settings {
            let link = link.map(|(object, instance)| ObjectLink { object, instance });
            Settings { announce, user, password: Password(Zeroizing::new(password)), link }
        }
    }

    prop_compose! {
        fn machine()(
            phase in phase(),
            result in proptest::sample::select(vec![0_u8, 1, 2, 3, 50, 51, 52, 53, 54, 56, 57, 58, 59]),
            uri in ".{0,20}",
            settings in settings(),
            reason in ".{0,8}",
            package in proptest::option::of(any::<(u64, [u8; 32])>()),
            in_place in proptest::option::of((release(), any::<bool>())),
            task in proptest::option::of(proptest::sample::select(TASKS.to_vec())),
            serial in any::<u64>(),
        ) -> Machine {
            let result = UpdateResult::from_number(result).unwrap();
            let package = package.map(|(length, sha256)| Digest { length, sha256 });
            Machine { phase, result, uri, settings, reason, package, in_place, task, serial, ..Machine::new(Kind::Package) }
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
