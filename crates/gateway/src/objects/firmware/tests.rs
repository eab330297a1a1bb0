use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lapwing::driver::FileSystem;
use lapwing::objects::firmware::UpdateResult;

use super::*;
use crate::platform::{self, Identity, Memory, PowerSource, Result as Platform, Time, Versions};

/// A machine with a version, and a boot that the test names; where it knows its side, B was installed to.
struct Machine {
    boot: Mutex<&'static str>,
    side: Mutex<Option<&'static str>>,
    version: Mutex<Option<&'static str>>,
    ended: Result<(), Failure>,
    /// Of the agent's state.
    folder: Mutex<Option<tempfile::TempDir>>,
    /// What it was told, in order.
    told: Mutex<Vec<&'static str>>,
}

impl Updater for Machine {
    fn install<'a>(&'a self, _: u64, _: &'a Path) -> BoxFuture<'a, Result<(), Failure>> {
        // As one that writes over what runs.
        *self.version.lock().unwrap() = Some("new");
        Box::pin(async { self.ended.clone() })
    }
    fn resume(&self, number: u64) -> BoxFuture<'_, Option<Result<(), Failure>>> {
        Box::pin(async move { (number == 1).then(|| self.ended.clone()) })
    }
    fn running(&self) -> BoxFuture<'_, Platform<Option<String>>> {
        Box::pin(async { Ok(self.side.lock().unwrap().map(str::to_owned)) })
    }
    fn installed(&self, _: u64) -> BoxFuture<'_, Platform<Option<String>>> {
        Box::pin(async { Ok(self.side.lock().unwrap().map(|_| "B".to_owned())) })
    }
    fn accept(&self) -> BoxFuture<'_, Platform<()>> {
        self.told.lock().unwrap().push("good");
        Box::pin(async { Ok(()) })
    }
    fn go_back(&self) -> BoxFuture<'_, Platform<()>> {
        self.told.lock().unwrap().push("back");
        Box::pin(async { Ok(()) })
    }
}

impl Supervisor for Machine {
    fn reboot(&self) -> BoxFuture<'_, Platform<()>> {
        Box::pin(async { Err(platform::Error::NotPermitted("not at night".into())) })
    }
    fn boot(&self) -> BoxFuture<'_, Platform<String>> {
        Box::pin(async { Ok((*self.boot.lock().unwrap()).to_owned()) })
    }
}

impl Host for Machine {
    fn identity(&self) -> BoxFuture<'_, Platform<Identity>> {
        Box::pin(async { Ok(Identity::default()) })
    }
    fn versions(&self) -> BoxFuture<'_, Platform<Versions>> {
        Box::pin(async { Ok(Versions { firmware: self.version.lock().unwrap().map(str::to_owned) }) })
    }
    fn memory(&self) -> BoxFuture<'_, Platform<Option<Memory>>> {
        Box::pin(async { Ok(None) })
    }
    fn power(&self) -> BoxFuture<'_, Platform<Vec<PowerSource>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn time(&self) -> BoxFuture<'_, Platform<Time>> {
        Box::pin(async { Ok(Time { unix: Duration::ZERO, utc_offset: 0, timezone: None }) })
    }
    fn set_time(&self, _: Duration) -> BoxFuture<'_, Platform<()>> {
        Box::pin(async { Ok(()) })
    }
}

impl Machine {
    fn told(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// An installation begins, whose end nobody sees.
    async fn begins(&self, installation: &Installation, number: u64) {
        let before = installation.before().await.unwrap().unwrap();
        installation.remember(number, &before).unwrap();
        self.install(number, Path::new("image")).await.unwrap();
    }

    fn reboot_into(&self, boot: &'static str, side: Option<&'static str>) {
        *self.boot.lock().unwrap() = boot;
        *self.side.lock().unwrap() = side;
    }
}

fn installation(confirm: Confirm, side: Option<&'static str>) -> (Installation, Arc<Machine>) {
    let machine = Arc::new(Machine {
        boot: Mutex::new("first"),
        side: Mutex::new(side),
        version: Mutex::new(Some("old")),
        ended: Ok(()),
        folder: Mutex::default(),
        told: Mutex::default(),
    });
    let (updater, supervisor, host) = (machine.clone(), machine.clone(), machine.clone());
    let progress = InstallProgress::default();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(FileSystem, folder.path()).unwrap();
    machine.folder.lock().unwrap().replace(folder);
    (Installation { inspector: None, updater, supervisor, host, confirm, progress, trial: None, store }, machine)
}

/// What is remembered after an installation that takes a reboot.
async fn memory(installation: &Installation) -> Vec<u8> {
    let before = installation.before().await.unwrap();
    match installation.installed(1, before).await {
        Installed::AfterReboot(memory) => memory,
        Installed::Done => panic!("a reboot"),
    }
}

#[track_caller]
fn failed(confirmation: Confirmation) -> String {
    match confirmation {
        Confirmation::Failed(failure) => {
            assert_eq!((failure.result, failure.keep), (UpdateResult::UpdateFailed, true));
            failure.reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_reboot_it_is_done_when_the_updater_is() {
    let (installation, machine) = installation(Confirm::Now, Some("A"));
    let before = installation.before().await.unwrap();
    assert_eq!(installation.installed(1, before).await, Installed::Done);
    assert_eq!(machine.told(), [""; 0]);
}

#[tokio::test]
async fn after_a_reboot_another_version_must_run_where_no_sides_are_known() {
    let (installation, machine) = installation(Confirm::Reboot, None);
    let memory = memory(&installation).await;
    assert_eq!(installation.compare(&memory).await, Confirmation::Pending);
    machine.reboot_into("second", None);
    assert_eq!(failed(installation.compare(&memory).await), "after the reboot old runs, as before");
    *machine.version.lock().unwrap() = None;
    assert_eq!(failed(installation.compare(&memory).await), "the machine does not say which firmware runs");
    assert_eq!(machine.told(), [""; 0]);
    *machine.version.lock().unwrap() = Some("new");
    assert_eq!(installation.compare(&memory).await, Confirmation::Running);
    assert_eq!(machine.told(), ["good"]);
    assert!(installation.reboot().await.unwrap_err().contains("not at night"));
}

#[tokio::test]
async fn after_a_reboot_the_side_must_run_that_was_installed_to_whatever_its_version() {
    let (installation, machine) = installation(Confirm::Reboot, Some("A"));
    let memory = memory(&installation).await;
    machine.reboot_into("second", Some("B"));
    assert_eq!(installation.compare(&memory).await, Confirmation::Running);
    assert_eq!(machine.told(), ["good"]);
    machine.reboot_into("third", Some("A"));
    *machine.version.lock().unwrap() = Some("new");
    let why = "after the reboot A runs, not B, which was installed to";
    assert_eq!(failed(installation.compare(&memory).await), why);
    assert_eq!(machine.told(), [""; 0]);
}

#[tokio::test]
async fn an_end_that_nobody_saw_takes_no_reboot_where_the_new_side_runs_already() {
    let (installation, machine) = installation(Confirm::Reboot, Some("A"));
    machine.begins(&installation, 1).await;
    assert!(matches!(installation.resumed(1).await, Ok(Installed::AfterReboot(_))));
    machine.reboot_into("second", Some("B"));
    assert_eq!(installation.resumed(1).await, Ok(Installed::Done));
    assert_eq!(machine.told(), ["good"]);
}

#[tokio::test]
async fn an_end_that_nobody_saw_before_the_reboot_is_judged_by_what_ran_when_it_began() {
    let (installation, machine) = installation(Confirm::Reboot, None);
    machine.begins(&installation, 1).await;
    machine.reboot_into("second", None);
    assert_eq!(installation.resumed(1).await, Ok(Installed::Done), "without another reboot");
    assert_eq!(machine.told(), ["good"]);
    *machine.version.lock().unwrap() = Some("old");
    let failure = installation.resumed(1).await.unwrap_err();
    assert_eq!(failure.reason, "after the reboot old runs, as before");
}

#[tokio::test]
async fn of_an_installer_that_reboots_and_leaves_no_word_the_version_tells() {
    let (installation, machine) = installation(Confirm::Reboot, None);
    // Of the number 2 this machine's updater knows nothing.
    machine.begins(&installation, 2).await;
    assert_eq!(installation.unseen(2).await, None, "it was ended, and nothing was rebooted");
    machine.reboot_into("second", None);
    assert_eq!(installation.unseen(3).await, None, "that is another one");
    assert_eq!(installation.unseen(2).await, Some(Ok(Installed::Done)));
    assert_eq!(machine.told(), ["good"]);
    for runs in [Some("old"), None] {
        *machine.version.lock().unwrap() = runs;
        assert_eq!(installation.unseen(2).await, None, "{runs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_trial_it_stays_when_a_server_is_reached_in_time_and_goes_back_otherwise() {
    let (mut installation, machine) = installation(Confirm::Reboot, Some("A"));
    let memory = memory(&installation).await;
    machine.reboot_into("second", Some("B"));
    let sender = watch::Sender::new(false);
    installation.trial = Some(Trial { within: Duration::from_secs(600), reached: sender.subscribe() });
    let reach = async {
        sleep(Duration::from_secs(599)).await;
        assert_eq!(machine.told(), [""; 0], "it is not good before a server was reached");
        sender.send_replace(true);
    };
    let (confirmation, ()) = tokio::join!(installation.compare(&memory), reach);
    assert_eq!((confirmation, machine.told()), (Confirmation::Running, vec!["good"]));

    sender.send_replace(false);
    let start = Instant::now();
    let confirmation = installation.compare(&memory).await;
    assert_eq!((confirmation, machine.told()), (Confirmation::Pending, vec!["back"]), "a reboot follows");
    assert_eq!(start.elapsed().as_secs(), 600);
    machine.reboot_into("third", Some("A"));
    assert!(failed(installation.compare(&memory).await).contains("A runs, not B"));
    assert_eq!(machine.told(), [""; 0]);
}
