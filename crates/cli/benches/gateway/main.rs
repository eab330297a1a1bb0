//! What the agent costs, beside libcoap's `coap-server` and a bare tokio UDP echo: `cargo bench --bench gateway`
//!
//! Load and subject share one core, one request is under way at a time, and the subjects take turns: five runs each, of which the median
//! counts. CPU time is the subject's alone, user and system, from the scheduler (`/proc/PID/task/*/schedstat`). The load plays
//! the LwM2M server: the agent registers at it and is read by it. Prints a table in Markdown.

mod echo;
mod load;
mod process;
mod report;

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use load::{Load, Request};
use process::{Process, Usage};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs of each subject, requests in each, and starts to take the time of.
const RUNS: usize = 5;
const REQUESTS: u32 = 40_000;
const STARTS: usize = 20;
/// How long an idle subject is watched.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("echo") => echo::run(),
        // The one core that load and subject share; children inherit it.
        Some("pinned") => measure(),
        _ if arguments.iter().any(|argument| argument == "--bench") => {
            let last = std::thread::available_parallelism()?.get() - 1;
            let program = std::env::current_exe()?;
            Err(Command::new("taskset").args(["-c", &last.to_string()]).arg(program).arg("pinned").exec().into())
        }
        _ => {
            println!("nothing to test here: cargo bench --bench gateway");
            Ok(())
        }
    }
}

/// A program that is measured.
#[derive(Clone)]
struct Subject {
    name: &'static str,
    kind: Kind,
    program: PathBuf,
    requests: Vec<Request>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Agent,
    SecureAgent,
    MinimalClient,
    CoapServer,
    Echo,
}

fn subjects() -> Result<Vec<Subject>> {
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_lapwing"));
    let device = vec![
        Request::get("GET /3/0 (TLV)", &["3", "0"], 11_542),
        Request::get("GET /3/0/0 (text)", &["3", "0", "0"], 0),
    ];
    let label = vec![Request::get("GET /33000/0/1 (text)", &["33000", "0", "1"], 0)];
    let mut subjects = vec![
        Subject { name: "lapwing run", kind: Kind::Agent, program: agent.clone(), requests: device.clone() },
        Subject { name: "lapwing run, PSK", kind: Kind::SecureAgent, program: agent.clone(), requests: device },
        Subject { name: "minimal_client", kind: Kind::MinimalClient, program: example(&agent)?, requests: label },
    ];
    match ["coap-server-notls", "coap-server", "coap-server-openssl"].into_iter().find_map(find) {
        Some(program) => {
            let requests = vec![Request::get("GET / (text)", &[], 0)];
            subjects.push(Subject { name: "coap-server", kind: Kind::CoapServer, program, requests });
        }
        None => {
            println!("coap-server is not installed (Debian: libcoap3-bin), so there is nothing to compare with it.\n")
        }
    }
    let echo = vec![Request::get("the datagram of GET /3/0/0", &["3", "0", "0"], 0)];
    let program = std::env::current_exe()?;
    subjects.push(Subject { name: "tokio UDP echo", kind: Kind::Echo, program, requests: echo });
    Ok(subjects)
}

/// The example, built by the same profile into the same folder as the agent.
fn example(agent: &Path) -> Result<PathBuf> {
    let folder = agent.parent().ok_or("the agent is in no folder")?;
    let profile = folder.file_name().and_then(|name| name.to_str()).ok_or("the folder has no name")?;
    let profile = if profile == "debug" { "dev" } else { profile };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "lapwing", "--example", "minimal_client", "--profile", profile])
        .arg("--target-dir")
        .arg(folder.parent().ok_or("the agent is in no target folder")?)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if built.success() { Ok(folder.join("examples/minimal_client")) } else { Err("the example does not build".into()) }
}

/// The agent's configuration, in a file that stays for the next run.
fn configuration() -> Result<PathBuf> {
    let path = std::env::temp_dir().join("lapwing-bench.toml");
    std::fs::write(&path, "[device]\nmanufacturer = \"Lapwing\"\n")?;
    Ok(path)
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn measure() -> Result<()> {
    let subjects = subjects()?;
    let mut running = Vec::new();
    for subject in &subjects {
        running.push((subject, subject.start()?.0));
    }
    let mut samples = Vec::new();
    for run in 0..=RUNS {
        for (subject, process) in &mut running {
            for request in &subject.requests {
                let sample = sample(process, request)?;
                // The first run warms up.
                if run > 0 {
                    samples.push((subject.name, request.name, sample));
                }
            }
        }
    }
    report::requests(&samples);
    drop(running);
    report::processes(&subjects.iter().map(|subject| footprint(subject)).collect::<Result<Vec<_>>>()?);
    Ok(())
}

/// One run of one request at one subject.
pub(crate) struct Sample {
    /// CPU time of the subject for one request.
    pub(crate) cpu: Duration,
    /// Requests answered in a second of the wall clock.
    pub(crate) rate: f64,
}

fn sample(running: &mut Running, request: &Request) -> Result<Sample> {
    let (before, began) = (running.process.usage()?, Instant::now());
    running.load.ask(request, REQUESTS)?;
    let elapsed = began.elapsed();
    let cpu = running.process.usage()?.cpu - before.cpu;
    Ok(Sample { cpu: cpu / REQUESTS, rate: f64::from(REQUESTS) / elapsed.as_secs_f64() })
}

/// What a subject costs apart from requests.
pub(crate) struct Footprint {
    pub(crate) name: &'static str,
    /// From before the process is made until its server has its registration; none for what does not register.
    pub(crate) registered: Option<Duration>,
    pub(crate) idle: Usage,
    /// Wake-ups in a second without requests.
    pub(crate) wakeups: f64,
    /// Bytes of the program without symbols.
    pub(crate) size: Option<u64>,
}

fn footprint(subject: &Subject) -> Result<Footprint> {
    let mut times = Vec::new();
    if matches!(subject.kind, Kind::Agent | Kind::SecureAgent | Kind::MinimalClient) {
        for _ in 0..STARTS {
            times.push(subject.start()?.1);
        }
    }
    let (running, _) = subject.start()?;
    // What a start leaves to be done is over by then.
    std::thread::sleep(Duration::from_secs(3));
    let before = running.process.usage()?;
    std::thread::sleep(IDLE);
    let idle = running.process.usage()?;
    let wakeups = (idle.switches - before.switches) as f64 / IDLE.as_secs_f64();
    // The echo is a part of this program.
    let size = if subject.kind == Kind::Echo { None } else { process::stripped_size(&subject.program) };
    Ok(Footprint { name: subject.name, registered: report::median(&mut times), idle, wakeups, size })
}

/// A subject that is up, and the load's end of the way to it.
struct Running {
    process: Process,
    load: Load,
}

impl Subject {
    /// Starts it and waits until it can be asked; also says how long that took.
    fn start(&self) -> Result<(Running, Duration)> {
        let mut command = Command::new(&self.program);
        let load = if self.kind == Kind::SecureAgent { Load::secure()? } else { Load::new()? };
        let own = load.address()?;
        let began = Instant::now();
        let (process, load) = match self.kind {
            Kind::Agent | Kind::SecureAgent => {
                let scheme = if self.kind == Kind::SecureAgent { "coaps" } else { "coap" };
                let uri = format!("{scheme}://{own}");
                command.args(["run", "--server", &uri, "--endpoint", "bench", "--lifetime", "0"]);
                if self.kind == Kind::SecureAgent {
                    let key: String = load::KEY.iter().map(|byte| format!("{byte:02x}")).collect();
                    command.args(["--psk-identity", load::IDENTITY]).env("LAPWING_PSK_KEY", key);
                }
                // Not every machine tells who made it.
                command.arg("--config").arg(configuration()?);
                let process = Process::start(command)?;
                (process, load.take_registration()?)
            }
            Kind::MinimalClient => {
                command.arg(format!("coap://{own}"));
                let process = Process::start(command)?;
                (process, load.take_registration()?)
            }
            Kind::CoapServer => {
                let port = load::free_port()?;
                command.args(["-A", "127.0.0.1", "-p", &port.to_string()]);
                (Process::start(command)?, load.connect(port)?)
            }
            Kind::Echo => {
                let port = load::free_port()?;
                command.arg("echo").env(echo::PORT, port.to_string());
                (Process::start(command)?, load.connect(port)?)
            }
        };
        Ok((Running { process, load }, began.elapsed()))
    }
}
