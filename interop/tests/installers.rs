//! What every installer of firmware must do, run against the real SWUpdate and the real RAUC.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bed::updater::{Image, Machine, OLD, noise};
use lapwing::objects::firmware::{Failure, UpdateResult};
use lapwing_gateway::backend::Verdict;
use lapwing_gateway::backend::rauc::Rauc;
use lapwing_gateway::backend::swupdate::{Side, Sides, Swupdate};
use lapwing_gateway::platform::{Progress, Updater, Watch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// A machine with its installer, as the agent has it: it can be started anew.
trait Bench {
    fn machine(&mut self) -> &mut dyn Machine;
    /// The agent, started anew.
    fn agent(&self) -> Agent;
}

struct WithSwupdate(bed::updater::Swupdate);

impl Bench for WithSwupdate {
    fn machine(&mut self) -> &mut dyn Machine {
        &mut self.0
    }

    fn agent(&self) -> Agent {
        let sides = ["A", "B"].map(|name| Side::parse(name, &format!("stable,copy-{name}")).unwrap());
        let config = self.0.folder().join("fw_env.config").display().to_string();
        let read = ["fw_printenv", "-c", &config, "-n", "bootside"].map(str::to_owned);
        let sides = Sides::opposite(sides.to_vec(), read.to_vec());
        let note = self.0.folder().join("note");
        Agent::new(|watch| Box::new(Swupdate::new(&self.0.sockets(), sides, Verdict::default(), note, watch)))
    }
}

struct WithRauc(bed::updater::Rauc);

impl Bench for WithRauc {
    fn machine(&mut self) -> &mut dyn Machine {
        &mut self.0
    }

    fn agent(&self) -> Agent {
        Agent::new(|watch| Box::new(Rauc::new(Some(self.0.bus()), self.0.folder().join("note"), watch)))
    }
}

/// What an agent has of an installer.
struct Agent {
    updater: Box<dyn Updater>,
    said: Arc<Mutex<Vec<Progress>>>,
}

/// What is to be installed.
#[derive(Debug, Clone)]
struct Order {
    number: u64,
    image: PathBuf,
}

impl Agent {
    fn new(updater: impl FnOnce(Watch) -> Box<dyn Updater>) -> Self {
        let said = Arc::<Mutex<Vec<Progress>>>::default();
        let sink = Arc::clone(&said);
        Self { updater: updater(Arc::new(move |progress| sink.lock().unwrap().push(progress))), said }
    }

    async fn install(&self, order: &Order) -> Result<(), Failure> {
        self.said.lock().unwrap().clear();
        timeout(bed::PATIENCE, self.updater.install(order.number, &order.image)).await.expect("an end")
    }

    async fn resume(&self, number: u64) -> Option<Result<(), Failure>> {
        timeout(bed::PATIENCE, self.updater.resume(number)).await.expect("an end")
    }

    async fn installs(&self, order: &Order) {
        self.install(order).await.unwrap();
        let said = self.said.lock().unwrap();
        let percents: Vec<u8> = said.iter().map(|progress| progress.percent).collect();
        println!("{percents:?}");
        assert!(percents.len() > 2 && percents.is_sorted() && percents.last() == Some(&100), "{percents:?}");
    }

    async fn refuses(&self, order: &Order) -> Failure {
        let failure = self.install(order).await.unwrap_err();
        println!("{:?}: {failure}", failure.result);
        let said = self.said.lock().unwrap();
        assert!(said.iter().all(|progress| progress.percent < 100), "{said:?}");
        failure
    }
}

/// The next content, as long as it takes to see progress, and unlike any before.
fn content(number: u64) -> Vec<u8> {
    noise(number, 1 << 20)
}

fn is_untouched(machine: &dyn Machine) {
    assert_eq!(machine.side("A", OLD.len()), OLD, "what runs is never written to");
}

fn has_installed(machine: &dyn Machine, content: &[u8]) {
    assert!(machine.side("B", content.len()) == content);
    assert_eq!(machine.next(), "B");
    is_untouched(machine);
}

fn boots_the_old_one(machine: &dyn Machine) {
    assert_eq!(machine.next(), "A");
    is_untouched(machine);
}

async fn updater_contract(bench: &mut dyn Bench) {
    sound_images_are_installed(bench).await;
    unsound_ones_are_refused(bench).await;
    a_daemon_that_dies_installs_nothing(bench).await;
    an_agent_that_is_started_anew_is_attached_again(bench).await;
    without_a_daemon_it_says_so(bench).await;
}

async fn sound_images_are_installed(bench: &mut dyn Bench) {
    let agent = bench.agent();
    // Twice without a reboot between them: the second must not go to what runs.
    for number in [1, 2] {
        let machine = bench.machine();
        let order = Order { number, image: machine.image(Image::Sound, &content(number)) };
        assert_eq!(agent.resume(number).await, None, "nothing was begun");
        agent.installs(&order).await;
        has_installed(machine, &content(number));
        assert_eq!(agent.resume(number).await, Some(Ok(())));
    }
}

async fn unsound_ones_are_refused(bench: &mut dyn Bench) {
    let agent = bench.agent();
    let machine = bench.machine();
    machine.boot_a();
    for (number, kind, result) in [
        (11, Image::Stranger, UpdateResult::Integrity),
        (12, Image::Damaged, UpdateResult::Integrity),
        (13, Image::CutShort, UpdateResult::Integrity),
        (14, Image::Noise, UpdateResult::Integrity),
        (15, Image::OtherMachine, UpdateResult::PackageType),
    ] {
        let order = Order { number, image: machine.image(kind, &content(number)) };
        let failure = agent.refuses(&order).await;
        assert_eq!(failure.result, result, "{kind:?}: {failure}");
        boots_the_old_one(machine);
        let again = agent.resume(order.number).await.unwrap().unwrap_err();
        assert_eq!(again.result, result, "{kind:?}, asked again: {again}");
    }
    let missing = Order { number: 16, image: machine.folder().join("missing") };
    let failure = agent.refuses(&missing).await;
    assert_eq!(failure.result, UpdateResult::UpdateFailed);
    assert!(failure.reason.contains("missing") || failure.reason.contains("No such file"), "{failure}");
    boots_the_old_one(machine);
}

/// Waits until the installation stands still in its middle.
async fn held(machine: &dyn Machine) {
    let held = async {
        while !machine.is_held() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(bed::PATIENCE, held).await.expect("it is held");
}

async fn a_daemon_that_dies_installs_nothing(bench: &mut dyn Bench) {
    let agent = bench.agent();
    let machine = bench.machine();
    machine.boot_a();
    let order = Order { number: 21, image: machine.image(Image::Sound, &content(21)) };
    machine.hold();
    let (outcome, ()) = tokio::join!(agent.install(&order), async {
        held(machine).await;
        // Whoever comes second has to wait for another time.
        let failure = agent.refuses(&Order { number: 22, ..order.clone() }).await;
        assert_eq!(failure.result, UpdateResult::UpdateFailed, "{failure}");
        machine.kill();
    });
    let failure = outcome.unwrap_err();
    assert_eq!(failure.result, UpdateResult::UpdateFailed);
    assert!(failure.reason.contains("ended in the middle"), "{failure}");
    boots_the_old_one(machine);
    machine.release();
    machine.start();
    assert!(agent.resume(order.number).await.is_none_or(|outcome| outcome.is_err()), "it was not installed");
    boots_the_old_one(machine);
    let order = Order { number: 23, ..order };
    agent.installs(&order).await;
    has_installed(machine, &content(21));
}

async fn an_agent_that_is_started_anew_is_attached_again(bench: &mut dyn Bench) {
    let (old, new) = (bench.agent(), bench.agent());
    let machine = bench.machine();
    machine.boot_a();
    let order = Order { number: 31, image: machine.image(Image::Sound, &content(31)) };
    machine.hold();
    tokio::select! {
        outcome = old.install(&order) => panic!("{outcome:?}"),
        () = held(machine) => {}
    }
    // The agent is gone, and its installation goes on.
    drop(old);
    boots_the_old_one(machine);
    let (outcome, ()) = tokio::join!(new.resume(order.number), async {
        sleep(Duration::from_millis(200)).await;
        machine.release();
    });
    assert_eq!(outcome, Some(Ok(())));
    has_installed(machine, &content(31));
    assert_eq!(new.resume(32).await, None, "another order");
}

async fn without_a_daemon_it_says_so(bench: &mut dyn Bench) {
    let agent = bench.agent();
    let machine = bench.machine();
    machine.boot_a();
    let order = Order { number: 41, image: machine.image(Image::Sound, &content(41)) };
    machine.kill();
    let failure = agent.refuses(&order).await;
    assert_eq!(failure.result, UpdateResult::UpdateFailed);
    boots_the_old_one(machine);
    machine.start();
}

#[tokio::test]
async fn swupdate_keeps_the_updater_contract() {
    let mut bench = WithSwupdate(bed::updater::Swupdate::new());
    updater_contract(&mut bench).await;
}

/// The daemon has the image from the agent, so that half of it is all there is when the agent ends.
#[tokio::test]
async fn swupdate_refuses_what_the_agent_did_not_finish() {
    let bench = WithSwupdate(bed::updater::Swupdate::new());
    let (old, new) = (bench.agent(), bench.agent());
    let machine = &bench.0;
    // Its header and description come, and the rest does not: a pipe, whose other end stays open.
    let whole = fs::read(machine.image(Image::Sound, &content(1))).unwrap();
    let pipe = machine.folder().join("pipe");
    assert!(bed::run("mkfifo", &[pipe.to_str().unwrap()]).status.success());
    let writer = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    std::io::Write::write_all(&mut &writer, &whole[..32 * 1024]).unwrap();
    let order = Order { number: 1, image: pipe };
    let began = timeout(Duration::from_secs(1), old.install(&order)).await;
    assert!(began.is_err(), "it waits for the rest: {began:?}");
    drop(old);
    let failure = new.resume(order.number).await.unwrap().unwrap_err();
    assert_eq!(failure.result, UpdateResult::Integrity, "{failure}");
    boots_the_old_one(machine);
}

/// Asks the daemon for what it has said and will say, as `swupdate-progress` and its like do, and leaves before all has come.
async fn listens_and_leaves(sockets: &Path) {
    const MESSAGE: usize = 3120;
    let mut request = vec![0; MESSAGE];
    request[..4].copy_from_slice(&0x1405_2001_u32.to_ne_bytes());
    request[4..8].copy_from_slice(&11_u32.to_ne_bytes());
    let mut socket = UnixStream::connect(sockets.join("sockinstctrl")).await.unwrap();
    socket.write_all(&request).await.unwrap();
    socket.read_exact(&mut request).await.unwrap();
}

/// Version 2022.12 goes on to speak to the socket that gets the number of such a listener's.
#[tokio::test]
async fn swupdate_takes_images_after_a_listener_has_left_in_the_midst() {
    let bench = WithSwupdate(bed::updater::Swupdate::new());
    let agent = bench.agent();
    let machine = &bench.0;
    for number in 1..4 {
        let order = Order { number, image: machine.image(Image::Sound, &content(number)) };
        agent.installs(&order).await;
        assert_eq!(agent.resume(number).await, Some(Ok(())));
        for _ in 0..20 {
            listens_and_leaves(&machine.sockets()).await;
        }
    }
}

#[tokio::test]
async fn rauc_keeps_the_updater_contract() {
    let mut bench = WithRauc(bed::updater::Rauc::new());
    updater_contract(&mut bench).await;
    assert_eq!(bench.0.state("A"), None);
    bench.agent().updater.accept().await.unwrap();
    assert_eq!(bench.0.state("A").as_deref(), Some("good"));
}

/// What RAUC's slots say is there after a restart of RAUC, and of the machine, too.
#[tokio::test]
async fn rauc_knows_after_its_own_restart_what_was_installed() {
    let mut bench = WithRauc(bed::updater::Rauc::new());
    let agent = bench.agent();
    let order = Order { number: 1, image: bench.0.image(Image::Sound, &content(1)) };
    agent.installs(&order).await;
    bench.0.kill();
    bench.0.start();
    assert_eq!(agent.resume(order.number).await, Some(Ok(())));
}
