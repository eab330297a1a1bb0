//! Rule by rule, as the object's definition and the enabler test specification (LightweightM2M-1.0-int-750 and after) have them.

use super::*;

const NOW: Option<u64> = Some(1_800_000_000);
const LENGTH: u64 = 7;

fn image() -> Image {
    Image { digest: Digest { length: LENGTH, sha256: [1; 32] }, package: Package::default() }
}

/// The machine after these inputs, each of which is taken.
#[track_caller]
fn after(inputs: impl IntoIterator<Item = Input>) -> Machine {
    inputs.into_iter().fold(Machine::default(), |machine, input| took(&machine, input).0)
}

#[track_caller]
fn took(machine: &Machine, input: Input) -> (Machine, Option<Work>) {
    machine.step(NOW, input.clone()).unwrap_or_else(|reject| panic!("{input:?} in {machine:?}: {reject:?}"))
}

fn shown(machine: &Machine) -> (State, UpdateResult) {
    (machine.state(), machine.result)
}

fn uri() -> Input {
    Input::Uri("coap://files.example/image".to_owned())
}

const UPDATE: Input = Input::Update { later: false };

/// One machine in each state: idle after a success, pushing, pulling, downloaded, put off, updating, rebooting.
fn states() -> [Machine; 7] {
    let pushed = [Input::Push, Input::Received(1, image())];
    let rebooting = Input::Ended(2, Ok(Installed::AfterReboot(vec![9])));
    let deferrable = Settings { defer_period: 60, ..Machine::default().settings };
    [
        after(pushed.clone().into_iter().chain([UPDATE, Input::Ended(2, Ok(Installed::Done))])),
        after([Input::Push]),
        after([uri()]),
        after(pushed.clone()),
        after([Input::Set(deferrable)].into_iter().chain(pushed.clone()).chain([Input::Update { later: true }])),
        after(pushed.clone().into_iter().chain([UPDATE])),
        after(pushed.into_iter().chain([UPDATE, rebooting])),
    ]
}

#[test]
fn rule_1_a_reset_leads_to_idle_with_the_initial_result_and_starts_nothing() {
    for machine in states() {
        let taken = machine.step(NOW, Input::Reset);
        if machine.state() == State::Updating {
            assert_eq!(taken, Err(Reject::NotAllowed));
            continue;
        }
        let (next, work) = taken.unwrap();
        assert_eq!((shown(&next), next.uri.as_str()), ((State::Idle, UpdateResult::Initial), ""));
        assert_eq!((work, next.image()), (Some(Work::Nothing), None));
    }
}

#[test]
fn rule_3_the_result_is_initial_again_when_a_download_or_an_update_begins() {
    let failed = || after([Input::Push, Input::Lost(1, UpdateResult::ConnectionLost)]);
    assert_eq!(shown(&failed()), (State::Idle, UpdateResult::ConnectionLost));
    for begins in [Input::Push, uri()] {
        assert_eq!(shown(&took(&failed(), begins).0), (State::Downloading, UpdateResult::Initial));
    }
    let broken = Input::Ended(2, Err(Failure::new("broken")));
    let failed = after([Input::Push, Input::Received(1, image()), UPDATE, broken]);
    assert_eq!(shown(&failed), (State::Downloaded, UpdateResult::UpdateFailed));
    assert_eq!(shown(&took(&failed, UPDATE).0), (State::Updating, UpdateResult::Initial));
}

#[test]
fn rule_4_an_update_is_refused_outside_of_downloaded() {
    for machine in states() {
        let taken = machine.step(NOW, UPDATE);
        match machine.state() {
            State::Downloaded => assert_eq!(taken.unwrap().1, Some(Work::Install)),
            _ => assert_eq!(taken, Err(Reject::NotAllowed)),
        }
    }
}

#[test]
fn rule_5_a_uri_is_taken_then_its_failure_shows_in_the_result() {
    let (machine, work) = took(&Machine::default(), uri());
    assert_eq!((shown(&machine), work), ((State::Downloading, UpdateResult::Initial), Some(Work::Pull)));
    assert_eq!(machine.uri, "coap://files.example/image");
    for result in [UpdateResult::NoSpace, UpdateResult::Integrity, UpdateResult::PackageType, UpdateResult::InvalidUri]
    {
        let (failed, _) = took(&machine, Input::Lost(1, result));
        assert_eq!(shown(&failed), (State::Idle, result));
    }
}

#[test]
fn rule_6_a_failed_update_keeps_its_package_unless_that_is_the_culprit() {
    let updating = &states()[5];
    for (result, state) in [
        (UpdateResult::UpdateFailed, State::Downloaded),
        (UpdateResult::NoSpace, State::Downloaded),
        (UpdateResult::OutOfMemory, State::Downloaded),
        (UpdateResult::Integrity, State::Idle),
        (UpdateResult::PackageType, State::Idle),
    ] {
        let failure = Failure::new("broken").with_result(result);
        let (failed, work) = took(updating, Input::Ended(updating.serial, Err(failure)));
        assert_eq!((shown(&failed), work), ((state, result), Some(Work::Nothing)));
    }
}

#[test]
fn rule_7_a_cancel_is_for_what_was_not_begun_to_be_installed() {
    for machine in states() {
        let taken = machine.step(NOW, Input::Cancel);
        if matches!(machine.state(), State::Idle | State::Updating) {
            assert_eq!(taken, Err(Reject::NotAllowed));
            continue;
        }
        let (next, work) = taken.unwrap();
        assert_eq!((shown(&next), work), ((State::Idle, UpdateResult::Cancelled), Some(Work::Nothing)));
        // What comes of the download, or of the waiting, after that is of no interest.
        for late in [
            Input::Received(machine.serial, image()),
            Input::Lost(machine.serial, UpdateResult::ConnectionLost),
            Input::Due(machine.serial),
        ] {
            assert_eq!(next.step(NOW, late), Err(Reject::Outdated));
        }
    }
}

#[test]
fn rule_7_what_is_put_off_stays_downloaded_and_runs_when_the_period_ends() {
    let waiting = &states()[4];
    assert_eq!(shown(waiting), (State::Downloaded, UpdateResult::Deferred));
    let again = waiting.step(NOW, Input::Update { later: true }).unwrap();
    assert_eq!(again, (waiting.clone(), None), "putting it off again does not prolong the period");
    let (updating, work) = took(waiting, Input::Due(waiting.serial));
    assert_eq!((shown(&updating), work), ((State::Updating, UpdateResult::Initial), Some(Work::Install)));
    let (updating, work) = took(waiting, UPDATE);
    assert_eq!((updating.state(), work), (State::Updating, Some(Work::Install)));
    // A period of 0 permits no deferral.
    let (updating, work) = took(&states()[3], Input::Update { later: true });
    assert_eq!((updating.state(), work), (State::Updating, Some(Work::Install)));
}

#[test]
fn rule_8_a_uri_outside_of_idle_and_a_package_on_top_of_another_are_refused() {
    for machine in states() {
        let taken = machine.step(NOW, uri());
        assert_eq!(taken.is_ok(), machine.state() == State::Idle, "{machine:?}");
        assert!(taken.is_ok() || taken == Err(Reject::BadRequest));
        let taken = machine.step(NOW, Input::Push);
        let takes = matches!(machine.phase, Phase::Idle | Phase::Downloading(Delivery::Push));
        assert_eq!(taken.is_ok(), takes, "{machine:?}");
        assert!(taken.is_ok() || taken == Err(Reject::BadRequest));
    }
}

#[test]
fn rule_9_a_restart_keeps_what_can_go_on() {
    let [idle, pushing, pulling, downloaded, deferred, updating, rebooting] = states();
    let started = |machine: &Machine, length| took(machine, Input::Started(length));
    assert_eq!(started(&idle, None), (idle.clone(), None));
    assert_eq!(shown(&started(&pushing, Some(3)).0), (State::Idle, UpdateResult::ConnectionLost));
    assert_eq!(started(&pulling, Some(3)), (pulling.clone(), Some(Work::Pull)));
    assert_eq!(started(&downloaded, Some(LENGTH)), (downloaded.clone(), None));
    for length in [None, Some(LENGTH - 1)] {
        assert_eq!(shown(&started(&downloaded, length).0), (State::Idle, UpdateResult::Integrity));
    }
    assert_eq!(started(&deferred, Some(LENGTH)), (deferred.clone(), Some(Work::Defer(60))));
    // Whatever became of the file: the installer may have it, or have done with it.
    for length in [None, Some(LENGTH)] {
        assert_eq!(started(&updating, length), (updating.clone(), Some(Work::Resume)));
        assert_eq!(started(&rebooting, length), (rebooting.clone(), Some(Work::Confirm)));
    }
}

#[test]
fn rule_11_a_push_begun_anew_takes_the_place_of_the_one_before() {
    let (machine, work) = took(&after([Input::Push]), Input::Push);
    assert_eq!((shown(&machine), work), ((State::Downloading, UpdateResult::Initial), Some(Work::Nothing)));
    assert_eq!(machine.step(NOW, Input::Lost(1, UpdateResult::ConnectionLost)), Err(Reject::Outdated));
    assert_eq!(machine.step(NOW, Input::Received(1, image())), Err(Reject::Outdated));
    assert_eq!(shown(&took(&machine, Input::Received(2, image())).0), (State::Downloaded, UpdateResult::Initial));
}

#[test]
fn rule_12_the_time_is_stamped_with_the_state_and_with_nothing_else() {
    let machine = after([Input::Push]);
    let stamped = |time, input| machine.step(time, input).unwrap().0.changed;
    assert_eq!(machine.changed, NOW);
    assert_eq!(stamped(Some(7), Input::Received(1, image())), Some(7));
    assert_eq!(stamped(Some(7), Input::Push), NOW, "the state is the same");
    assert_eq!(stamped(Some(7), Input::Set(machine.settings)), NOW);
    assert_eq!(stamped(None, Input::Cancel), None, "an unknown time is not an old one");
}

#[test]
fn an_update_ends_where_its_outcome_is_known() {
    let updating = &states()[5];
    let ended = |serial, ended| updating.step(NOW, Input::Ended(serial, ended));
    let (next, work) = ended(updating.serial, Ok(Installed::Done)).unwrap();
    assert_eq!((shown(&next), work), ((State::Idle, UpdateResult::Success), Some(Work::Nothing)));
    let (rebooting, work) = ended(updating.serial, Ok(Installed::AfterReboot(vec![9]))).unwrap();
    assert_eq!((shown(&rebooting), work), ((State::Updating, UpdateResult::Initial), Some(Work::Reboot)));
    let (next, _) = took(&rebooting, Input::Ended(rebooting.serial, Ok(Installed::Done)));
    assert_eq!(shown(&next), (State::Idle, UpdateResult::Success));
    assert_eq!(ended(updating.serial - 1, Ok(Installed::Done)), Err(Reject::Outdated));
}

#[test]
fn an_automatic_upgrade_follows_the_download() {
    let automatic = Settings { automatic: true, ..Machine::default().settings };
    let (machine, work) = took(&after([Input::Set(automatic), Input::Push]), Input::Received(1, image()));
    assert_eq!((shown(&machine), work), ((State::Updating, UpdateResult::Initial), Some(Work::Install)));
}

/// Whatever happens in whatever order, a number is given to the installer once.
#[test]
fn installing_is_ordered_once_for_each_number() {
    let settings = Settings { defer_period: 60, automatic: true, ..Machine::default().settings };
    let inputs = |serial: u64| {
        [
            Input::Push,
            Input::Set(settings),
            Input::Received(serial, image()),
            UPDATE,
            Input::Update { later: true },
            Input::Due(serial),
            Input::Ended(serial, Err(Failure::new("broken"))),
            Input::Ended(serial, Ok(Installed::AfterReboot(Vec::new()))),
            Input::Cancel,
            Input::Reset,
            Input::Started(Some(LENGTH)),
        ]
    };
    // Every sequence of six inputs.
    let mut open = vec![(Machine::default(), None)];
    for _ in 0..6 {
        let mut next = Vec::new();
        for (machine, installed) in open {
            for input in inputs(machine.serial) {
                let Ok((after, work)) = machine.step(NOW, input) else { continue };
                if work == Some(Work::Install) {
                    assert!(installed < Some(after.serial), "{after:?} is installed twice");
                    next.push((after.clone(), Some(after.serial)));
                } else {
                    next.push((after, installed));
                }
            }
        }
        next.sort_by_key(|(machine, installed)| (format!("{machine:?}"), *installed));
        next.dedup();
        open = next;
    }
}
