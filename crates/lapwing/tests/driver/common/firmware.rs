//! Object 5 on a simulated disk, with an installer that does what its test wants, and a server that observes.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::objects::firmware::{
    BoxFuture, Builder, Confirmation, Failure, Firmware, Installed, Installer, Package, Update,
};
use lapwing_coap::wire::Code;
use tokio::time::sleep;

use super::disk::Simulated;
use super::scene;

/// How long an installation takes.
pub(crate) const INSTALLING: Duration = Duration::from_secs(20);
/// Where the object keeps its things.
pub(crate) const FOLDER: &str = "/state";
/// Where the package lies on the disk.
pub(crate) const IMAGE: &str = "/state/image";

/// What the installer and its test have in common: it outlives the object, as what was done to a real machine does.
pub(crate) struct Machine {
    /// Each call, in order.
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) outcome: Mutex<Result<Installed, Failure>>,
    pub(crate) inspected: Mutex<Result<Package, Failure>>,
    /// What is known of an installation after a restart.
    pub(crate) resumed: Mutex<Option<Result<Installed, Failure>>>,
    pub(crate) confirmation: Mutex<Confirmation>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            outcome: Mutex::new(Ok(Installed::Done)),
            inspected: Mutex::new(Ok(Package::default())),
            resumed: Mutex::default(),
            confirmation: Mutex::new(Confirmation::Running),
        }
    }
}

impl Machine {
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

/// The installer of a [`Machine`].
pub(crate) struct Recorder {
    machine: Arc<Machine>,
    disk: sim::Disk,
}

impl Installer for Recorder {
    fn inspect<'a>(&'a self, _: &'a Update) -> BoxFuture<'a, Result<Package, Failure>> {
        Box::pin(async { self.machine.inspected.lock().unwrap().clone() })
    }

    fn install<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Result<Installed, Failure>> {
        Box::pin(async {
            let image = self.disk.read(&update.image).unwrap_or_default();
            self.machine.note(format!("install {} bytes", image.len()));
            sleep(INSTALLING).await;
            self.machine.outcome.lock().unwrap().clone()
        })
    }

    fn resume<'a>(&'a self, _: &'a Update) -> BoxFuture<'a, Option<Result<Installed, Failure>>> {
        Box::pin(async {
            self.machine.note("resume".to_owned());
            self.machine.resumed.lock().unwrap().clone()
        })
    }

    fn reboot(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            // Without power nothing reboots.
            if !self.disk.has_crashed() {
                self.machine.note("reboot".to_owned());
            }
            Ok(())
        })
    }

    fn confirm<'a>(&'a self, _: &'a Update, memory: &'a [u8]) -> BoxFuture<'a, Confirmation> {
        Box::pin(async move {
            self.machine.note(format!("confirm {memory:?}"));
            self.machine.confirmation.lock().unwrap().clone()
        })
    }
}

/// The object's maker on this disk and machine.
pub(crate) fn builder(disk: &sim::Disk, machine: &Arc<Machine>) -> Builder {
    Firmware::builder(Recorder { machine: Arc::clone(machine), disk: disk.clone() })
}

/// A registered client with object 5, and its server.
pub(crate) struct Scene(scene::Scene);

impl Deref for Scene {
    type Target = scene::Scene;

    fn deref(&self) -> &scene::Scene {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut scene::Scene {
        &mut self.0
    }
}

impl Scene {
    pub(crate) async fn new(disk: &sim::Disk, machine: &Arc<Machine>) -> Self {
        Self::with(builder(disk, machine).open_on(Simulated::new(disk, None), FOLDER).unwrap()).await
    }

    pub(crate) async fn with(firmware: Firmware<Simulated>) -> Self {
        Self(scene::Scene::new(firmware).await)
    }

    /// The process ends, whatever it was doing.
    pub(crate) async fn kill(self) {
        self.0.kill().await;
    }

    /// State and result.
    pub(crate) async fn state(&mut self) -> (String, String) {
        (self.read("/5/0/3").await, self.read("/5/0/5").await)
    }

    #[track_caller]
    pub(crate) fn is(&mut self, state: u8, result: u8) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move { assert_eq!(self.state().await, (state.to_string(), result.to_string()), "{at}") }
    }

    pub(crate) async fn execute(&mut self, path: &str) -> Code {
        self.0.execute(path, "").await
    }

    /// Sends a block of 64 bytes of a package, all of which are `fill`.
    pub(crate) async fn block(&mut self, number: u32, more: bool, fill: u8, size: Option<u32>) -> Code {
        self.block_of(number, more, &[42], &[fill; 64], size).await
    }

    /// Sends a block of 64 bytes or, as the last, of fewer, of a body in this format.
    pub(crate) async fn block_of(
        &mut self,
        number: u32,
        more: bool,
        format: &[u8],
        content: &[u8],
        size: Option<u32>,
    ) -> Code {
        self.0.block_of("/5/0/0", number, more, format, content, size).await
    }

    /// Pushes a package of 192 bytes.
    pub(crate) async fn push(&mut self, fill: u8) {
        self.0.push("/5/0/0", fill).await;
    }
}
