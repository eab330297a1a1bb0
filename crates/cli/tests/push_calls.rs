//! What a block of a push costs in calls of the system, whatever the machine: it is read, written and acknowledged, and between that and the
//! next one there is at most one vain look and one sleep.

mod common;

use std::fs;

use common::firmware::{Bench, package_of};
use common::{PATIENCE, Running, strace};
use lapwing_coap::wire::Code;
use tokio::time::timeout;

const BLOCKS: usize = 200;
/// A datagram with a block is longer than this.
const BLOCK: usize = 1024;

/// The calls of the thread that receives the blocks, for each block but the last: from its receipt up to that of the next.
fn calls_by_block(trace: &str) -> Vec<Vec<&str>> {
    let is_block = |call: &str| {
        let result = call.rsplit(" = ").next().unwrap_or_default();
        call.starts_with("recvfrom(") && result.parse().is_ok_and(|length: usize| length > BLOCK)
    };
    let lines = trace.lines().filter_map(|line| line.split_once(' ')).map(|(thread, call)| (thread, call.trim_start()));
    let receiver = lines.clone().find(|(_, call)| is_block(call)).expect("a block is received").0;
    // The second line of a call that others interrupted tells of no other call, and of blocks only where none was waited for.
    let calls = lines.filter(|(thread, call)| *thread == receiver && !call.starts_with("<... "));
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for (_, call) in calls {
        if is_block(call) {
            blocks.push(Vec::new());
        } else if let Some(block) = blocks.last_mut() {
            block.push(call);
        }
    }
    blocks.pop();
    blocks
}

/// Whether these are all that a block needs.
fn is_lean(calls: &[&str]) -> bool {
    let is = |call: &str, name: &str| call.split('(').next() == Some(name);
    let [write, send, rest @ ..] = calls else { return false };
    let looks = |call: &str| is(call, "recvfrom") && call.contains("EAGAIN");
    // A wait of 0 is none: the runtime looks once more for what may have come.
    let sleeps = |call: &str| is(call, "epoll_wait") && !call.contains(", 0) = ");
    is(write, "write")
        && is(send, "sendto")
        && match rest {
            [] => true,
            [look] => looks(look),
            [look, sleep] => looks(look) && sleeps(sleep),
            _ => false,
        }
}

#[tokio::test]
async fn a_block_costs_a_receipt_a_write_an_answer_and_at_most_one_sleep() {
    if let Some(why) = strace::refused() {
        eprintln!("not tested here: strace cannot trace: {why}");
        return;
    }
    let mut bench = Bench::new("exit 1").await;
    // So that the time-out of the transfer is what is due first: each block puts it off.
    let config = fs::read_to_string(bench.path("agent.toml")).unwrap();
    fs::write(bench.path("agent.toml"), format!("lifetime = 86400\n{config}")).unwrap();
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let (trace, config) = (path("trace"), path("agent.toml"));
    // Those by which memory grows and threads wait for each other tell nothing of blocks.
    let but = "trace=!brk,mmap,munmap,madvise,mprotect,futex";
    let by = ["strace", "-D", "-f", "-qq", "-s", "0", "-e", but, "-o", &trace];
    let agent = Running::start_by(&by, &["run", "--config", &config]);
    let registration = timeout(PATIENCE, bench.registers()).await.expect("a registration");
    let pushed = bench.push(&registration, package_of(BLOCKS << 10, 1)).await;
    assert_eq!(pushed.unwrap(), Code::CHANGED, "{}", agent.stderr());
    drop(agent);
    let trace = fs::read_to_string(&trace).unwrap();
    let blocks = calls_by_block(&trace);
    let lean = blocks.iter().filter(|calls| is_lean(calls)).count();
    // The first opens the file; and a disk that is slow for once has another thread write the block after.
    assert!(
        blocks.len() > BLOCKS / 2 && lean > BLOCKS / 2,
        "{lean} of {}: {:#?}",
        blocks.len(),
        &blocks[blocks.len() / 2..][..5]
    );
}
