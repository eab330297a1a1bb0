//! `kill -9` at every fsync and every rename that the real agent makes for a push of 64 KiB and its installation: strace kills it as it
//! enters each of them in turn. What the page cache holds survives that, so it shows that each start copes with
//! what is left, and not what a power cut does: that is `driver::firmware_power`.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use common::firmware::{Bench, package_of};
use common::{Running, strace};
use lapwing_coap::wire::Code;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

/// Of the package, in bytes.
const LENGTH: usize = 64 << 10;
/// What kills. The agent makes no others of their kind.
const CALLS: [&str; 2] = ["fsync", "rename"];
/// What is seen of the agent: these, as far as they are made for a file of object 5, and how its first thread waits.
const TRACE: &str = "trace=fsync,fdatasync,rename,renameat,renameat2,epoll_wait,epoll_pwait";
/// The path of what that thread waits with, as strace sees it.
const EVENTS: &str = "anon_inode:[eventpoll]";
/// That thread is kept waiting whenever there is news for it, for so many microseconds: a thread that has done something for it is
/// idle again then, and does the next thing as well. So one thread makes all calls, and strace, which counts for each thread by
/// itself, counts all of them.
const DELAY: &str = "inject=epoll_wait,epoll_pwait:delay_exit=10000";
/// So many agents at once.
const AT_ONCE: usize = 4;

/// How far an agent came.
#[derive(Debug, Default)]
struct Came {
    /// The last block was acknowledged.
    pushed: bool,
    /// The Execute was.
    executed: bool,
}

/// An agent that dies at a call, and one that comes after it.
struct Attempt {
    call: &'static str,
    /// At its so manyth.
    when: usize,
    bench: Bench,
    came: Came,
    fresh: Vec<u8>,
}

impl Attempt {
    async fn new(call: &'static str, when: usize) -> Self {
        let fresh = package_of(LENGTH, when as u64);
        Self { call, when, bench: Bench::new("exit 1").await, came: Came::default(), fresh }
    }

    /// Gives how many of these calls there were, and whether the last one was deadly.
    async fn run(mut self) -> (usize, bool) {
        let path = |name: &str| self.bench.path(name).to_str().unwrap().to_owned();
        let (trace, config) = (path("trace"), path("agent.toml"));
        let inject = format!("inject={}:signal=KILL:when={}", self.call, self.when);
        let mut by = vec!["strace", "-D", "-f", "-qq", "-e", TRACE, "-e", DELAY, "-e", &inject, "-o", &trace];
        let files = ["", "/state", "/state.new", "/image"].map(|name| path(&format!("state/firmware{name}")));
        by.extend(files.iter().map(String::as_str).chain([EVENTS]).flat_map(|path| ["-P", path]));
        let mut agent = Running::start_by(&by, &["run", "--config", &config]);
        self.update(&mut agent).await;
        let died = !agent.is_running();
        drop(agent);
        let trace = fs::read_to_string(&trace).unwrap();
        let others = trace.lines().filter(|line| ["fdatasync(", "renameat"].iter().any(|other| line.contains(other)));
        assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
        let call = format!(" {}(", self.call);
        let calls = trace.lines().filter(|line| line.contains(&call)).count();
        self.judge(calls).await;
        (calls, died)
    }

    /// Registers, pushes and executes, as far as the agent goes along.
    async fn update(&mut self, agent: &mut Running) {
        let Some(registration) = unless_dead(agent, self.bench.registers()).await else { return };
        let lives = |code: Result<Code, _>| code.is_ok_and(|code| code == Code::CHANGED);
        let push = self.bench.push(&registration, self.fresh.clone());
        self.came.pushed = unless_dead(agent, push).await.is_some_and(lives);
        if !self.came.pushed {
            return;
        }
        let execute = self.bench.execute_or_fail(&registration, 2);
        self.came.executed = unless_dead(agent, execute).await.is_some_and(lives);
        unless_dead(agent, self.bench.settled(&registration)).await;
    }

    /// What there is after the next start is what was acknowledged, and the program was called once at most.
    async fn judge(mut self, calls: usize) {
        let Came { pushed, executed } = self.came;
        let (agent, registration) = self.bench.agent().await;
        let found = self.bench.settled(&registration).await;
        let installed = self.bench.calls();
        let what = format!(
            "killed at {} {calls}, pushed {pushed}, executed {executed}: {found:?}, {installed} calls",
            self.call
        );
        let allowed = match installed {
            0 if executed => found == (2, 8),
            0 if pushed => [(2, 0), (2, 8)].contains(&found),
            0 => [(0, 0), (0, 4), (2, 0)].contains(&found),
            1 => found == (0, 1) && pushed && fs::read(self.bench.path("installed")).unwrap() == self.fresh,
            _ => false,
        };
        assert!(allowed, "{what}: {}", agent.stderr());
        if found.0 == 2 {
            assert!(fs::read(self.bench.path("state/firmware/image")).unwrap() == self.fresh, "{what}: not what came");
        }
    }
}

/// What comes of `work`, unless the agent dies before.
async fn unless_dead<T>(agent: &mut Running, work: impl Future<Output = T>) -> Option<T> {
    let death = async {
        while agent.is_running() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = death => None,
    }
}

#[tokio::test]
async fn killed_at_every_fsync_and_rename_nothing_acknowledged_is_lost_and_nothing_is_installed_twice() {
    if let Some(why) = strace::refused() {
        eprintln!("not tested here: strace cannot trace: {why}");
        return;
    }
    let all = async {
        for (call, least) in CALLS.into_iter().zip([10, 4]) {
            let total = everywhere(call).await;
            assert!(
                total >= least,
                "{total} times {call} are too few for the push, the package, the intent and the outcome"
            );
        }
    };
    LocalSet::new().run_until(all).await;
}

/// Kills an agent at the first of these calls, one at the second, and so on, until one comes to its end: gives how many there were.
async fn everywhere(call: &'static str) -> usize {
    let (mut deadly, mut total) = (BTreeSet::new(), 0);
    let (mut next, mut attempts) = (1, JoinSet::new());
    loop {
        while total == 0 && attempts.len() < AT_ONCE {
            attempts.spawn_local(Attempt::new(call, next).await.run());
            next += 1;
        }
        match attempts.join_next().await {
            Some(Ok((calls, true))) => drop(deadly.insert(calls)),
            Some(Ok((calls, false))) => total = total.max(calls),
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            None => break,
        }
    }
    assert!(deadly.iter().copied().eq(1..=total), "of {total} times {call} these were deadly: {deadly:?}");
    total
}
