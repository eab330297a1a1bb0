//! Object 9 on a simulated disk, with a manager that does what its test wants.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::objects::software::{
    BoxFuture, Builder, Failure, Instance, Job, Manager, OperationalState, Package, Release, Software, Task,
};
use lapwing::transfer::{Cause, Head, Login, Part, Pulled, Source, Transfer, Uri};
use tokio::time::sleep;

use super::disk::Simulated;
use super::scene::Scene;

/// How long a task takes.
pub(crate) const WORKING: Duration = Duration::from_secs(20);
/// How long a verification takes.
pub(crate) const VERIFYING: Duration = Duration::from_secs(1);
/// Where the object keeps its things.
pub(crate) const FOLDER: &str = "/state";

/// What the manager and its test have in common: it outlives the object, as what was done to a real machine does.
pub(crate) struct Machine {
    /// Each call, in order.
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) verified: Mutex<Result<(), Failure>>,
    pub(crate) outcome: Mutex<Result<(), Failure>>,
    /// What is known of a task after a restart.
    pub(crate) resumed: Mutex<Option<Result<(), Failure>>>,
    pub(crate) operational: Mutex<Option<OperationalState>>,
    /// What lies at the URI.
    pub(crate) file: Mutex<File>,
}

/// What lies at each URI, and how it comes.
#[derive(Default, Clone)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) etag: Option<Vec<u8>>,
    /// The pull fails when so much of the file is there.
    pub(crate) failure: Option<(usize, Cause)>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            verified: Mutex::new(Ok(())),
            outcome: Mutex::new(Ok(())),
            resumed: Mutex::default(),
            operational: Mutex::default(),
            file: Mutex::default(),
        }
    }
}

impl Machine {
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

/// The manager of a [`Machine`]. What it has installed it calls by the package's first byte.
pub(crate) struct Recorder {
    pub(crate) machine: Arc<Machine>,
    pub(crate) disk: sim::Disk,
    pub(crate) can_purge: bool,
}

impl Recorder {
    fn first(&self, path: &Path) -> Option<u8> {
        self.disk.read(path).ok()?.first().copied()
    }
}

impl Manager for Recorder {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            sleep(VERIFYING).await;
            self.machine.verified.lock().unwrap().clone()?;
            let mut release = package.release().name("kettle").version(format!("{:?}", self.first(&package.path)));
            if let Some(first) = self.first(&package.path) {
                // As if the executable in it were that.
                release.sha256 = [first; 32];
            }
            Ok(release)
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            let package =
                job.package.as_deref().map(|path| format!(" from {:?}", self.first(path))).unwrap_or_default();
            let over = job.replaces.as_ref().map(|release| format!(" over {:?}", release.version)).unwrap_or_default();
            self.machine.note(format!("{:?} {:?}{package}{over}", job.task, job.release.sha256[0]));
            sleep(WORKING).await;
            self.machine.outcome.lock().unwrap().clone()
        })
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async {
            self.machine.note(format!("resume {:?}", job.task));
            if job.task == Task::Activate {
                sleep(VERIFYING).await;
            }
            self.machine.resumed.lock().unwrap().clone()
        })
    }

    fn operational_state<'a>(&'a self, _: &'a Release) -> BoxFuture<'a, Option<OperationalState>> {
        Box::pin(async { *self.machine.operational.lock().unwrap() })
    }

    fn can_purge(&self) -> bool {
        self.can_purge
    }
}

/// Serves the file of a [`Machine`] in pieces of 64 bytes, each after a while.
struct Files(Arc<Machine>);

struct Fetching {
    file: File,
    offset: usize,
    coming: VecDeque<Vec<u8>>,
    begun: bool,
    chunk: Vec<u8>,
}

impl Source for Files {
    fn fetch(&self, uri: Uri, login: Option<Login>, part: Option<Part>) -> Box<dyn Transfer> {
        let file = self.0.file.lock().unwrap().clone();
        let offset = match part {
            Some(part) if part.etag == file.etag => part.offset as usize,
            _ => 0,
        };
        let login = match login {
            Some(login) if login == Login::new("cook", "salt") => " as cook",
            Some(_) => " as somebody",
            None => "",
        };
        self.0.note(format!("fetch {uri}{login} from {offset}"));
        let coming = file.content[offset..].chunks(64).map(<[u8]>::to_vec).collect();
        Box::new(Fetching { file, offset, coming, begun: false, chunk: Vec::new() })
    }
}

impl Transfer for Fetching {
    fn next(&mut self) -> BoxFuture<'_, Pulled<'_>> {
        Box::pin(async {
            sleep(Duration::from_secs(1)).await;
            match &self.file.failure {
                Some((at, cause)) if *at <= self.offset => return Pulled::Failed(cause.clone()),
                _ => {}
            }
            if !std::mem::replace(&mut self.begun, true) {
                let size = Some(self.file.content.len() as u64);
                return Pulled::Head(Head::new(self.offset as u64, size, self.file.etag.clone()));
            }
            match self.coming.pop_front() {
                Some(chunk) => {
                    self.offset += chunk.len();
                    self.chunk = chunk;
                    Pulled::Data(&self.chunk)
                }
                None => Pulled::Done,
            }
        })
    }
}

pub(crate) fn recorder(disk: &sim::Disk, machine: &Arc<Machine>) -> Recorder {
    Recorder { machine: Arc::clone(machine), disk: disk.clone(), can_purge: true }
}

/// The maker of an object with one instance.
pub(crate) fn builder(machine: &Arc<Machine>, instance: Instance) -> Builder {
    Software::builder().source(Files(Arc::clone(machine))).instance(0, "kettle", instance)
}

/// The scene with one package instance.
pub(crate) async fn scene(disk: &sim::Disk, machine: &Arc<Machine>) -> Scene {
    of(disk, builder(machine, Instance::new(recorder(disk, machine)))).await
}

/// The scene with the program itself, of which this executable runs.
pub(crate) async fn own(disk: &sim::Disk, machine: &Arc<Machine>, running: u8) -> Scene {
    let mut scene = own_that(disk, machine, move || Ok([running; 32])).await;
    // It is told beside all else.
    scene.wait(Duration::from_millis(1)).await;
    scene
}

/// The same where this tells which executable runs.
pub(crate) async fn own_that(
    disk: &sim::Disk,
    machine: &Arc<Machine>,
    runs: impl FnOnce() -> io::Result<[u8; 32]> + Send + Sync + 'static,
) -> Scene {
    of(disk, builder(machine, Instance::own(recorder(disk, machine), runs))).await
}

pub(crate) async fn of(disk: &sim::Disk, builder: Builder) -> Scene {
    Scene::new(builder.open_on(Simulated::new(disk, None), FOLDER).unwrap()).await
}

impl Scene {
    /// State and result of an instance.
    #[track_caller]
    pub(crate) fn shows(&mut self, instance: u16, state: u8, result: u8) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let found = (self.read(&format!("/9/{instance}/7")).await, self.read(&format!("/9/{instance}/9")).await);
            assert_eq!(found, (state.to_string(), result.to_string()), "{at}");
        }
    }

    /// Activation and operational state of instance 0.
    #[track_caller]
    pub(crate) fn acts(&mut self, active: bool, operational: OperationalState) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let found = (self.read("/9/0/12").await, self.read("/9/0/21").await);
            let expected = (u8::from(active).to_string(), (operational as u8).to_string());
            assert_eq!(found, expected, "{at}");
        }
    }
}
