//! `lapwing run` against `lapwing serve`.

mod common;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Running, Server, eventually, lapwing};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn the_agent_registers_and_de_registers() {
    let server = Server::start();
    let agent = server.agent("gw", &["--lifetime", "120"]);
    let clients = server.clients();
    assert_eq!(clients.len(), 1);
    assert_eq!(clients[0]["endpoint"], json!("gw"));
    assert_eq!(clients[0]["lifetime"], json!(120));
    assert_eq!(clients[0]["lwM2mVersion"], json!("1.1"));
    assert_eq!(clients[0]["availableInstances"]["3"], json!([0]));
    let (code, printed, said) = server.agent("other", &[]).stop(Signal::TERM);
    assert_eq!((code, printed), (Some(0), Vec::new()));
    assert!(said.contains("de-registered"), "{said}");
    let (code, ..) = agent.stop(Signal::INT);
    assert_eq!(code, Some(0));
    assert_eq!(server.clients().len(), 0, "both told the server before they ended");
    assert_eq!(server.process.stop(Signal::TERM).0, Some(0));
}

#[test]
fn lwm2m_1_0_offers_the_objects_in_their_first_versions() {
    let server = Server::start();
    let _agent = server.agent("old", &["--lwm2m-version", "1.0"]);
    let client = &server.clients()[0];
    assert_eq!(client["lwM2mVersion"], json!("1.0"));
    for link in client["objectLinks"].as_array().unwrap() {
        assert_eq!(link["attributes"].get("ver"), None, "{link}");
    }
    assert_eq!(server.manage(&["read", "/3/0/16"]).text(), "/3/0/16  Supported Binding and Modes  U");
}

#[test]
fn the_configuration_sets_what_the_device_says_and_how_it_reboots() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mark) = (folder.path().join("agent.toml"), folder.path().join("rebooted"));
    let server = Server::start();
    let text = format!(
        "server = '{}'\nendpoint = 'configured'\nlifetime = 60\n[device]\nmanufacturer = 'Acme'\nserial = '0815'\n\
         power-sources = ['dc', 'solar']\nreboot-command = ['touch', '{}']\n",
        server.uri,
        mark.display()
    );
    fs::write(&file, text).unwrap();
    let agent = Running::start(&["run", "--config", file.to_str().unwrap(), "--lifetime", "90"]);
    agent.says("registered at");
    assert_eq!(server.clients()[0]["lifetime"], json!(90), "the command line goes before the file");
    assert_eq!(server.manage(&["read", "/3/0/0"]).text(), "/3/0/0  Manufacturer  Acme");
    assert_eq!(server.manage(&["read", "/3/0/2"]).text(), "/3/0/2  Serial Number  0815");
    let sources = server.manage(&["read", "/3/0/6"]).text();
    assert_eq!(sources, "/3/0/6/0  Available Power Sources  0\n/3/0/6/1  Available Power Sources  7");

    assert_eq!(server.manage(&["execute", "/3/0/4"]).text(), "2.04 CHANGED");
    assert!(!mark.exists(), "the answer comes first");
    eventually(|| mark.exists(), || "the reboot".to_owned());
}

#[test]
fn what_the_server_changed_outlives_a_restart_where_a_state_folder_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    fs::write(&file, format!("lifetime = 120\nstate = '{}'\n", folder.path().join("state").display())).unwrap();
    let server = Server::start();
    let configured = ["--config", file.to_str().unwrap()];
    let agent = server.agent("gw", &configured);
    assert_eq!(server.manage(&["write", "/1/0/1", "600"]).text(), "2.04 CHANGED");
    assert_eq!(agent.stop(Signal::TERM).0, Some(0));
    let _agent = server.agent("gw", &configured);
    assert_eq!(server.clients()[0]["lifetime"], json!(600));
}

#[test]
fn a_factory_file_names_any_number_of_servers() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Server::start(), Server::start());
    let server =
        |uri: &str, ssid: u16| format!("[[server]]\nuri = '{uri}'\nshort-server-id = {ssid}\nlifetime = {ssid}00\n");
    let accounts = folder.path().join("accounts.toml");
    fs::write(&accounts, format!("{}{}", server(&first.uri, 7), server(&second.uri, 8))).unwrap();
    let config = folder.path().join("agent.toml");
    fs::write(&config, "endpoint = 'gw'\nfactory-bootstrap = 'accounts.toml'\n").unwrap();
    let agent = Running::start(&["run", "--config", config.to_str().unwrap()]);
    for (server, lifetime) in [(&first, 700), (&second, 800)] {
        agent.says(&format!("gw registered at {}", server.uri));
        assert_eq!(server.clients()[0]["lifetime"], json!(lifetime));
    }
    assert_eq!(second.manage(&["read", "/1/1/0"]).text(), "/1/1/0  Short Server ID  8");
    agent.stop(Signal::TERM);

    // A server on the command line goes before the file.
    let agent = Running::start(&["run", "--config", config.to_str().unwrap(), "--server", &second.uri]);
    agent.says(&format!("gw registered at {}", second.uri));
    assert!(first.clients().is_empty());
    agent.stop(Signal::TERM);

    fs::write(&accounts, "[[server]]\nuri = 'coap://127.0.0.1'\n").unwrap();
    let complaint = lapwing(&["run", "--config", config.to_str().unwrap()]).failed(2);
    let expected = format!("lapwing: {}: `server[0].short-server-id` is missing", accounts.display());
    assert_eq!(complaint, expected);
}

#[test]
fn the_device_object_tells_of_this_machine() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let value = |path: &str| server.manage(&["read", path, "--json"]).json()["content"]["value"].clone();
    let total: i64 = value("/3/0/21").as_str().unwrap().parse().unwrap();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let kibibytes: i64 = meminfo.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(total, kibibytes * 1024 / 1000);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let clock = Duration::from_millis(value("/3/0/13").as_u64().unwrap());
    assert!(clock.abs_diff(now) < Duration::from_secs(5));
    assert_eq!(server.manage(&["read", "/3/0/11/0"]).text(), "/3/0/11/0  Error Code  0");
    assert_eq!(server.manage(&["execute", "/3/0/12"]).text(), "2.04 CHANGED");
    // Not permitted by the configuration, so the clock stays: 4.05.
    let refused = server.manage(&["write", "/3/0/13", &now.as_secs().to_string()]).failed(1);
    assert!(refused.contains("4.05"), "{refused}");
    let refused = server.manage(&["write", "/3/0/14", "+02:00"]).failed(1);
    assert!(refused.contains("4.05"), "{refused}");
}

#[test]
fn a_server_that_cannot_be_reached_is_told_and_tried_again() {
    let mut lost = Running::start(&["run", "--server", "coap://no-such-host.invalid", "--endpoint", "gw"]);
    lost.says("gw cannot register at coap://no-such-host.invalid: ");
    lost.says("; trying again in ");
    assert!(lost.is_running());
    let (code, _, said) = lost.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    let clear = |line: &str| line.starts_with(" WARN gw cannot register at coap://no-such-host.invalid: ");
    assert!(said.lines().all(clear), "one line an attempt: {said}");

    // A server that comes later is found, with nobody's help.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let agent = Running::start(&["run", "--server", &format!("coap://{port}"), "--endpoint", "gw"]);
    agent.says("; trying again in ");
    let _server = Running::start(&["serve", "--coap", &port.to_string(), "--http", "127.0.0.1:0"]);
    agent.says("gw registered at coap://");
}
