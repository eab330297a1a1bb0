//! How the agent installs firmware: an [`Updater`] writes it, and where that is configured, a reboot shows whether it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapwing::objects::firmware::{BoxFuture, Confirmation, Failure, Installed, Installer, Package, Update};

use crate::platform::{Confirm, Host, Inspector, Progress, Supervisor, Updater, Watch};

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
    /// Of the firmware, as far as it was known.
    version: Option<String>,
}

impl Before {
    /// The name of a boot has no line breaks, and a version need not be restored exactly to be compared.
    fn to_bytes(&self) -> Vec<u8> {
        let version = self.version.as_ref().map(|version| format!("\n{version}")).unwrap_or_default();
        format!("{}{version}", self.boot).into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        match text.split_once('\n') {
            Some((boot, version)) => Self { boot: boot.to_owned(), version: Some(version.to_owned()) },
            None => Self { boot: text.into_owned(), version: None },
        }
    }
}

impl Installation {
    async fn present(&self) -> Result<Before, Failure> {
        let boot = self.supervisor.boot().await.map_err(|error| Failure::new(error.to_string()))?;
        let version = self.host.versions().await.map_err(|error| Failure::new(error.to_string()))?.firmware;
        Ok(Before { boot, version })
    }

    /// What runs now, where that is compared later.
    async fn before(&self) -> Result<Option<Before>, Failure> {
        match self.confirm {
            Confirm::Now => Ok(None),
            Confirm::Reboot => self.present().await.map(Some),
        }
    }

    async fn compare(&self, memory: &[u8]) -> Confirmation {
        let before = Before::from_bytes(memory);
        let failed = |reason: String| Confirmation::Failed(Failure::new(reason));
        match self.present().await {
            Err(failure) => Confirmation::Failed(failure),
            Ok(now) if now.boot == before.boot => Confirmation::Pending,
            Ok(Before { version: None, .. }) => failed("the machine does not say which firmware runs".to_owned()),
            Ok(now) if now.version != before.version => {
                tracing::info!("firmware: {} runs now", now.version.unwrap_or_default());
                if let Err(error) = self.updater.accept().await {
                    tracing::error!("firmware: what runs may not be booted next time: {error}");
                }
                Confirmation::Running
            }
            Ok(now) => failed(format!("after the reboot {} runs, as before", now.version.unwrap_or_default())),
        }
    }
}

fn installed(before: Option<Before>) -> Installed {
    before.map_or(Installed::Done, |before| Installed::AfterReboot(before.to_bytes()))
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
            self.updater.install(update.number, &update.image).await?;
            Ok(installed(before))
        })
    }

    fn resume<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Option<Result<Installed, Failure>>> {
        Box::pin(async {
            let ended = self.updater.resume(update.number).await?;
            let before = match ended {
                Ok(()) => self.before().await,
                Err(failure) => Err(failure),
            };
            Some(before.map(installed))
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
