//! How the agent installs firmware: an [`Updater`] writes it, and where that is configured, a reboot shows whether it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapwing::objects::firmware::{BoxFuture, Confirmation, Failure, Installed, Installer, Package, Update};
use lapwing::store::Store;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::platform::{Confirm, Host, Inspector, Progress, Supervisor, Updater, Watch};

/// So long after a start whoever knows what runs may not answer yet: the service may start after the agent.
const STARTING: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);

/// The installer of object 5.
pub struct Installation {
    /// Looks at an image that has come; without it anything will do.
    pub inspector: Option<Arc<dyn Inspector>>,
    /// Writes the image.
    pub updater: Arc<dyn Updater>,
    /// Reboots.
    pub supervisor: Arc<dyn Supervisor>,
    /// Knows which version runs.
    pub host: Arc<dyn Host>,
    /// When an update has succeeded.
    pub confirm: Confirm,
    /// Where it is seen how far the updater is.
    pub progress: InstallProgress,
    /// Where new firmware has to prove itself, beyond that it runs.
    pub trial: Option<Trial>,
    /// Where it is kept what ran when an installation began: nobody else may have a record of the name `before` in it.
    pub store: Store,
}

/// The name of the record of what ran when an installation began, and the version of its layout: the update's number, then as [`Before`] is
/// remembered.
const BEFORE: &str = "before";
const LAYOUT: u16 = 1;

/// New firmware is on trial until a server has been reached with it.
#[derive(Debug)]
pub struct Trial {
    /// So long from the start of the process; then what ran before is booted again.
    pub within: Duration,
    /// Whether a server has been reached.
    pub reached: watch::Receiver<bool>,
}

/// How far the latest installation is, where the installer says that.
#[derive(Debug, Clone, Default)]
pub struct InstallProgress(Arc<Mutex<Option<Progress>>>);

impl InstallProgress {
    /// As it was told last; nothing while nothing was told. It outlives the installation.
    pub fn get(&self) -> Option<Progress> {
        self.lock().clone()
    }

    /// Takes what is told, and says it in the log at every tenth.
    pub fn watch(&self) -> Watch {
        let told = self.clone();
        Arc::new(move |now| {
            let mut latest = told.lock();
            let tenth = |progress: &Progress| progress.percent / 10;
            if latest.as_ref().map_or(0, tenth) != tenth(&now) {
                tracing::info!("firmware: {} % installed ({})", now.percent, now.step);
            }
            *latest = Some(now);
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is remembered over a reboot.
#[derive(Debug, PartialEq, Eq)]
struct Before {
    boot: String,
    /// The side that was installed to, as far as sides are known.
    side: Option<String>,
    /// Of the firmware that ran, as far as it was known.
    version: Option<String>,
}

impl Before {
    /// A line for the boot, one for the side, and the rest is the version. What is empty is not known.
    fn to_bytes(&self) -> Vec<u8> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}\n{}\n{}", self.boot, text(&self.side), text(&self.version)).into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.splitn(3, '\n').map(str::to_owned);
        let boot = lines.next().unwrap_or_default();
        let mut known = || lines.next().filter(|text| !text.is_empty());
        Self { boot, side: known(), version: known() }
    }
}

impl Installation {
    async fn boot(&self) -> Result<String, Failure> {
        self.supervisor.boot().await.map_err(|error| Failure::new(error.to_string()))
    }

    async fn version(&self) -> Result<Option<String>, Failure> {
        Ok(self.host.versions().await.map_err(|error| Failure::new(error.to_string()))?.firmware)
    }

    /// What runs now, where that is compared later.
    async fn before(&self) -> Result<Option<Before>, Failure> {
        Ok(match self.confirm {
            Confirm::Now => None,
            Confirm::Reboot => Some(Before { boot: self.boot().await?, side: None, version: self.version().await? }),
        })
    }

    /// The same, after the update of this number was installed.
    async fn installed(&self, number: u64, before: Option<Before>) -> Installed {
        let Some(before) = before else { return Installed::Done };
        let side = self.updater.installed(number).await.unwrap_or_else(|error| {
            tracing::warn!("firmware: which side was written to is not known, so that versions are compared: {error}");
            None
        });
        Installed::AfterReboot(Before { side, ..before }.to_bytes())
    }

    /// What an installer does may reboot the machine, and then it is too late to ask what ran: it is on the disk before it begins.
    fn remember(&self, number: u64, before: &Before) -> Result<(), Failure> {
        let content = [&number.to_be_bytes()[..], &before.to_bytes()].concat();
        let saved = self.store.save(BEFORE, LAYOUT, &content);
        saved.map_err(|error| Failure::new(format!("what runs cannot be noted, so that nothing is installed: {error}")))
    }

    /// What ran when the installation of this number began.
    fn remembered(&self, number: u64) -> Option<Before> {
        let record = self.store.load(BEFORE).ok().flatten().filter(|record| record.version == LAYOUT)?;
        let (its, before) = record.content.split_first_chunk()?;
        (u64::from_be_bytes(*its) == number).then(|| Before::from_bytes(before))
    }

    /// An installation has ended well whose end nobody saw: the machine may have been rebooted since.
    async fn resumed(&self, number: u64) -> Result<Installed, Failure> {
        let before = self.before().await?.map(|now| self.remembered(number).unwrap_or(now));
        let installed = self.installed(number, before).await;
        let Installed::AfterReboot(memory) = &installed else { return Ok(installed) };
        match self.compare(memory).await {
            Confirmation::Running => Ok(Installed::Done),
            Confirmation::Failed(failure) => Err(failure),
            // It was not, or what ran before is to be booted again.
            Confirmation::Pending => Ok(installed),
        }
    }

    /// The installer knows nothing of an installation that may have been begun: so it is where that reboots the machine as its last step. Then
    /// what runs now tells, where it is another version; that the same one runs tells nothing.
    async fn unseen(&self, number: u64) -> Option<Result<Installed, Failure>> {
        let before = self.remembered(number).filter(|_| self.confirm == Confirm::Reboot)?;
        // Where sides are known, the installer has compared them.
        let by_version = self.updater.installed(number).await.is_ok_and(|side| side.is_none());
        if !by_version || self.boot().await.ok()? == before.boot {
            return None;
        }
        let (old, now) = (before.version.clone()?, self.version().await.ok()??);
        if now == old { None } else { Some(self.resumed(number).await) }
    }

    /// The side that runs; whoever knows is given the time to start.
    async fn running(&self) -> Result<Option<String>, Failure> {
        let deadline = Instant::now() + STARTING;
        loop {
            match self.updater.running().await {
                Ok(side) => return Ok(side),
                Err(error) if Instant::now() >= deadline => return Err(Failure::new(error.to_string())),
                Err(error) => tracing::debug!("firmware: {error}"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn compare(&self, memory: &[u8]) -> Confirmation {
        let before = Before::from_bytes(memory);
        match self.boot().await {
            Err(failure) => return Confirmation::Failed(failure),
            Ok(boot) if boot == before.boot => return Confirmation::Pending,
            Ok(_) => {}
        }
        match self.runs(&before).await {
            Ok(what) => tracing::info!("firmware: {what} runs now"),
            Err(failure) => return Confirmation::Failed(failure),
        }
        self.tried().await
    }

    /// What runs, if it is what was installed.
    async fn runs(&self, before: &Before) -> Result<String, Failure> {
        let side = if before.side.is_some() { self.running().await? } else { None };
        match (&before.side, side) {
            (Some(new), Some(side)) if *new == side => Ok(side),
            (Some(new), Some(side)) => {
                Err(Failure::new(format!("after the reboot {side} runs, not {new}, which was installed to")))
            }
            _ => match self.version().await? {
                None => Err(Failure::new("the machine does not say which firmware runs")),
                version if version == before.version => {
                    Err(Failure::new(format!("after the reboot {} runs, as before", version.unwrap_or_default())))
                }
                version => Ok(version.unwrap_or_default()),
            },
        }
    }

    /// What was installed runs: whether it may stay.
    async fn tried(&self) -> Confirmation {
        if let Some(Trial { within, reached }) = &self.trial {
            tracing::info!("firmware: it stays if a server is reached within {} s", within.as_secs());
            let reached =
                timeout(*within, reached.clone().wait_for(|reached| *reached)).await.is_ok_and(|end| end.is_ok());
            if !reached {
                tracing::error!("firmware: no server was reached within {} s: going back", within.as_secs());
                return match self.updater.go_back().await {
                    // After the reboot something else runs than was installed.
                    Ok(()) => Confirmation::Pending,
                    Err(error) => Confirmation::Failed(Failure::new(format!("no server was reached, and {error}"))),
                };
            }
        }
        if let Err(error) = self.updater.accept().await {
            tracing::error!("firmware: what runs may not be booted next time: {error}");
        }
        Confirmation::Running
    }
}

impl Installer for Installation {
    fn inspect<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Result<Package, Failure>> {
        Box::pin(async {
            match &self.inspector {
                Some(inspector) => inspector.inspect(&update.image).await,
                None => Ok(Package::default()),
            }
        })
    }

    fn install<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Result<Installed, Failure>> {
        Box::pin(async {
            self.progress.lock().take();
            let before = self.before().await?;
            if let Some(before) = &before {
                self.remember(update.number, before)?;
            }
            self.updater.install(update.number, &update.image).await?;
            Ok(self.installed(update.number, before).await)
        })
    }

    fn resume<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Option<Result<Installed, Failure>>> {
        Box::pin(async {
            match self.updater.resume(update.number).await {
                Some(Ok(())) => Some(self.resumed(update.number).await),
                Some(Err(failure)) => Some(Err(failure)),
                None => self.unseen(update.number).await,
            }
        })
    }

    fn reboot(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.supervisor.reboot().await.map_err(|error| error.to_string()) })
    }

    fn confirm<'a>(&'a self, _: &'a Update, memory: &'a [u8]) -> BoxFuture<'a, Confirmation> {
        Box::pin(self.compare(memory))
    }
}

#[cfg(test)]
mod tests;
