//! The agent and Leshan's server over IPv6, on `::1`.

mod common;

use bed::leshan::{Options, Server};
use common::{Agent, models};
use serde_json::json;

#[test]
fn the_agent_registers_and_is_read_over_ipv6() {
    let leshan = Server::start("::1", Options { models: Some(models()), ..Options::default() });
    let configuration = "[device]\nmanufacturer = \"Lapwing\"\n";
    let agent = Agent::start(&format!("coap://[::1]:{}", leshan.coap), "six", 120, configuration);
    leshan.event("registered", "six");
    assert_eq!(leshan.ask("six", "read", "/3/0/0", json!({"format": "TEXT"}))["content"], "Lapwing");
    agent.process.signal("TERM");
    assert_eq!(leshan.event("unregistered", "six")["expired"], false);
}
