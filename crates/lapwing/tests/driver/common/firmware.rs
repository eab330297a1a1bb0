//! Object 5 on a simulated disk, with an installer that does what its test wants, and a server that observes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::Client;
use lapwing::objects::firmware::{
    BoxFuture, Builder, Confirmation, Failure, Firmware, Installed, Installer, Package, Update,
};
use lapwing_coap::wire::{Code, MessageType, Token, option};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::disk::Simulated;
use super::{Line, Received, Server, line, run};

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
            self.machine.note("reboot".to_owned());
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
pub(crate) struct Scene {
    pub(crate) server: Server,
    running: JoinHandle<Result<(), lapwing::RunError>>,
    /// Observations: the token, the path and what was notified.
    observed: Vec<(Token, &'static str, Vec<String>)>,
}

impl Scene {
    pub(crate) async fn new(disk: &sim::Disk, machine: &Arc<Machine>) -> Self {
        Self::with(builder(disk, machine).open_on(Simulated::new(disk, None), FOLDER).unwrap()).await
    }

    pub(crate) async fn with(firmware: Firmware<Simulated>) -> Self {
        let (net, server): (Line, Server) = line();
        let client =
            Client::builder("gw").server("coap://server.example").lifetime(0).object(firmware).build().unwrap();
        let running = run(client, net);
        let mut scene = Self { server, running, observed: Vec::new() };
        scene.server.register().await;
        scene
    }

    /// The process ends, whatever it was doing.
    pub(crate) async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// The answer to a request; notifications that come before it are noted.
    pub(crate) async fn answer(&mut self, token: Token) -> Received {
        loop {
            let message = self.server.next().await;
            if message.token == token {
                if message.kind == MessageType::Con {
                    self.server.acknowledge(&message);
                }
                return message;
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Received) {
        if (message.kind, message.code) == (MessageType::Ack, Code::EMPTY) {
            return;
        }
        let observed = self.observed.iter_mut().find(|(token, ..)| *token == message.token);
        let (_, _, values) = observed.unwrap_or_else(|| panic!("{message:?}"));
        values.push(message.text().to_owned());
        self.server.acknowledge(message);
    }

    /// Takes whatever comes for so long.
    pub(crate) async fn wait(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() < until {
            // The server itself is surprised by long silence.
            let soon = until.min(Instant::now() + Duration::from_secs(100));
            if let Ok(message) = timeout_at(soon, self.server.next()).await {
                self.note(&message);
            }
        }
    }

    pub(crate) async fn observe(&mut self, path: &'static str) {
        let token = self.server.request_with(Code::GET, path, &[(option::OBSERVE, &[])], b"");
        let answer = self.answer(token).await;
        assert_eq!((answer.code, answer.observe.is_some()), (Code::CONTENT, true));
        self.observed.push((token, path, Vec::new()));
    }

    /// What was notified of an observed resource so far.
    pub(crate) fn notified(&self, path: &str) -> &[String] {
        &self.observed.iter().find(|(_, observed, _)| *observed == path).unwrap().2
    }

    pub(crate) async fn read(&mut self, path: &str) -> String {
        let token = self.server.request(Code::GET, path, b"");
        let answer = self.answer(token).await;
        assert_eq!(answer.code, Code::CONTENT, "{path}");
        answer.text().to_owned()
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

    pub(crate) async fn write(&mut self, path: &str, text: &str) -> Code {
        let token = self.server.request(Code::PUT, path, text.as_bytes());
        self.answer(token).await.code
    }

    pub(crate) async fn execute(&mut self, path: &str) -> Code {
        let token = self.server.request(Code::POST, path, b"");
        self.answer(token).await.code
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
        let block = number << 4 | u32::from(more) << 3 | 2;
        let (block, size) = (block.to_be_bytes(), size.map(u32::to_be_bytes));
        let shortest = |bytes: &'_ [u8; 4]| bytes.iter().take_while(|byte| **byte == 0).count();
        let mut options: Vec<(u16, &[u8])> =
            vec![(option::CONTENT_FORMAT, format), (option::BLOCK1, &block[shortest(&block)..])];
        if let Some(size) = &size {
            options.push((option::SIZE1, &size[shortest(size)..]));
        }
        let token = self.server.request_with(Code::PUT, "/5/0/0", &options, content);
        self.answer(token).await.code
    }

    /// Pushes a package of 192 bytes.
    pub(crate) async fn push(&mut self, fill: u8) {
        for (number, code) in [(0, Code::CONTINUE), (1, Code::CONTINUE), (2, Code::CHANGED)] {
            assert_eq!(self.block(number, number < 2, fill, Some(192)).await, code);
        }
    }
}
