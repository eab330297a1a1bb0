//! Resource 11 of object 3: which errors there are, each in an instance that stays its own.

use std::collections::BTreeMap;

use lapwing::{Resource, ResourceInstanceId};

use crate::platform::{PowerKind, PowerSource};

/// No error.
const NONE: i64 = 0;
/// Low battery power.
const LOW_BATTERY: i64 = 1;
/// External power supply off.
const SUPPLY_OFF: i64 = 2;

/// The error codes there are now: never empty, `{0: 0}` when all is well (LwM2M object 3, resource 11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorCodes {
    codes: BTreeMap<ResourceInstanceId, i64>,
}

impl Default for ErrorCodes {
    fn default() -> Self {
        Self { codes: BTreeMap::from([(0, NONE)]) }
    }
}

impl ErrorCodes {
    /// Takes over which errors there are now: an error that is gone loses its instance, a new one gets the lowest that is free.
    pub(super) fn update(&mut self, errors: &[i64]) {
        self.codes.retain(|_, code| errors.contains(code));
        for error in errors {
            if self.codes.values().any(|code| code == error) {
                continue;
            }
            let free = (0..).find(|id| !self.codes.contains_key(id));
            self.codes.extend(free.map(|id| (id, *error)));
        }
        if self.codes.is_empty() {
            *self = Self::default();
        }
    }

    /// Forgets all errors; those that persist come back with the next update (resource 12).
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn resource(&self) -> Resource {
        Resource::multiple(self.codes.iter().map(|(id, code)| (*id, *code)))
    }
}

/// The errors that the power sources show.
pub(super) fn power_errors(sources: &[PowerSource]) -> Vec<i64> {
    let battery =
        |source: &&PowerSource| matches!(source.kind, PowerKind::InternalBattery | PowerKind::ExternalBattery);
    let low = sources.iter().filter(battery).any(|source| source.online && source.low);
    let mut external = sources.iter().filter(|source| !battery(source)).peekable();
    // One of several sockets in use is enough.
    let off = external.peek().is_some() && external.all(|source| !source.online);
    [(low, LOW_BATTERY), (off, SUPPLY_OFF)].into_iter().filter_map(|(is, code)| is.then_some(code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(errors: &ErrorCodes) -> Vec<(u16, i64)> {
        errors.codes.iter().map(|(id, code)| (*id, *code)).collect()
    }

    #[test]
    fn errors_keep_their_instances_while_others_come_and_go() {
        let mut errors = ErrorCodes::default();
        assert_eq!(codes(&errors), [(0, 0)]);
        errors.update(&[SUPPLY_OFF]);
        assert_eq!(codes(&errors), [(0, SUPPLY_OFF)], "the first error replaces no error");
        errors.update(&[LOW_BATTERY, SUPPLY_OFF]);
        assert_eq!(codes(&errors), [(0, SUPPLY_OFF), (1, LOW_BATTERY)]);
        errors.update(&[LOW_BATTERY]);
        assert_eq!(codes(&errors), [(1, LOW_BATTERY)]);
        errors.update(&[]);
        assert_eq!(codes(&errors), [(0, 0)]);
    }

    #[test]
    fn a_reset_evaluates_anew() {
        let mut errors = ErrorCodes::default();
        errors.update(&[SUPPLY_OFF, LOW_BATTERY]);
        errors.update(&[LOW_BATTERY]);
        errors.reset();
        assert_eq!(codes(&errors), [(0, 0)]);
        errors.update(&[LOW_BATTERY]);
        assert_eq!(codes(&errors), [(0, LOW_BATTERY)]);
    }

    #[test]
    fn power_tells_a_low_battery_and_a_supply_that_is_off() {
        const NONE: [i64; 0] = [];
        let source = |kind, online, low| PowerSource { kind, online, low };
        let battery = |low| source(PowerKind::InternalBattery, true, low);
        assert_eq!(power_errors(&[]), NONE);
        assert_eq!(power_errors(&[battery(false)]), NONE);
        assert_eq!(power_errors(&[battery(true), source(PowerKind::Mains, false, false)]), [LOW_BATTERY, SUPPLY_OFF]);
        let one_of_two = [source(PowerKind::Usb, false, false), source(PowerKind::Usb, true, false)];
        assert_eq!(power_errors(&one_of_two), NONE);
        assert_eq!(
            power_errors(&[source(PowerKind::InternalBattery, false, true)]),
            NONE,
            "a battery that is not there"
        );
    }
}
