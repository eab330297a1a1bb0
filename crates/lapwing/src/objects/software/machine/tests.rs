//! Rule by rule, as the object's definition (OMA-TS-LWM2M_SwMgmt-V1_0_2 and object 9 in version 1.1) has them, and what the gateway's earlier
//! client did with its own instance.

use proptest::prelude::*;

use super::*;

const EXECUTABLE: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn release() -> Release {
    Release { length: 7, sha256: EXECUTABLE, name: Some("kettle".to_owned()), version: Some("2".to_owned()) }
}

fn uri() -> Input {
    Input::Uri("coap://files.example/package".to_owned())
}

#[track_caller]
fn took(machine: &Machine, input: Input) -> (Machine, Option<Work>) {
    machine.step(input.clone()).unwrap_or_else(|reject| panic!("{input:?} in {machine:?}: {reject:?}"))
}

/// The machine after these inputs, each of which is taken.
#[track_caller]
fn after(kind: Kind, inputs: impl IntoIterator<Item = Input>) -> Machine {
    inputs.into_iter().fold(Machine::new(kind), |machine, input| took(&machine, input).0)
}

const DONE: Result<(), Failure> = Ok(());
/// Failed without saying more.
const FAILED: Result<(), Failure> = Err(Failure { result: None, reason: String::new() });
/// Of all numbers.
const HALF: u64 = u64::MAX / 2;
const PACKAGE: Digest = Digest { length: 9, sha256: [3; 32] };
const INSTALL: Input = Input::Execute(Task::Install);
const ACTIVATE: Input = Input::Execute(Task::Activate);
const REMOVE: Input = Input::Uninstall { for_update: false };
const FOR_UPDATE: Input = Input::Uninstall { for_update: true };
const KINDS: [Kind; 2] = [Kind::Package, Kind::Own];

fn delivered(kind: Kind) -> Machine {
    after(kind, [Input::Push, Input::Received(1, PACKAGE), Input::Verified(1, release())])
}

fn installed(kind: Kind) -> Machine {
    let machine = took(&delivered(kind), INSTALL).0;
    took(&machine, Input::Ended(2, DONE)).0
}

fn active(kind: Kind) -> Machine {
    let machine = took(&installed(kind), ACTIVATE).0;
    took(&machine, Input::Ended(3, DONE)).0
}

/// One machine in each state without a task: initial, pushing, pulling, downloaded, delivered, installed, active.
fn states(kind: Kind) -> [Machine; 7] {
    [
        Machine::new(kind),
        after(kind, [Input::Push]),
        after(kind, [uri()]),
        after(kind, [Input::Push, Input::Received(1, PACKAGE)]),
        delivered(kind),
        installed(kind),
        active(kind),
    ]
}

/// One machine for each task that this kind has.
fn tasks(kind: Kind) -> Vec<Machine> {
    let begun = |machine: &Machine, task| took(machine, Input::Execute(task)).0;
    let mut machines = vec![begun(&delivered(kind), Task::Install), begun(&installed(kind), Task::Activate)];
    if kind == Kind::Package {
        machines.extend([Task::Deactivate, Task::Stop, Task::Purge].map(|task| begun(&active(kind), task)));
        machines.push(took(&active(kind), REMOVE).0);
    }
    machines
}

fn shown(machine: &Machine) -> (State, UpdateResult) {
    (machine.state(), machine.result)
}

#[test]
fn a_package_goes_through_the_states_with_their_results() {
    for (begin, work) in [(Input::Push, Work::Nothing), (uri(), Work::Pull)] {
        let (machine, begun) = took(&Machine::new(Kind::Package), begin);
        assert_eq!((shown(&machine), begun), ((State::DownloadStarted, UpdateResult::Downloading), Some(work)));
        let (machine, work) = took(&machine, Input::Received(1, PACKAGE));
        assert_eq!((machine.state(), work), (State::Downloaded, Some(Work::Verify { after_restart: false })));
        let machine = took(&machine, Input::Verified(1, release())).0;
        assert_eq!(shown(&machine), (State::Delivered, UpdateResult::Verified));
        assert_eq!(machine.release(), Some(&release()));
        let (machine, work) = took(&machine, INSTALL);
        assert_eq!(
            (shown(&machine), work),
            ((State::Delivered, UpdateResult::Verified), Some(Work::Begin(Task::Install)))
        );
        let machine = took(&machine, Input::Ended(2, DONE)).0;
        assert_eq!(shown(&machine), (State::Installed, UpdateResult::Installed));
        assert!(!machine.is_active() && !machine.needs_package());
    }
}

#[test]
fn package_and_uri_are_taken_only_in_initial() {
    for machine in states(Kind::Package).into_iter().chain(tasks(Kind::Package)) {
        for input in [Input::Push, uri()] {
            let begun_anew = machine.phase == Phase::Downloading(Delivery::Push) && input == Input::Push;
            match machine.step(input) {
                Ok((next, _)) => {
                    assert!(machine.state() == State::Initial || begun_anew);
                    assert_eq!(next.serial, machine.serial + 1);
                }
                Err(reject) => {
                    assert!(machine.state() != State::Initial && !begun_anew && reject == Reject::BadRequest)
                }
            }
        }
    }
}

#[test]
fn install_is_taken_only_in_delivered() {
    for machine in KINDS.into_iter().flat_map(states) {
        let taken = machine.step(INSTALL);
        match machine.state() {
            State::Delivered => assert_eq!(taken.unwrap().1, Some(Work::Begin(Task::Install))),
            _ => assert_eq!(taken, Err(Reject::NotAllowed)),
        }
    }
}

#[test]
fn activate_and_deactivate_are_taken_only_in_installed() {
    for machine in states(Kind::Package) {
        for task in [Task::Activate, Task::Deactivate] {
            let taken = machine.step(Input::Execute(task));
            let is_so = machine.is_active() == (task == Task::Activate);
            match machine.state() {
                State::Installed if is_so => assert_eq!(taken, Ok((machine.clone(), None))),
                State::Installed => assert_eq!(taken.unwrap().1, Some(Work::Begin(task))),
                _ => assert_eq!(taken, Err(Reject::NotAllowed)),
            }
        }
    }
}

#[test]
fn start_and_stop_are_taken_only_when_active() {
    for machine in states(Kind::Package) {
        for task in [Task::Start, Task::Stop] {
            assert_eq!(machine.step(Input::Execute(task)).is_ok(), machine.is_active(), "{task:?} in {machine:?}");
        }
    }
}

#[test]
fn activation_and_operation_are_told_apart() {
    let shown = |machine: &Machine| (machine.is_active(), machine.operational);
    let mut machine = installed(Kind::Package);
    assert_eq!(shown(&machine), (false, OperationalState::Stopped));
    for (task, during, ended, then) in [
        (Task::Activate, OperationalState::Initializing, FAILED, (false, OperationalState::Failed)),
        (Task::Activate, OperationalState::Initializing, DONE, (true, OperationalState::Running)),
        (Task::Stop, OperationalState::ShuttingDown, FAILED, (true, OperationalState::Running)),
        (Task::Stop, OperationalState::ShuttingDown, DONE, (true, OperationalState::Stopped)),
        (Task::Start, OperationalState::Initializing, FAILED, (true, OperationalState::Failed)),
        (Task::Start, OperationalState::Initializing, DONE, (true, OperationalState::Running)),
        (Task::Deactivate, OperationalState::ShuttingDown, FAILED, (true, OperationalState::Running)),
        (Task::Deactivate, OperationalState::ShuttingDown, DONE, (false, OperationalState::Stopped)),
    ] {
        machine = took(&machine, Input::Execute(task)).0;
        assert_eq!(machine.operational, during, "{task:?}");
        machine = took(&machine, Input::Ended(machine.serial, ended)).0;
        assert_eq!(shown(&machine), then, "{task:?}");
        assert_eq!(UpdateResult::Installed, machine.result);
    }
    let crashed = took(&active(Kind::Package), Input::Observed(OperationalState::Failed)).0;
    assert_eq!(shown(&crashed), (true, OperationalState::Failed));
    let machine = took(&crashed, Input::Execute(Task::Start)).0;
    // What is seen while a task runs may be from before it.
    assert_eq!(took(&machine, Input::Observed(OperationalState::Stopped)).0, machine);
}

#[test]
fn a_failed_installation_stays_delivered_and_may_be_tried_again() {
    for kind in KINDS {
        let machine = took(&delivered(kind), INSTALL).0;
        let machine = took(&machine, Input::Ended(2, FAILED)).0;
        assert_eq!(shown(&machine), (State::Delivered, UpdateResult::InstallFailed));
        assert!(machine.needs_package());
        let (machine, work) = took(&machine, INSTALL);
        assert_eq!((machine.result, work), (UpdateResult::Verified, Some(Work::Begin(Task::Install))));
    }
}

#[test]
fn a_failed_download_or_verification_leads_to_initial() {
    for result in [UpdateResult::NoSpace, UpdateResult::ConnectionLost, UpdateResult::InvalidUri] {
        let machine = after(Kind::Package, [uri(), Input::Lost(1, result, String::new())]);
        // What came before the connection was lost is of use when the same URI is written again.
        let is_of_use = result == UpdateResult::ConnectionLost;
        assert_eq!((shown(&machine), machine.needs_package()), ((State::Initial, result), is_of_use));
    }
    for result in [UpdateResult::Integrity, UpdateResult::PackageType] {
        let machine =
            after(Kind::Package, [Input::Push, Input::Received(1, PACKAGE), Input::Lost(1, result, String::new())]);
        assert_eq!((shown(&machine), machine.needs_package()), ((State::Initial, result), false));
    }
}

#[test]
fn uninstall_removes_and_resets_the_result() {
    let (machine, work) = took(&active(Kind::Package), REMOVE);
    assert_eq!((machine.state(), work), (State::Installed, Some(Work::Begin(Task::Remove))));
    let failed = took(&machine, Input::Ended(4, FAILED)).0;
    assert_eq!(shown(&failed), (State::Installed, UpdateResult::UninstallFailed));
    let gone = took(&machine, Input::Ended(4, DONE)).0;
    assert_eq!((shown(&gone), gone.release()), ((State::Initial, UpdateResult::Initial), None));

    // A package that was not installed is thrown away.
    let (machine, work) = took(&delivered(Kind::Package), REMOVE);
    assert_eq!((shown(&machine), work), ((State::Initial, UpdateResult::Initial), Some(Work::Nothing)));
    for machine in &states(Kind::Package)[..4] {
        assert_eq!(machine.step(REMOVE), Err(Reject::NotAllowed));
        assert_eq!(machine.step(FOR_UPDATE), Err(Reject::NotAllowed));
    }
}

#[test]
fn uninstall_for_an_update_leaves_the_software_in_place() {
    let (machine, work) = took(&active(Kind::Package), FOR_UPDATE);
    assert_eq!((shown(&machine), work), ((State::Initial, UpdateResult::Initial), Some(Work::Nothing)));
    assert_eq!((&machine.in_place, machine.release()), (&Some((release(), true)), Some(&release())));
    assert_eq!(machine.operational, OperationalState::Running);
    // It can still be removed, but not while its update is coming.
    assert_eq!(took(&machine, REMOVE).1, Some(Work::Begin(Task::Remove)));
    let coming = took(&machine, Input::Push).0;
    assert_eq!(coming.step(REMOVE), Err(Reject::NotAllowed));
    let machine = took(&coming, Input::Received(coming.serial, PACKAGE)).0;
    let newer = Release { version: Some("3".to_owned()), ..release() };
    let machine = took(&machine, Input::Verified(coming.serial, newer.clone())).0;
    let machine = took(&machine, INSTALL).0;
    let machine = took(&machine, Input::Ended(machine.serial, DONE)).0;
    assert_eq!((machine.in_place.as_ref(), machine.release()), (None, Some(&newer)));
}

#[test]
fn one_task_at_a_time() {
    for machine in KINDS.into_iter().flat_map(tasks) {
        let all = [Task::Install, Task::Remove, Task::Activate, Task::Deactivate, Task::Start, Task::Stop, Task::Purge];
        for input in all.map(Input::Execute).into_iter().chain([REMOVE, FOR_UPDATE]) {
            assert_eq!(machine.step(input.clone()), Err(Reject::NotAllowed), "{input:?} in {machine:?}");
        }
    }
}

#[test]
fn servers_are_told_of_objects_at_once_only_if_they_ask_for_it() {
    for (announce, work) in [(false, Work::Nothing), (true, Work::Announce)] {
        let machine = took(&delivered(Kind::Package), Input::Set(Settings { announce, ..Settings::default() })).0;
        let machine = took(&machine, INSTALL).0;
        let (machine, told) = took(&machine, Input::Ended(2, DONE));
        assert_eq!(told, Some(work));
        let machine = took(&machine, REMOVE).0;
        assert_eq!(took(&machine, Input::Ended(3, DONE)).1, Some(work));
    }
}

#[test]
fn news_of_what_is_over_change_nothing() {
    let machine = after(Kind::Package, [uri(), Input::Lost(1, UpdateResult::InvalidUri, String::new()), uri()]);
    for input in [
        Input::Received(1, PACKAGE),
        Input::Verified(1, release()),
        Input::Lost(1, UpdateResult::NoSpace, String::new()),
    ] {
        assert_eq!(machine.step(input), Err(Reject::Outdated));
    }
    assert_eq!(active(Kind::Package).step(Input::Ended(3, FAILED)), Err(Reject::Outdated));
    let machine = took(&active(Kind::Package), Input::Execute(Task::Stop)).0;
    assert_eq!(machine.step(Input::Ended(3, FAILED)), Err(Reject::Outdated));
}

#[test]
fn the_own_instance_takes_a_package_in_every_state_but_while_it_is_busy() {
    for machine in states(Kind::Own).into_iter().chain(tasks(Kind::Own)) {
        let is_loading = matches!(machine.state(), State::DownloadStarted | State::Downloaded);
        let taken = machine.step(uri());
        if is_loading || machine.task.is_some() {
            assert_eq!(taken, Err(Reject::BadRequest));
        } else {
            assert_eq!(taken.unwrap().1, Some(Work::Pull));
        }
    }
}

#[test]
fn the_own_instance_cannot_be_deactivated_stopped_or_removed() {
    for machine in states(Kind::Own) {
        for task in [Task::Deactivate, Task::Start, Task::Stop, Task::Purge] {
            assert_eq!(machine.step(Input::Execute(task)), Err(Reject::NotAllowed));
        }
        assert_eq!(machine.step(REMOVE), Err(Reject::NotAllowed));
    }
}

#[test]
fn the_own_instance_is_reset_by_uninstall_for_update_and_by_a_uri_with_nul() {
    for machine in states(Kind::Own) {
        for input in [FOR_UPDATE, Input::Reset] {
            let (next, work) = took(&machine, input);
            assert_eq!((shown(&next), work), ((State::Initial, UpdateResult::Initial), Some(Work::Nothing)));
            assert_eq!(next.release().is_some(), machine.is_active());
        }
    }
    for machine in states(Kind::Package) {
        assert_eq!(machine.step(Input::Reset), Err(Reject::BadRequest));
    }
}

fn restarted(machine: &Machine, package: bool, running: [u8; 32]) -> (Machine, Option<Work>) {
    let length = package.then_some(PACKAGE.length);
    let (started, work) = took(machine, Input::Started { length });
    if !started.depends_on_what_runs() {
        return (started, work);
    }
    let (judged, more) = took(&started, Input::Running { serial: started.serial, length, running: Some(running) });
    (judged, more.or(work))
}

#[test]
fn what_was_begun_since_the_start_is_not_judged_by_what_runs() {
    let (started, _) = took(&installed(Kind::Own), Input::Started { length: Some(PACKAGE.length) });
    let runs = |running| Input::Running { serial: started.serial, length: Some(PACKAGE.length), running };
    let activating = took(&started, ACTIVATE).0;
    for running in [Some(OTHER), Some(EXECUTABLE), None] {
        assert_eq!(took(&activating, runs(running)), (activating.clone(), None));
    }
    // An activation that was left is not known to have worked.
    let left = took(&activating, Input::Started { length: Some(PACKAGE.length) }).0;
    let unknown = Input::Running { serial: left.serial, length: Some(PACKAGE.length), running: None };
    let (judged, work) = took(&left, unknown.clone());
    assert_eq!((shown(&judged), judged.task, work), ((State::Delivered, UpdateResult::InstallFailed), None, None));
    assert_eq!(took(&active(Kind::Own), unknown).0, active(Kind::Own));
}

#[test]
fn the_own_instance_is_active_when_the_new_executable_runs() {
    let activating = took(&installed(Kind::Own), ACTIVATE).0;
    assert_eq!((activating.is_active(), activating.operational), (false, OperationalState::ShuttingDown));
    let (machine, work) = restarted(&activating, true, EXECUTABLE);
    assert_eq!(
        (shown(&machine), work),
        ((State::Installed, UpdateResult::Installed), Some(Work::Resume(Task::Activate)))
    );
    assert_eq!((machine.is_active(), machine.operational), (false, OperationalState::Running));
    // As often as it is started before it has come to stay.
    assert_eq!(restarted(&machine, true, EXECUTABLE), (machine.clone(), Some(Work::Resume(Task::Activate))));
    let stays = took(&machine, Input::Ended(3, DONE)).0;
    assert_eq!((shown(&stays), stays.is_active()), ((State::Installed, UpdateResult::Installed), true));
    assert!(!stays.needs_package());
    // What was on trial is taken back.
    for (package, state) in [(true, State::Delivered), (false, State::Initial)] {
        let (machine, work) = restarted(&machine, package, OTHER);
        assert_eq!((shown(&machine), work), ((state, UpdateResult::InstallFailed), None));
    }
}

#[test]
fn an_executable_that_was_taken_back_is_reported_and_not_activated_again() {
    let activating = took(&installed(Kind::Own), ACTIVATE).0;
    let (machine, work) = restarted(&activating, true, OTHER);
    assert_eq!((shown(&machine), work), ((State::Delivered, UpdateResult::InstallFailed), None));
    assert_eq!((machine.task, machine.release()), (None, Some(&release())));
    assert_eq!(shown(&restarted(&activating, false, OTHER).0), (State::Initial, UpdateResult::InstallFailed));
    // The process could not even end for it.
    let machine = took(&activating, Input::Ended(3, FAILED)).0;
    assert_eq!(shown(&machine), (State::Delivered, UpdateResult::InstallFailed));
    // Somebody has put another one there by hand.
    assert_eq!(shown(&restarted(&active(Kind::Own), true, OTHER).0), (State::Initial, UpdateResult::Initial));
    assert_eq!(restarted(&active(Kind::Own), false, EXECUTABLE).0, active(Kind::Own));
}

#[test]
fn after_a_restart_no_task_is_begun_again() {
    for machine in tasks(Kind::Package).into_iter().chain([tasks(Kind::Own).swap_remove(0)]) {
        let task = machine.task.unwrap();
        let (next, work) = restarted(&machine, true, OTHER);
        assert_eq!((next.clone(), work), (machine, Some(Work::Resume(task))));
        // Nor after another one.
        assert_eq!(restarted(&next, true, OTHER).1, Some(Work::Resume(task)));
    }
}

#[test]
fn after_a_restart_a_download_is_judged_by_what_is_there() {
    let state = |inputs: &[Input], package| restarted(&after(Kind::Package, inputs.to_vec()), package, OTHER);
    let (machine, work) = state(&[Input::Push], true);
    assert_eq!((shown(&machine), work), ((State::Initial, UpdateResult::ConnectionLost), Some(Work::Nothing)));
    let (machine, work) = state(&[uri()], true);
    assert_eq!((machine.state(), work), (State::DownloadStarted, Some(Work::Pull)));
    let verify = Some(Work::Verify { after_restart: true });
    assert_eq!(state(&[Input::Push, Input::Received(1, PACKAGE)], true).1, verify);
    assert_eq!(restarted(&delivered(Kind::Package), true, OTHER), (delivered(Kind::Package), None));
    for machine in [delivered(Kind::Package), delivered(Kind::Own), installed(Kind::Own)] {
        assert_eq!(shown(&restarted(&machine, false, OTHER).0), (State::Initial, UpdateResult::Integrity));
    }
    assert_eq!(restarted(&installed(Kind::Package), false, OTHER).0, installed(Kind::Package));
}

fn any_input() -> impl Strategy<Value = Input> {
    let tasks = [Task::Install, Task::Remove, Task::Activate, Task::Deactivate, Task::Start, Task::Stop, Task::Purge];
    let ended = |ended| if ended { DONE } else { FAILED };
    let length = proptest::option::of(prop_oneof![Just(PACKAGE.length), Just(0)]);
    prop_oneof![
        Just(Input::Push),
        Just(uri()),
        Just(Input::Reset),
        any::<u64>().prop_map(|number| Input::Received(number, PACKAGE)),
        any::<u64>().prop_map(|number| Input::Verified(number, release())),
        any::<u64>().prop_map(|number| Input::Lost(number, UpdateResult::ConnectionLost, String::new())),
        any::<bool>().prop_map(|for_update| Input::Uninstall { for_update }),
        proptest::sample::select(tasks.to_vec()).prop_map(Input::Execute),
        (any::<u64>(), any::<bool>()).prop_map(move |(number, well)| Input::Ended(number, ended(well))),
        length.clone().prop_map(|length| Input::Started { length }),
        (any::<u64>(), length, proptest::option::of(proptest::sample::select(vec![EXECUTABLE, OTHER])))
            .prop_map(|(serial, length, running)| Input::Running { serial, length, running }),
    ]
}

/// The same with the number that the machine has: every other piece of news is of the present.
fn present(machine: &Machine, input: Input) -> Input {
    match input {
        Input::Received(0..=HALF, package) => Input::Received(machine.serial, package),
        Input::Verified(0..=HALF, release) => Input::Verified(machine.serial, release),
        Input::Lost(0..=HALF, result, reason) => Input::Lost(machine.serial, result, reason),
        Input::Ended(0..=HALF, ended) => Input::Ended(machine.serial, ended),
        Input::Running { serial: 0..=HALF, length, running } => {
            Input::Running { serial: machine.serial, length, running }
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn whatever_happens_each_task_is_begun_once_and_by_a_server(
        kind in proptest::sample::select(KINDS.to_vec()),
        inputs in proptest::collection::vec(any_input(), 0..60),
    ) {
        let (mut machine, mut begun) = (Machine::new(kind), Vec::new());
        for input in inputs {
            let input = present(&machine, input);
            let asked = matches!(input, Input::Execute(_) | Input::Uninstall { .. });
            let Ok((next, work)) = machine.step(input.clone()) else { continue };
            if let Some(Work::Begin(task)) = work {
                prop_assert!(asked && !begun.contains(&next.serial), "{task:?} after {input:?}");
                prop_assert_eq!(next.task, Some(task));
                prop_assert!(kind == Kind::Package || matches!(task, Task::Install | Task::Activate));
                begun.push(next.serial);
            }
            prop_assert!(next.serial >= machine.serial);
            prop_assert!(machine.task.is_none() || next.task == machine.task || next.task.is_none());
            prop_assert!(next.package.is_some() || !matches!(next.phase, Phase::Downloaded | Phase::Delivered(_)));
            prop_assert!(next.needs_package() || !matches!(next.phase, Phase::Downloaded | Phase::Delivered(_)));
            machine = next;
        }
    }
}
