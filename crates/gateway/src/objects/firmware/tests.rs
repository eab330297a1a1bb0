use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lapwing::objects::firmware::UpdateResult;

use super::*;
use crate::platform::{self, Identity, Memory, PowerSource, Result as Platform, Time, Versions};

/// A machine with a version, and a boot that the test names.
struct Machine {
    boot: Mutex<&'static str>,
    version: Mutex<Option<&'static str>>,
    ended: Result<(), Failure>,
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

fn installation(confirm: Confirm, ended: Result<(), Failure>) -> (Installation, Arc<Machine>) {
    let machine = Arc::new(Machine { boot: Mutex::new("first"), version: Mutex::new(Some("old")), ended });
    let (updater, supervisor, host) = (machine.clone(), machine.clone(), machine.clone());
    let progress = InstallProgress::default();
    (Installation { inspector: None, updater, supervisor, host, confirm, progress }, machine)
}

#[tokio::test]
async fn without_a_reboot_it_is_done_when_the_updater_is() {
    let (installation, _) = installation(Confirm::Now, Ok(()));
    let memory = installation.before().await.unwrap();
    assert_eq!(installed(memory), Installed::Done);
}

#[tokio::test]
async fn after_a_reboot_another_version_must_run() {
    let (installation, machine) = installation(Confirm::Reboot, Ok(()));
    let Installed::AfterReboot(memory) = installed(installation.before().await.unwrap()) else { panic!("a reboot") };
    assert_eq!(installation.compare(&memory).await, Confirmation::Pending);
    *machine.boot.lock().unwrap() = "second";
    let failed = |confirmation| match confirmation {
        Confirmation::Failed(failure) => {
            assert_eq!((failure.result, failure.keep), (UpdateResult::UpdateFailed, true));
            failure.reason
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(installation.compare(&memory).await), "after the reboot old runs, as before");
    *machine.version.lock().unwrap() = Some("new");
    assert_eq!(installation.compare(&memory).await, Confirmation::Running);
    *machine.version.lock().unwrap() = None;
    assert_eq!(failed(installation.compare(&memory).await), "the machine does not say which firmware runs");
    assert!(installation.reboot().await.unwrap_err().contains("not at night"));
}
