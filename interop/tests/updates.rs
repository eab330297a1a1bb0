//! Updates from end to end: a server pushes packages to the real agent, or hosts them to be fetched, the agent has the real SWUpdate or the
//! real RAUC install them, and an observer sees the states. The machine's boot is the bed's own: a reboot ends the agent and the daemon, and boots another side.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path as File, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bed::Process;
use bed::updater::{Image, Machine, OLD, Rauc, Swupdate, noise};
use lapwing_coap::ContentFormat;
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::{Node, Path, Value};
use lapwing_lwm2m::server::{Content, Registration, Request, Response, ServerEvent, WriteMode};
use lapwing_server::{Handle, Server, Subscription};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const SETTLE: Duration = Duration::from_millis(20);
/// Installing, and what comes before it, takes longer than anything else.
const PATIENCE: Duration = Duration::from_secs(60);

const IDLE: i64 = 0;
const DOWNLOADED: i64 = 2;
const UPDATING: i64 = 3;

/// The results of an update (5/0/5).
const SUCCESS: i64 = 1;
const INTEGRITY: i64 = 5;
const PACKAGE_TYPE: i64 = 6;
const UPDATE_FAILED: i64 = 8;

fn resource(id: u16) -> Path {
    Path::object(5).instance(0).resource(id)
}

fn content(seed: u64) -> Vec<u8> {
    noise(seed, 128 << 10)
}

/// A server in a thread of its own, since starting machines blocks, and whoever watches it.
struct Operator {
    handle: Handle,
    /// Where its API is.
    http: SocketAddr,
    events: Subscription<ServerEvent>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Operator {
    fn start(address: &str) -> Self {
        let (coap, http) = (address.parse().unwrap(), "127.0.0.1:0".parse().unwrap());
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::builder().coap(coap).http(http).bind().await.unwrap();
                tell.send((server.handle(), server.http_address(), server.handle().subscribe())).unwrap();
                server.run(async { drop(stopped.await) }).await.unwrap();
            });
        });
        let (handle, http, events) = told.recv().expect("the server runs");
        Self { handle, http, events, stop, thread }
    }

    /// Hosts a file; its URI by this scheme.
    fn hosts(&self, scheme: &str, file: &File) -> String {
        let url = format!("http://{}/api/files/image", self.http);
        let answer = ureq::put(&url).send(fs::read(file).unwrap()).expect("the file is hosted");
        assert!(answer.status().is_success());
        let authority = if scheme == "http" { self.http } else { self.handle.coap_address() };
        format!("{scheme}://{authority}/files/image")
    }

    /// Ends the server; nothing answers at its address, which is given, until another one starts there.
    fn leave(self) -> String {
        let address = self.handle.coap_address().to_string();
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        address
    }
}

/// A machine with the agent, and its operator.
struct Bench<M> {
    machine: M,
    operator: Option<Operator>,
    agent: Option<Process>,
    registration: Option<Arc<Registration>>,
    /// The states that the observer has seen since this was looked at, each once in a row.
    states: Vec<i64>,
}

impl<M: Machine> Bench<M> {
    /// `installer`: what the configuration says of it; `more`: what it says besides, of the firmware.
    async fn new(machine: M, installer: fn(&M) -> String, more: &str) -> Self {
        let firmware = installer(&machine) + more;
        Self::configured(machine, "", &firmware).await
    }

    /// The same with an agent whose registration outlives it.
    async fn resuming(machine: M, installer: fn(&M) -> String) -> Self {
        let firmware = installer(&machine);
        Self::configured(machine, "after-restart = 'resume'\n", &firmware).await
    }

    async fn configured(machine: M, more: &str, firmware: &str) -> Self {
        let operator = Operator::start("127.0.0.1:0");
        let folder = machine.folder().display();
        let config = format!(
            "server = 'coap://{}'\nendpoint = 'gw'\nstate = '{folder}/state'\n{more}\
             [device]\nreboot-command = ['touch', '{folder}/rebooting']\n[firmware]\n{firmware}\n",
            operator.handle.coap_address(),
        );
        fs::write(machine.folder().join("agent.toml"), config).unwrap();
        let mut bench = Self { machine, operator: Some(operator), agent: None, registration: None, states: Vec::new() };
        bench.start_agent();
        bench.registered().await;
        assert_eq!(bench.states(), [IDLE]);
        bench
    }

    fn start_agent(&mut self) {
        let mut command = self.machine.command(&bed::built("lapwing"));
        command.args(["run", "--config"]).arg(self.path("agent.toml"));
        self.agent = Some(Process::start(&mut command));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.machine.folder().join(name)
    }

    /// The next event in which `wanted` sees something.
    async fn event<T>(&mut self, what: &str, wanted: impl Fn(ServerEvent) -> Option<T>) -> T {
        let operator = self.operator.as_mut().expect("a server");
        let next = async {
            loop {
                let event = operator.events.next().await.expect("the server runs");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        match timeout(PATIENCE, next).await {
            Ok(found) => found,
            Err(_) => panic!("{what}; the agent said:\n{}", self.said()),
        }
    }

    /// What the agent said; it is ended.
    fn said(&mut self) -> String {
        let mut agent = self.agent.take().expect("an agent");
        agent.signal("KILL");
        agent.err.rest().join("\n")
    }

    /// Waits for the agent's registration, and observes the state.
    async fn registered(&mut self) {
        let registered = |event| match event {
            ServerEvent::Registered { registration, .. } => Some(registration),
            _ => None,
        };
        self.registration = Some(self.event("a registration", registered).await);
        let observed = self.ask(Request::Observe { path: resource(3), format: None }).await;
        self.saw(&observed);
    }

    async fn ask(&self, request: Request) -> Response {
        let registration = self.registration.as_ref().expect("a registration").id;
        let operator = self.operator.as_ref().expect("a server");
        operator.handle.request(registration, request, Some(PATIENCE)).await.unwrap()
    }

    async fn push(&self, image: &File) -> Code {
        let node = Node::single(Value::Opaque(fs::read(image).unwrap()));
        let format = Some(ContentFormat::OPAQUE);
        self.ask(Request::Write { path: resource(0), mode: WriteMode::Replace, format, node }).await.code
    }

    async fn execute(&self, id: u16) {
        let request = Request::Execute { path: resource(id), arguments: String::new() };
        assert_eq!(self.ask(request).await.code, Code::CHANGED);
    }

    async fn number(&self, id: u16) -> i64 {
        integer(&self.ask(Request::Read { path: resource(id), format: None }).await).expect("a number")
    }

    fn saw(&mut self, response: &Response) {
        let state = integer(response).expect("a state");
        if self.states.last() != Some(&state) {
            self.states.push(state);
        }
    }

    /// Waits until the observer sees this state; the result is read at once, as observers do.
    async fn sees(&mut self, state: i64) -> i64 {
        while self.states.last() != Some(&state) {
            let notified = |event| match event {
                ServerEvent::Notification { path, response, .. } if path == resource(3) => Some(response),
                _ => None,
            };
            let response = self.event(&format!("state {state}"), notified).await;
            self.saw(&response);
        }
        self.number(5).await
    }

    fn states(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.states)
    }

    /// Has an image pushed.
    async fn delivers(&mut self, kind: Image, seed: u64) {
        let image = self.machine.image(kind, &content(seed));
        assert_eq!(self.push(&image).await, Code::CHANGED);
        assert_eq!(self.sees(DOWNLOADED).await, 0);
    }

    /// Has an image fetched by this scheme.
    async fn fetches(&mut self, scheme: &str, kind: Image, seed: u64) {
        let image = self.machine.image(kind, &content(seed));
        let uri = self.operator.as_ref().expect("a server").hosts(scheme, &image);
        let node = Node::single(Value::from(uri.as_str()));
        let request = Request::Write { path: resource(1), mode: WriteMode::Replace, format: None, node };
        assert_eq!(self.ask(request).await.code, Code::CHANGED);
        assert_eq!(self.sees(DOWNLOADED).await, 0);
    }

    /// Waits until the agent has asked the machine to reboot.
    async fn asks_for_a_reboot(&mut self) {
        let mark = self.path("rebooting");
        let asked = async {
            while !mark.exists() {
                sleep(SETTLE).await;
            }
        };
        if timeout(PATIENCE, asked).await.is_err() {
            panic!("no reboot; the agent said:\n{}", self.said());
        }
        fs::remove_file(mark).unwrap();
    }

    /// Reboots into this side. What was observed is forgotten by the agent, and seen to be by the server when the agent registers.
    fn reboots_into(&mut self, side: &str) {
        self.agent = None;
        self.machine.reboot_into(side);
        self.start_agent();
    }

    fn runs(&self, side: &str, content: &[u8]) {
        assert_eq!((self.machine.booted().as_str(), self.machine.next().as_str()), (side, side));
        assert!(self.machine.side(side, content.len()) == content, "{side} is what it was");
    }
}

fn integer(response: &Response) -> Option<i64> {
    match &response.content {
        Content::Node(node) => node.value().and_then(Value::as_integer),
        _ => None,
    }
}

/// How the agent reaches this daemon.
fn swupdate(machine: &Swupdate) -> String {
    let (sockets, folder) = (machine.sockets(), machine.folder().to_owned());
    format!(
        "installer = 'swupdate'\nsockets = '{}'\nsides = {{ A = 'stable,copy-A', B = 'stable,copy-B' }}\n\
         running = ['cat', '{}/booted']\n",
        sockets.display(),
        folder.display()
    )
}

fn rauc(_: &Rauc) -> String {
    "installer = 'rauc'\n".to_owned()
}

/// From A to B. `version` is the same as before: what tells is the side.
async fn a_sound_package_is_installed<M: Machine>(bench: &mut Bench<M>) {
    bench.delivers(Image::Sound, 1).await;
    bench.runs("A", OLD);
    bench.execute(2).await;
    assert_eq!(bench.sees(UPDATING).await, 0);
    bench.asks_for_a_reboot().await;
    assert_eq!(bench.states(), [1, 2, 3]);
    assert_eq!(bench.number(5).await, 0, "nothing is known before the reboot");
    assert!(bench.machine.side("B", content(1).len()) == content(1));
    assert_eq!(bench.machine.next(), "B");
    bench.reboots_into("B");
    bench.registered().await;
    assert_eq!(bench.sees(IDLE).await, SUCCESS);
    assert!([&[IDLE][..], &[3, IDLE]].contains(&&bench.states()[..]));
    bench.runs("B", &content(1));
    assert_eq!(bench.machine.side("A", OLD.len()), OLD);
}

async fn unsound_packages_change_nothing<M: Machine>(bench: &mut Bench<M>) {
    for (kind, result) in [
        (Image::Stranger, INTEGRITY),
        (Image::Damaged, INTEGRITY),
        (Image::CutShort, INTEGRITY),
        (Image::OtherMachine, PACKAGE_TYPE),
    ] {
        bench.delivers(kind, 2).await;
        bench.execute(2).await;
        assert_eq!(bench.sees(IDLE).await, result, "{kind:?}");
        assert_eq!(bench.states(), [1, 2, 3, 0], "{kind:?}");
        bench.runs("B", &content(1));
        assert!(!bench.path("rebooting").exists());
    }
}

/// The boot loader gives up on what was installed, and boots B again.
async fn what_does_not_boot_has_failed<M: Machine>(bench: &mut Bench<M>) {
    bench.delivers(Image::Sound, 3).await;
    bench.execute(2).await;
    bench.sees(UPDATING).await;
    bench.asks_for_a_reboot().await;
    assert_eq!((bench.states(), bench.machine.next()), (vec![1, 2, 3], "A".to_owned()));
    bench.reboots_into("B");
    bench.registered().await;
    assert_eq!(bench.sees(DOWNLOADED).await, UPDATE_FAILED);
    assert!(bench.machine.side("B", content(1).len()) == content(1));
    bench.execute(10).await;
    bench.sees(IDLE).await;
    bench.states();
}

/// After the boot loader has fallen back to B it still names A, which does not run.
async fn what_runs_is_not_written_over<M: Machine>(bench: &mut Bench<M>) {
    assert_eq!((bench.machine.booted().as_str(), bench.machine.next().as_str()), ("B", "A"));
    bench.delivers(Image::Sound, 4).await;
    bench.execute(2).await;
    bench.sees(UPDATING).await;
    bench.asks_for_a_reboot().await;
    assert!(bench.machine.side("B", content(1).len()) == content(1));
    bench.reboots_into("A");
    bench.registered().await;
    assert_eq!(bench.sees(IDLE).await, SUCCESS);
    bench.runs("A", &content(4));
}

async fn end_to_end<M: Machine>(bench: &mut Bench<M>) {
    a_sound_package_is_installed(bench).await;
    unsound_packages_change_nothing(bench).await;
    what_does_not_boot_has_failed(bench).await;
}

#[tokio::test]
async fn swupdate_installs_what_is_pushed_and_the_side_that_runs_decides() {
    let mut bench = Bench::new(Swupdate::new(), swupdate, "go-back-after = 60").await;
    end_to_end(&mut bench).await;
    what_runs_is_not_written_over(&mut bench).await;
}

#[tokio::test]
async fn rauc_installs_what_is_pushed_and_the_slot_that_runs_decides() {
    let mut bench = Bench::new(Rauc::new(), rauc, "go-back-after = 60").await;
    end_to_end(&mut bench).await;
    assert_eq!(bench.machine.state("B").as_deref(), Some("good"), "it was marked when it was shown to run");
    assert_ne!(bench.machine.state("A").as_deref(), Some("good"), "it did not run since");
}

/// As what is pushed: what is fetched is whole, which says nothing of whose it is.
async fn what_is_fetched_is_installed_where_it_is_sound<M: Machine>(bench: &mut Bench<M>, scheme: &str) {
    for (kind, result) in
        [(Image::Stranger, INTEGRITY), (Image::Damaged, INTEGRITY), (Image::OtherMachine, PACKAGE_TYPE)]
    {
        bench.fetches(scheme, kind, 8).await;
        bench.execute(2).await;
        assert_eq!(bench.sees(IDLE).await, result, "{kind:?}");
        assert_eq!(bench.states(), [1, 2, 3, 0], "{kind:?}");
        bench.runs("A", OLD);
    }
    bench.fetches(scheme, Image::Sound, 9).await;
    bench.execute(2).await;
    assert_eq!(bench.sees(UPDATING).await, 0);
    assert_eq!(bench.states(), [1, 2, 3]);
    bench.asks_for_a_reboot().await;
    bench.reboots_into("B");
    bench.registered().await;
    assert_eq!(bench.sees(IDLE).await, SUCCESS);
    bench.runs("B", &content(9));
}

#[tokio::test]
async fn swupdate_installs_what_is_fetched_over_coap() {
    let mut bench = Bench::new(Swupdate::new(), swupdate, "").await;
    what_is_fetched_is_installed_where_it_is_sound(&mut bench, "coap").await;
}

#[tokio::test]
async fn rauc_installs_what_is_fetched_over_http() {
    let mut bench = Bench::new(Rauc::new(), rauc, "").await;
    what_is_fetched_is_installed_where_it_is_sound(&mut bench, "http").await;
}

/// New firmware that reaches no server is left again, which the server hears of when it is back.
async fn what_reaches_no_server_is_left_again<M: Machine>(bench: &mut Bench<M>) {
    bench.delivers(Image::Sound, 4).await;
    bench.execute(2).await;
    bench.asks_for_a_reboot().await;
    let address = bench.operator.take().expect("a server").leave();
    assert_eq!(bench.machine.next(), "B");
    bench.reboots_into("B");
    bench.asks_for_a_reboot().await;
    assert_eq!(bench.machine.next(), "A", "the boot loader was told first");
    bench.operator = Some(Operator::start(&address));
    bench.reboots_into("A");
    bench.registered().await;
    assert_eq!(bench.sees(DOWNLOADED).await, UPDATE_FAILED);
    bench.runs("A", OLD);
}

impl<M: Machine> Bench<M> {
    /// The installation has begun, and stands still in its middle; the agent is gone.
    async fn is_killed_in_the_middle(&mut self, seed: u64) {
        self.delivers(Image::Sound, seed).await;
        self.machine.hold();
        self.execute(2).await;
        let held = async {
            while !self.machine.is_held() {
                sleep(SETTLE).await;
            }
        };
        timeout(PATIENCE, held).await.expect("the installation is held");
        self.agent = None;
        self.states();
    }
}

/// Whether it has succeeded is seen by what runs after the reboot, which takes no other one; or it was not done, and is not begun again.
async fn an_installation_whose_end_nobody_saw_is_judged_by_what_runs<M: Machine>(bench: &mut Bench<M>) {
    bench.is_killed_in_the_middle(6).await;
    bench.reboots_into("A");
    bench.machine.release();
    bench.registered().await;
    assert_eq!(bench.sees(DOWNLOADED).await, UPDATE_FAILED);
    bench.runs("A", OLD);
    bench.execute(10).await;
    bench.sees(IDLE).await;

    bench.is_killed_in_the_middle(7).await;
    bench.machine.release();
    bed::eventually("the end of the installation", || (bench.machine.next() == "B").then_some(()));
    bench.reboots_into("B");
    bench.registered().await;
    assert_eq!(bench.sees(IDLE).await, SUCCESS);
    bench.runs("B", &content(7));
    assert!(!bench.path("rebooting").exists(), "it runs already");
}

#[tokio::test]
async fn with_swupdate_an_installation_whose_end_nobody_saw_is_judged_by_what_runs() {
    let mut bench = Bench::new(Swupdate::new(), swupdate, "").await;
    an_installation_whose_end_nobody_saw_is_judged_by_what_runs(&mut bench).await;
}

#[tokio::test]
async fn with_rauc_an_installation_whose_end_nobody_saw_is_judged_by_what_runs() {
    let mut bench = Bench::new(Rauc::new(), rauc, "").await;
    an_installation_whose_end_nobody_saw_is_judged_by_what_runs(&mut bench).await;
}

/// The observer asks once, and sees the whole of an update, the reboot in its middle.
async fn the_reboot_is_hardly_seen<M: Machine>(bench: &mut Bench<M>) {
    bench.delivers(Image::Sound, 5).await;
    bench.execute(2).await;
    assert_eq!(bench.sees(UPDATING).await, 0);
    bench.asks_for_a_reboot().await;
    // As the machine ends its services before it goes down.
    bench.agent.as_ref().expect("an agent").signal("TERM");
    bench.agent.as_mut().expect("an agent").ended();
    bench.reboots_into("B");
    assert_eq!(bench.sees(IDLE).await, SUCCESS, "asked by the registration that there was before");
    assert_eq!(bench.states(), [1, 2, 3, 0]);
    bench.runs("B", &content(5));
}

#[tokio::test]
async fn with_swupdate_an_observer_sees_an_update_through_the_reboot() {
    the_reboot_is_hardly_seen(&mut Bench::resuming(Swupdate::new(), swupdate).await).await;
}

#[tokio::test]
async fn with_rauc_an_observer_sees_an_update_through_the_reboot() {
    the_reboot_is_hardly_seen(&mut Bench::resuming(Rauc::new(), rauc).await).await;
}

#[tokio::test]
async fn with_swupdate_the_machine_goes_back_where_no_server_is_reached() {
    let mut bench = Bench::new(Swupdate::new(), swupdate, "go-back-after = 2").await;
    what_reaches_no_server_is_left_again(&mut bench).await;
}

#[tokio::test]
async fn with_rauc_the_machine_goes_back_where_no_server_is_reached() {
    let mut bench = Bench::new(Rauc::new(), rauc, "go-back-after = 2").await;
    what_reaches_no_server_is_left_again(&mut bench).await;
    assert_eq!(bench.machine.state("B").as_deref(), Some("bad"));
}
