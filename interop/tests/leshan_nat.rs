//! `lapwing run` registered at Leshan's server through a NAT that takes another port and forgets the old one: with a Connection
//! ID (RFC 9146) one handshake lasts; without one the client notices and recovers.

mod common;

use std::time::{Duration, Instant};

use bed::leshan::{Options, Server};
use bed::nat::Nat;
use common::{Agent, Security, models};
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";
/// How often the NAT takes another port.
const EVERY: Duration = Duration::from_secs(5);
/// How long Leshan waits, in ms, for an answer that should not come.
const SHORT: u64 = 1500;

struct Behind {
    leshan: Server,
    nat: Nat,
    agent: Agent,
    endpoint: &'static str,
}

fn start(endpoint: &'static str, follow: bool, lifetime: &str, more: &[&str]) -> Behind {
    let options = Options { models: Some(models()), connection_id: Some(6), follow, ..Options::default() };
    let leshan = Server::start("127.0.0.1", options);
    leshan.allow_psk(endpoint, endpoint, KEY);
    let nat = Nat::start(([127, 0, 0, 1], leshan.coaps).into(), None);
    let uri = format!("coaps://{}", nat.address);
    let options = [&["--server", &uri, "--lifetime", lifetime], more].concat();
    let agent = Agent::with(endpoint, Security::Psk(endpoint, KEY), &options, "[device]\nmanufacturer = \"Lapwing\"\n");
    leshan.event("registered", endpoint);
    let behind = Behind { leshan, nat, agent, endpoint };
    behind.must_read();
    behind
}

impl Behind {
    fn ask(&self, operation: &str, path: &str, more: Value) -> Value {
        self.leshan.ask(self.endpoint, operation, path, more)
    }

    fn must_read(&self) {
        let answer = self.ask("read", "/3/0/0", json!({"format": "TLV"}));
        assert_eq!(answer["content"], "Lapwing", "{answer}");
    }

    /// A read goes to the port that the NAT has forgotten: it is seen there, and never answered.
    fn read_is_lost(&self) {
        let before = self.nat.dropped();
        let answer = self.ask("read", "/3/0/0", json!({"timeout": SHORT}));
        assert_eq!(answer["error"], "timeout", "{answer}");
        assert!(self.nat.dropped() > before);
    }

    /// Observes the time, notified every second.
    fn observe(&self) -> i64 {
        self.ask("attributes", "/3/0/13", json!({"attributes": "pmin=1&pmax=1"}));
        let answer = self.ask("observe", "/3/0/13", json!({"format": "TLV"}));
        answer["content"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }
}

/// `count` notifications at pmax 1 arrive, and each is followed by a read that passes, while the port changes every 5 s: right
/// after a read, so that the next notification is the first from the new port.
fn notifications_and_reads(endpoint: &'static str, count: usize) {
    let behind = start(endpoint, true, "86400", &[]);
    let mut last = behind.observe();
    let mut changed = Instant::now();
    for number in 1..=count {
        let now = behind.leshan.event("notify", endpoint)["content"].as_i64().expect("a time");
        // One that was lost would leave a gap.
        assert!((1..=2).contains(&(now - last)), "notification {number} is {} s after the one before", now - last);
        last = now;
        behind.must_read();
        if changed.elapsed() >= EVERY {
            behind.nat.rebind();
            changed = Instant::now();
        }
    }
    let (ports, handshakes) = (behind.nat.ports().len(), behind.nat.handshakes());
    println!("{count} notifications and as many reads through {ports} ports, {handshakes} handshake");
    assert!(ports > count / 8, "{ports}");
    assert_eq!(handshakes, 1);
    assert!(behind.leshan.event_within(Duration::ZERO, "notify-error", endpoint).is_none());
    assert!(behind.leshan.event_within(Duration::ZERO, "registered", endpoint).is_none(), "one registration");
}

#[test]
fn with_a_connection_id_20_notifications_and_reads_pass_with_one_handshake() {
    notifications_and_reads("nat", 20);
}

#[test]
#[ignore = "soak: 200 notifications, one a second"]
fn soak_with_a_connection_id_200_notifications_and_reads_pass_with_one_handshake() {
    notifications_and_reads("nat-soak", 200);
}

/// By default Leshan sends to the address of the last Register or Update only.
#[test]
fn at_leshans_default_reads_pass_again_after_the_next_update() {
    let behind = start("nat-default", false, "16", &[]);
    behind.observe();
    for _ in 0..2 {
        while behind.leshan.event_within(Duration::ZERO, "updated", "nat-default").is_some() {}
        behind.leshan.event("updated", "nat-default");
        behind.must_read();
        behind.nat.rebind();
        behind.leshan.event("notify", "nat-default");
        behind.read_is_lost();
        behind.leshan.event("updated", "nat-default");
        behind.must_read();
    }
    assert_eq!(behind.nat.handshakes(), 1);
}

#[test]
fn without_a_connection_id_the_client_recovers_by_itself() {
    let mut behind = start("nat-no-cid", false, "16", &["--connection-id", "false"]);
    behind.nat.rebind();
    behind.read_is_lost();
    // It notices that its next Update is not answered, and comes back with a new association.
    let begin = Instant::now();
    let lost = |line: &str| line.contains("registration lost").then(|| line.to_owned());
    let line = behind.agent.process.err.within(Duration::from_secs(150), lost).expect("it notices");
    println!("{line} after {:?}", begin.elapsed());
    behind.leshan.event("registered", "nat-no-cid");
    println!("registered after {:?}", begin.elapsed());
    behind.must_read();
    assert_eq!(behind.nat.handshakes(), 2);
}
