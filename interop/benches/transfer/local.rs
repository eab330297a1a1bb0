//! What a transfer costs where the network costs nothing, and how much memory it takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bed::{Process, updater, usage};
use tempfile::TempDir;

use crate::agent::{Agent, RECEIVER, free_port, pinned};
use crate::{Result, process, scratch};

const RUNS: usize = 7;
const MIB: usize = 1 << 20;
/// Of the packages whose cost is measured, and of the one that must not take memory.
const LENGTH: usize = 4 * MIB;
const LARGE: usize = 300_000_000;

/// Runs of one way of transfer: seconds, and the CPU of the one that receives.
struct Row {
    name: &'static str,
    samples: Vec<(Duration, Duration)>,
}

/// Prints seconds and CPU per MiB of 4 MiB, medians: with a core for each end, where a datagram wakes the other core, which costs who sends it
/// more than all else on a virtual machine; and with one core for both, where work alone counts.
pub(crate) fn measure(agent: &Path) -> Result<()> {
    table(agent, "0", "a core each")?;
    println!();
    table(agent, RECEIVER, "one core for both ends")
}

fn table(agent: &Path, servers: &str, title: &str) -> Result<()> {
    let bench = Bench::new(agent, LENGTH, servers)?;
    let (coap, http) = (bench.libcoap.uri.clone(), bench.agent.hosted());
    let mut rows = [
        "push to lapwing run, hashed and synced to disk",
        "PUT to libcoap's coap-server, in memory",
        "pull by lapwing run over coap, hashed and synced to disk",
        "GET by libcoap's coap-client, to /dev/null",
        "pull by lapwing run over http, hashed and synced to disk",
        "curl over http, to a file",
    ]
    .map(|name| Row { name, samples: Vec::new() });
    for run in 0..=RUNS {
        let samples = [
            bench.agent(|agent| agent.push())?,
            bench.put()?,
            bench.agent(|agent| agent.pull(&coap))?,
            timed(|| process::cpu_of(&mut bench.get()))?,
            bench.agent(|agent| agent.pull(&http))?,
            timed(|| process::cpu_of(&mut bench.curl()))?,
        ];
        // The first run warms up.
        for (row, sample) in rows.iter_mut().zip(samples).filter(|_| run > 0) {
            row.samples.push(sample);
        }
    }
    println!("| 4 MiB at RTT 0, {title} | seconds | CPU of the receiver per MiB |");
    println!("| --- | ---: | ---: |");
    for row in &mut rows {
        let seconds = median(row.samples.iter().map(|sample| sample.0).collect());
        let cpu = median(row.samples.iter().map(|sample| sample.1).collect());
        let per_mib = cpu.as_secs_f64() * 1e3 * MIB as f64 / LENGTH as f64;
        println!("| {} | {:.3} | {per_mib:.2} ms |", row.name, seconds.as_secs_f64());
    }
    Ok(())
}

/// Prints how much more memory the agent takes while 300 MB come.
pub(crate) fn memory(agent: &Path) -> Result<()> {
    let bench = Bench::new(agent, LARGE, "0")?;
    let (coap, http) = (bench.libcoap.uri.clone(), bench.agent.hosted());
    let agent = &bench.agent;
    agent.peak()?;
    std::thread::sleep(Duration::from_secs(2));
    let idle = agent.peak()?;
    println!("idle: {idle} KiB resident");
    let ways: [(&str, &dyn Fn() -> Result<()>); 3] = [
        ("push", &|| agent.push()),
        ("pull over coap", &|| agent.pull(&coap)),
        ("pull over http", &|| agent.pull(&http)),
    ];
    for (name, way) in ways {
        let began = Instant::now();
        way()?;
        let more = agent.peak()?.saturating_sub(idle);
        println!("300 MB, {name}: at most {more} KiB more, in {:.1} s", began.elapsed().as_secs_f64());
        agent.reset()?;
    }
    Ok(())
}

struct Bench {
    agent: Agent,
    libcoap: Libcoap,
    image: PathBuf,
    folder: TempDir,
}

struct Libcoap {
    uri: String,
    /// What is put there is overwritten each time.
    other: String,
    process: Process,
}

impl Bench {
    fn new(agent: &Path, length: usize, servers: &str) -> Result<Self> {
        let folder = scratch()?;
        let image = folder.path().join("image");
        std::fs::write(&image, updater::noise(0, length))?;
        let agent = Agent::start(agent, &image, servers)?;
        let libcoap = Libcoap::start(&image, servers)?;
        Ok(Self { agent, libcoap, image, folder })
    }

    fn agent(&self, transfer: impl Fn(&Agent) -> Result<()>) -> Result<(Duration, Duration)> {
        let before = usage::cpu(self.agent.id())?;
        let (seconds, after) = timed(|| {
            transfer(&self.agent)?;
            Ok(usage::cpu(self.agent.id())?)
        })?;
        self.agent.reset()?;
        Ok((seconds, after.saturating_sub(before)))
    }

    fn put(&self) -> Result<(Duration, Duration)> {
        let before = usage::cpu(self.libcoap.process.id())?;
        let (seconds, after) = timed(|| {
            self.libcoap.put(&self.image, &self.libcoap.other)?;
            Ok(usage::cpu(self.libcoap.process.id())?)
        })?;
        Ok((seconds, after.saturating_sub(before)))
    }

    fn get(&self) -> Command {
        let mut command = pinned(RECEIVER, Path::new("coap-client-notls"));
        command.args(["-m", "get", "-b", "1024", "-B", "60", "-o", "/dev/null", &self.libcoap.uri]);
        command
    }

    fn curl(&self) -> Command {
        let mut command = pinned(RECEIVER, Path::new("curl"));
        command.args(["--silent", "--fail", "--output"]).arg(self.folder.path().join("curl"));
        command.arg(self.agent.hosted());
        command
    }
}

impl Libcoap {
    fn start(image: &Path, core: &str) -> Result<Self> {
        let port = free_port()?.to_string();
        let mut server = pinned(core, Path::new("coap-server-notls"));
        let process = Process::start(server.args(["-A", "127.0.0.1", "-p", &port, "-d", "4"]));
        let [uri, other] = ["image", "other"].map(|name| format!("coap://127.0.0.1:{port}/{name}"));
        let libcoap = Self { uri, other, process };
        bed::eventually("libcoap's server takes the image", || libcoap.put(image, &libcoap.uri).ok());
        Ok(libcoap)
    }

    fn put(&self, image: &Path, uri: &str) -> Result<()> {
        let mut client = pinned(RECEIVER, Path::new("coap-client-notls"));
        client.args(["-m", "put", "-b", "1024", "-B", "600", "-f"]).arg(image).arg(uri);
        process::cpu_of(&mut client).map(drop)
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let began = Instant::now();
    let done = work()?;
    Ok((began.elapsed(), done))
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
