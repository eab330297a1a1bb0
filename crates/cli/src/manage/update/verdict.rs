//! What states and results mean for who waits for something (LwM2M objects 5 and 9, State and Update Result).

use lapwing::objects::{firmware, software};
use lapwing_lwm2m::definitions::{firmware_update, software_management};
use lapwing_lwm2m::model::ResourceId;

use super::subject::{Snapshot, Subject};

/// The package is there.
pub(super) const FIRMWARE_DOWNLOADED: u64 = firmware::State::Downloaded as u64;

const IDLE: u64 = firmware::State::Idle as u64;
const DOWNLOADING: u64 = firmware::State::Downloading as u64;
const UPDATING: u64 = firmware::State::Updating as u64;
const SUCCESS: u64 = firmware::UpdateResult::Success as u64;
const DEFERRED: u64 = firmware::UpdateResult::Deferred as u64;

const INITIAL: u64 = software::State::Initial as u64;
const DOWNLOAD_STARTED: u64 = software::State::DownloadStarted as u64;
const SOFTWARE_DOWNLOADED: u64 = software::State::Downloaded as u64;
const DELIVERED: u64 = software::State::Delivered as u64;
const INSTALLED: u64 = software::State::Installed as u64;
const UNINSTALL_FAILED: u64 = software::UpdateResult::UninstallFailed as u64;
const FAILED: u64 = software::OperationalState::Failed as u64;
/// Results of object 9 from here on are failures.
const FIRST_FAILURE: u64 = software::UpdateResult::NoSpace as u64;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// A package is there.
    Delivered,
    /// The firmware was updated.
    Updated,
    /// The software is installed.
    Installed,
    /// It is active.
    Active,
    /// It is not active.
    Inactive,
    /// It is gone.
    Removed,
}

impl Goal {
    /// What is executed to get there.
    pub(super) fn executed(self, subject: Subject) -> Option<ResourceId> {
        match (self, subject) {
            (Self::Updated, Subject::Firmware) => Some(firmware_update::UPDATE),
            (Self::Installed, Subject::Software(_)) => Some(software_management::INSTALL),
            (Self::Active, Subject::Software(_)) => Some(software_management::ACTIVATE),
            (Self::Inactive, Subject::Software(_)) => Some(software_management::DEACTIVATE),
            (Self::Removed, Subject::Software(_)) => Some(software_management::UNINSTALL),
            _ => None,
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is going on.
    Wait(&'static str),
    /// It is reached.
    Done(&'static str),
    /// It will not be reached, for this reason.
    Failed(String),
}

/// Where `goal` stands when the instance says `now`.
pub(super) fn verdict(subject: Subject, goal: Goal, now: &Snapshot) -> Verdict {
    match subject {
        Subject::Firmware => of_firmware(goal, now),
        Subject::Software(_) => of_software(goal, now),
    }
}

fn of_firmware(goal: Goal, now: &Snapshot) -> Verdict {
    let failed = || Verdict::Failed(firmware_result(now.result));
    match (goal, now.state, now.result) {
        (Goal::Delivered, DOWNLOADING, _) => Verdict::Wait("the package is on its way"),
        (Goal::Delivered, FIRMWARE_DOWNLOADED, _) => Verdict::Done("the package is there"),
        (Goal::Delivered, UPDATING, _) => Verdict::Done("the package is there, and the client installs it by itself"),
        (_, UPDATING, _) => Verdict::Wait("the update is being installed"),
        (_, IDLE, SUCCESS) => Verdict::Done("the update has succeeded"),
        (Goal::Delivered, IDLE, 0) => Verdict::Wait("the client has not begun"),
        (_, IDLE, 0) => Verdict::Failed("the client knows of no update any more".to_owned()),
        (_, FIRMWARE_DOWNLOADED, 0) => Verdict::Wait("the client has not begun"),
        (_, FIRMWARE_DOWNLOADED, DEFERRED) => Verdict::Wait("the client puts the update off"),
        _ => failed(),
    }
}

fn of_software(goal: Goal, now: &Snapshot) -> Verdict {
    let is_failure = now.result >= FIRST_FAILURE;
    let failed = || Verdict::Failed(software_result(now));
    match (goal, now.state) {
        (Goal::Delivered, DOWNLOAD_STARTED) => Verdict::Wait("the package is on its way"),
        (Goal::Delivered, SOFTWARE_DOWNLOADED) => Verdict::Wait("the package is being verified"),
        (Goal::Delivered, DELIVERED) => Verdict::Done("the package is there"),
        (Goal::Delivered, INSTALLED) if !is_failure => Verdict::Done("the package is there, and is installed"),
        (Goal::Delivered, _) if !is_failure => Verdict::Wait("the client has not begun"),

        (Goal::Installed, DELIVERED) if !is_failure => Verdict::Wait("the software is being installed"),
        (Goal::Installed, INSTALLED) => Verdict::Done("the software is installed"),

        (Goal::Active, INSTALLED) if now.active => Verdict::Done("the software is active"),
        (Goal::Active, INSTALLED) if now.operational == Some(FAILED) => {
            Verdict::Failed(because("the software does not run", &now.reason))
        }
        (Goal::Active, INSTALLED) if !is_failure => Verdict::Wait("the software is being activated"),

        (Goal::Inactive, _) if !now.active => Verdict::Done("the software is not active"),
        (Goal::Inactive, _) => Verdict::Wait("the software is being deactivated"),

        (Goal::Removed, INITIAL) => Verdict::Done("the software is removed"),
        (Goal::Removed, _) if now.result != UNINSTALL_FAILED => Verdict::Wait("the software is being removed"),
        _ => failed(),
    }
}

/// The result in words, with its number.
fn firmware_result(result: u64) -> String {
    let known = u8::try_from(result).ok().and_then(firmware::UpdateResult::from_number);
    known.map_or_else(|| format!("result {result}"), |known| format!("{known} (result {result})"))
}

fn software_result(now: &Snapshot) -> String {
    let known = u8::try_from(now.result).ok().and_then(software::UpdateResult::from_number);
    let text = known.map_or_else(String::new, |known| format!("{known} "));
    because(&format!("{text}(result {})", now.result), &now.reason)
}

fn because(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {}", crate::text::printable(reason)) }
}

/// One line for who asks.
pub(super) fn described(subject: Subject, now: &Snapshot) -> String {
    let Snapshot { state, .. } = now;
    match subject {
        Subject::Firmware => {
            let names = ["idle", "downloading", "downloaded", "updating"];
            let name = usize::try_from(*state).ok().and_then(|state| names.get(state)).unwrap_or(&"unknown");
            format!("{name} (state {state}); {}", firmware_result(now.result))
        }
        Subject::Software(_) => {
            let names = ["initial", "download started", "downloaded", "delivered", "installed"];
            let name = usize::try_from(*state).ok().and_then(|state| names.get(state)).unwrap_or(&"unknown");
            let active = if now.active { "active" } else { "not active" };
            format!("{name} (state {state}), {active}; {}", software_result(now))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(goal: Goal, state: u64, result: u64) -> Verdict {
        verdict(Subject::Firmware, goal, &Snapshot { state, result, ..Snapshot::default() })
    }

    fn software(goal: Goal, state: u64, result: u64) -> Verdict {
        verdict(Subject::Software(1), goal, &Snapshot { state, result, ..Snapshot::default() })
    }

    fn is_failed(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Failed(_))
    }

    #[test]
    fn an_update_of_firmware_has_succeeded_with_the_result_1_alone() {
        for result in 0..=12 {
            for state in 0..=3 {
                let done = matches!(firmware(Goal::Updated, state, result), Verdict::Done(_));
                assert_eq!(done, (state, result) == (0, 1), "{state} {result}");
            }
        }
        assert_eq!(firmware(Goal::Updated, 3, 0), Verdict::Wait("the update is being installed"));
        assert_eq!(firmware(Goal::Updated, 2, 11), Verdict::Wait("the client puts the update off"));
        assert_eq!(firmware(Goal::Updated, 2, 8), Verdict::Failed("the update has failed (result 8)".to_owned()));
        assert_eq!(firmware(Goal::Updated, 0, 99), Verdict::Failed("result 99".to_owned()));
        assert!(is_failed(&firmware(Goal::Updated, 0, 0)));
    }

    #[test]
    fn a_package_of_firmware_is_there_or_lost() {
        assert!(matches!(firmware(Goal::Delivered, 0, 0), Verdict::Wait(_)));
        assert!(matches!(firmware(Goal::Delivered, 1, 0), Verdict::Wait(_)));
        assert!(matches!(firmware(Goal::Delivered, 2, 0), Verdict::Done(_)));
        assert!(matches!(firmware(Goal::Delivered, 0, 1), Verdict::Done(_)), "installed by the client itself");
        for result in 2..=10 {
            assert!(is_failed(&firmware(Goal::Delivered, 0, result)), "{result}");
        }
    }

    #[test]
    fn software_goes_from_delivered_to_active() {
        assert!(matches!(software(Goal::Delivered, 1, 1), Verdict::Wait(_)));
        assert!(matches!(software(Goal::Delivered, 3, 3), Verdict::Done(_)));
        assert!(is_failed(&software(Goal::Delivered, 0, 53)));
        assert!(matches!(software(Goal::Installed, 3, 3), Verdict::Wait(_)));
        assert!(matches!(software(Goal::Installed, 4, 2), Verdict::Done(_)));
        assert!(is_failed(&software(Goal::Installed, 3, 58)));
        assert!(matches!(software(Goal::Active, 4, 2), Verdict::Wait(_)));
        assert!(is_failed(&software(Goal::Active, 3, 58)), "taken back");
        let mut now = Snapshot { state: 4, result: 2, active: true, ..Snapshot::default() };
        let subject = Subject::Software(0);
        assert_eq!(verdict(subject, Goal::Active, &now), Verdict::Done("the software is active"));
        (now.active, now.operational, now.reason) = (false, Some(4), "exit code 3".to_owned());
        let expected = Verdict::Failed("the software does not run: exit code 3".to_owned());
        assert_eq!(verdict(subject, Goal::Active, &now), expected);
        assert!(matches!(software(Goal::Removed, 0, 0), Verdict::Done(_)));
        assert!(is_failed(&software(Goal::Removed, 4, 59)));
        assert!(matches!(software(Goal::Inactive, 4, 2), Verdict::Done(_)));
    }

    #[test]
    fn what_it_is_in_is_told_in_a_line() {
        let now = Snapshot { state: 3, result: 58, reason: "no".to_owned(), ..Snapshot::default() };
        assert_eq!(
            described(Subject::Software(0), &now),
            "delivered (state 3), not active; the installation has failed (result 58): no"
        );
        assert_eq!(described(Subject::Firmware, &Snapshot::default()), "idle (state 0); nothing has ended (result 0)");
    }
}
