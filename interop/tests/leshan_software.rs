//! Object 9 of `lapwing run`, driven by Leshan's server: every resource, every Execute, and what is refused. OMA's enabler test specification has no
//! text for this object. Needs root, for mounts that nobody else sees.

mod common;

use std::fs;
use std::process::Command;

use bed::files::{Nginx, Way};
use common::Agent;
use common::firmware::package;
use common::registered::{Registered, leshan, links};
use serde_json::{Value, json};

const INITIAL: i64 = 0;
const LOADING: i64 = 1;
const DOWNLOADED: i64 = 2;
const DELIVERED: i64 = 3;
const INSTALLED: i64 = 4;

const RUNNING: i64 = 1;
const STOPPED: i64 = 3;
const FAILED: i64 = 4;

const NAME: u16 = 0;
const VERSION: u16 = 1;
const PACKAGE: u16 = 2;
const URI: u16 = 3;
const INSTALL: u16 = 4;
const UNINSTALL: u16 = 6;
const STATE: u16 = 7;
const ANNOUNCE: u16 = 8;
const RESULT: u16 = 9;
const ACTIVATE: u16 = 10;
const DEACTIVATE: u16 = 11;
const ACTIVE: u16 = 12;
const USER: u16 = 14;
const PASSWORD: u16 = 15;
const REASON: u16 = 16;
const START: u16 = 19;
const STOP: u16 = 20;
const OPERATIONAL: u16 = 21;
const PURGE: u16 = 22;

/// Takes care of software of which there are three packages: a good one, one that cannot be installed, one that cannot be removed. The
/// version stands behind the word.
const PROGRAM: &str = r#"
cd {folder}; echo "$1" >> calls
case $1 in
  verify) read kind version < "$2"
    case $kind in good|stubborn|sticky) echo "name: kettle"; echo "version: $version" ;; damaged) exit 53 ;; *) exit 54 ;; esac ;;
  install) grep -q ^stubborn "$2" && exit 1; cp "$2" kettle ;;
  remove) grep -q ^sticky kettle && exit 1; rm kettle ;;
  activate|start) [ -e broken ] && exit 1; touch running ;;
  deactivate|stop) rm running ;;
  purge) rm data ;;
  status) [ -e running ] || exit 3 ;;
esac"#;

/// A gateway with one piece of software, as instance 0, and another as instance 7.
fn configuration() -> String {
    let software = |more: &str| {
        format!(
            "[[software]]\nname = 'kettle'\nkind = 'script'\nprogram = ['/bin/sh', '-c', '''{PROGRAM}''', 'kettle']\n{more}\n"
        )
    };
    let other = PROGRAM.replace("{folder}", "{folder}/other");
    format!(
        "state = '{{folder}}/state'\n{}[[software]]\nname = 'other'\ninstance = 7\nkind = 'script'\n\
         program = ['/bin/sh', '-c', '''mkdir -p {{folder}}/other; {other}''', 'other']\n",
        software("purge = true"),
    )
}

fn gateway(endpoint: &str) -> Software {
    Software::new(Agent::start(&leshan(), endpoint, 300, &configuration()))
}

fn good(version: &str) -> Vec<u8> {
    format!("good {version}\n").into_bytes()
}

/// An instance of object 9 as a server sees it.
struct Software {
    gateway: Registered,
    instance: u16,
}

impl Software {
    fn new(agent: Agent) -> Self {
        let software = Self { gateway: Registered::new(agent), instance: 0 };
        software.gateway.observe(&software.path(STATE));
        software
    }

    fn path(&self, resource: u16) -> String {
        format!("/9/{}/{resource}", self.instance)
    }

    fn number(&self, resource: u16) -> i64 {
        self.value(resource).as_i64().expect("a number")
    }

    fn value(&self, resource: u16) -> Value {
        self.gateway.read(&self.path(resource), "TLV")
    }

    fn state_and_result(&self) -> (i64, i64) {
        let instance = self.gateway.read(&format!("/9/{}", self.instance), "TLV");
        let number = |resource: &str| instance["resources"][resource].as_i64().expect("a number");
        (number("7"), number("9"))
    }

    /// The states that are told, up to `last`.
    fn states(&self, last: i64) -> Vec<i64> {
        self.gateway.told_until(&self.path(STATE), last)
    }

    fn execute(&self, code: &str, resource: u16) {
        self.gateway.execute(code, &self.path(resource));
    }

    fn ask_uninstall(&self, argument: &str) -> Value {
        self.gateway.ask("execute", &self.path(UNINSTALL), json!({"arguments": argument}))
    }

    fn uninstall(&self, code: &str, argument: &str) {
        assert_eq!(self.ask_uninstall(argument)["code"], code);
    }

    fn write(&self, code: &str, resource: u16, value: impl Into<Value>) {
        self.gateway.write(code, &self.path(resource), value);
    }

    fn push(&self, code: &str, package: &[u8]) {
        let request = json!({"content": bed::hex(package), "format": "OPAQUE", "timeout": 60_000});
        self.gateway.get(code, "write", &self.path(PACKAGE), request);
    }

    /// The package comes and is verified.
    fn is_delivered(&self) {
        assert_eq!(self.states(DELIVERED), [LOADING, DOWNLOADED, DELIVERED]);
        assert_eq!(self.state_and_result(), (DELIVERED, 3));
    }

    fn installs(&self, version: &str) {
        self.push("2.04", &good(version));
        self.is_delivered();
        self.execute("2.04", INSTALL);
        assert_eq!(self.states(INSTALLED), [INSTALLED]);
        assert_eq!(self.state_and_result(), (INSTALLED, 2));
    }

    /// What was begun is over: the resource has this value.
    fn becomes(&self, resource: u16, value: impl Into<Value>) {
        let value = value.into();
        let what = format!("{} becomes {value}", self.path(resource));
        bed::eventually(&what, || (self.value(resource) == value).then_some(()));
    }

    /// These operations are refused, and change nothing.
    fn refuses(&self, code: &str, executes: &[u16]) {
        let before = self.state_and_result();
        for resource in executes {
            self.execute(code, *resource);
        }
        assert_eq!(self.state_and_result(), before);
    }

    fn refuses_packages(&self) {
        let before = self.state_and_result();
        self.push("4.00", &good("9"));
        self.write("4.00", URI, "coap://127.0.0.1/other");
        assert_eq!(self.state_and_result(), before);
    }

    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.gateway.agent.folder.path().join(name)).ok()
    }

    fn touch(&self, name: &str) {
        fs::write(self.gateway.agent.folder.path().join(name), "").expect("a file");
    }
}

#[test]
fn every_resource_is_read_and_discovered() {
    let software = gateway("software-resources");
    assert!(software.gateway.links().contains(&"</9>;ver=1.1".to_owned()), "{:?}", software.gateway.links());
    for instance in ["</9/0>", "</9/7>"] {
        assert!(software.gateway.links().contains(&instance.to_owned()), "{instance}");
    }
    let both = software.gateway.read("/9", "TLV");
    for instance in ["0", "7"] {
        let resources = &both["objectInstances"][instance]["resources"];
        assert_eq!((&resources["7"], &resources["9"]), (&json!(INITIAL), &json!(0)));
        assert_eq!((&resources["12"], &resources["21"]), (&json!(false), &json!(STOPPED)));
        for unreadable in ["2", "3", "4", "14", "15"] {
            assert!(resources.get(unreadable).is_none(), "{unreadable}: {resources}");
        }
    }
    let discovered = links(&software.gateway.get("2.05", "discover", "/9/0", json!({})));
    let offered = [
        NAME,
        VERSION,
        PACKAGE,
        URI,
        INSTALL,
        UNINSTALL,
        STATE,
        ANNOUNCE,
        RESULT,
        ACTIVATE,
        DEACTIVATE,
        ACTIVE,
        USER,
        PASSWORD,
        REASON,
        START,
        STOP,
        OPERATIONAL,
        PURGE,
    ];
    for resource in offered {
        assert!(discovered.contains(&format!("</9/0/{resource}>")), "{resource}: {discovered:?}");
    }
    let other = links(&software.gateway.get("2.05", "discover", "/9/7", json!({})));
    assert!(!other.contains(&"</9/7/22>".to_owned()), "it was not said that it can purge: {other:?}");
}

#[test]
fn from_a_push_to_its_removal() {
    let software = gateway("software-life");
    software.write("2.04", ANNOUNCE, true);
    assert_eq!(software.value(ANNOUNCE), true);
    software.push("2.04", &good("1.0"));
    software.is_delivered();
    assert_eq!((software.value(NAME), software.value(VERSION)), (json!("kettle"), json!("1.0")));
    assert_eq!(software.file("kettle"), None, "nothing is installed before a server wants it");

    software.execute("2.04", INSTALL);
    assert_eq!(software.states(INSTALLED), [INSTALLED]);
    assert_eq!(software.state_and_result(), (INSTALLED, 2));
    assert_eq!(software.file("kettle").as_deref(), Some("good 1.0\n"));
    assert_eq!((software.value(ACTIVE), software.number(OPERATIONAL)), (json!(false), STOPPED));

    software.execute("2.04", ACTIVATE);
    software.becomes(ACTIVE, true);
    software.becomes(OPERATIONAL, RUNNING);
    software.execute("2.04", STOP);
    software.becomes(OPERATIONAL, STOPPED);
    assert_eq!((software.value(ACTIVE), software.file("running")), (json!(true), None));
    software.execute("2.04", START);
    software.becomes(OPERATIONAL, RUNNING);
    software.execute("2.04", DEACTIVATE);
    software.becomes(ACTIVE, false);
    software.becomes(OPERATIONAL, STOPPED);

    software.touch("data");
    software.execute("2.04", PURGE);
    bed::eventually("its data is deleted", || software.file("data").is_none().then_some(()));

    // One thing is done at a time, and nothing tells the end of this one.
    bed::eventually("it can be removed", || (software.ask_uninstall("0")["code"] == "2.04").then_some(()));
    assert_eq!(software.states(INITIAL), [INITIAL]);
    assert_eq!(software.state_and_result(), (INITIAL, 0));
    assert_eq!(software.file("kettle"), None);
}

#[test]
fn what_a_state_does_not_permit_is_refused_and_changes_nothing() {
    let software = gateway("software-refusals");
    software.refuses("4.05", &[INSTALL, UNINSTALL, ACTIVATE, DEACTIVATE, START, STOP]);
    software.push("2.04", &good("1.0"));
    software.is_delivered();
    software.refuses("4.05", &[ACTIVATE, DEACTIVATE, START, STOP]);
    software.refuses_packages();
    software.execute("2.04", INSTALL);
    assert_eq!(software.states(INSTALLED), [INSTALLED]);
    software.refuses("4.05", &[INSTALL, START, STOP]);
    software.refuses_packages();
    software.execute("2.04", ACTIVATE);
    software.becomes(ACTIVE, true);
    software.refuses("4.05", &[INSTALL]);

    let gateway = &software.gateway;
    for resource in [PACKAGE, URI, INSTALL, UNINSTALL, USER, PASSWORD, START] {
        gateway.get("4.05", "read", &software.path(resource), json!({}));
    }
    for resource in [STATE, RESULT, OPERATIONAL] {
        software.write("4.05", resource, 0);
    }
    software.execute("4.05", STATE);
    gateway.get("4.04", "read", "/9/1", json!({}));
    gateway.get("4.05", "create", "/9", json!({"content": {"id": 3, "resources": {"8": true}}, "format": "TLV"}));
    gateway.get("4.05", "delete", "/9/0", json!({}));
}

#[test]
fn it_is_updated_in_place_and_instances_have_nothing_in_common() {
    let mut software = gateway("software-update");
    software.installs("1.0");
    software.execute("2.04", ACTIVATE);
    software.becomes(ACTIVE, true);
    software.uninstall("2.04", "1");
    assert_eq!(software.states(INITIAL), [INITIAL]);
    assert_eq!(software.state_and_result(), (INITIAL, 0));
    assert_eq!(software.file("kettle").as_deref(), Some("good 1.0\n"), "it stays in place");
    software.installs("2.0");
    assert_eq!(software.value(VERSION), "2.0");
    assert_eq!(software.file("kettle").as_deref(), Some("good 2.0\n"));

    software.instance = 7;
    assert_eq!(software.state_and_result(), (INITIAL, 0));
    software.gateway.observe(&software.path(STATE));
    software.installs("7.0");
    assert_eq!(software.file("other/kettle").as_deref(), Some("good 7.0\n"));
    assert_eq!(software.file("kettle").as_deref(), Some("good 2.0\n"));
}

#[test]
fn it_is_pulled_with_user_and_password() {
    let (software, server) = (gateway("software-pull"), Nginx::start(None));
    server.put("kettle", &good("3.0"));
    let uri = server.http(Way::WithLogin, "kettle");
    software.write("2.04", URI, uri.as_str());
    assert_eq!(software.states(INITIAL), [LOADING, INITIAL]);
    assert_eq!(software.state_and_result(), (INITIAL, 52));
    assert!(software.value(REASON).as_str().is_some_and(|reason| reason.contains("401")), "{}", software.value(REASON));
    software.write("2.04", USER, "operator");
    software.write("2.04", PASSWORD, "secret");
    software.write("2.04", URI, uri.as_str());
    software.is_delivered();
    assert_eq!(software.value(VERSION), "3.0");
}

#[test]
fn downloads_that_fail_end_in_initial_with_their_result() {
    let (software, server) = (gateway("software-downloads"), Nginx::start(None));
    server.put("damaged", b"damaged 1.0\n");
    server.put("strange", b"strange 1.0\n");
    for (uri, states, result) in [
        (server.http(Way::Plain, "damaged"), &[LOADING, DOWNLOADED, INITIAL][..], 53),
        (server.http(Way::Plain, "strange"), &[LOADING, DOWNLOADED, INITIAL], 54),
        (server.http(Way::Plain, "missing"), &[LOADING, INITIAL], 56),
        ("http://:/".to_owned(), &[LOADING, INITIAL], 56),
        ("ftp://127.0.0.1/kettle".to_owned(), &[LOADING, INITIAL], 56),
    ] {
        software.write("2.04", URI, uri.as_str());
        assert_eq!(software.states(INITIAL), states, "{uri}");
        assert_eq!(software.state_and_result(), (INITIAL, result), "{uri}");
        assert!(software.value(REASON).as_str().is_some_and(|reason| !reason.is_empty()), "{uri}");
    }
    assert_eq!(software.file("kettle"), None);
    software.installs("1.0");
}

#[test]
fn a_package_for_which_there_is_no_room_is_refused() {
    let mounts = "mkdir {folder}/state; mount -t tmpfs -o mode=700,size=2m tmpfs {folder}/state";
    let software = Software::new(Agent::with_mounts(&leshan(), "software-room", mounts, &configuration()));
    let server = Nginx::start(None);
    server.put("large", &package(9, 3_000_000));
    software.write("2.04", URI, server.http(Way::Plain, "large"));
    assert_eq!(software.states(INITIAL), [LOADING, INITIAL]);
    assert_eq!(software.state_and_result(), (INITIAL, 50));
}

#[test]
fn a_lost_connection_ends_in_initial() {
    let configuration = format!("{}[pull]\ngive-up = 2\n", configuration());
    let mut software = Software::new(Agent::start(&leshan(), "software-lost", 300, &configuration));
    let mut server = Nginx::start(None);
    server.put("kettle", &package(10, 1_000_000));
    software.write("2.04", URI, server.http(Way::Slow, "kettle"));
    assert_eq!(software.states(LOADING), [LOADING]);
    software.gateway.says("fetching");
    server.kill();
    assert_eq!(software.states(INITIAL), [INITIAL]);
    assert_eq!(software.state_and_result(), (INITIAL, 52));
}

#[test]
fn what_cannot_be_installed_stays_delivered_and_what_cannot_be_removed_stays_installed() {
    let software = gateway("software-failures");
    software.push("2.04", b"stubborn 1.0\n");
    software.is_delivered();
    software.execute("2.04", INSTALL);
    software.becomes(RESULT, 58);
    assert_eq!(software.state_and_result(), (DELIVERED, 58));
    software.uninstall("2.04", "0");
    assert_eq!(software.states(INITIAL), [INITIAL]);

    software.push("2.04", b"sticky 1.0\n");
    software.is_delivered();
    software.execute("2.04", INSTALL);
    assert_eq!(software.states(INSTALLED), [INSTALLED]);
    software.touch("broken");
    software.execute("2.04", ACTIVATE);
    software.becomes(OPERATIONAL, FAILED);
    software.uninstall("2.04", "0");
    software.becomes(RESULT, 59);
    assert_eq!(software.state_and_result(), (INSTALLED, 59));
}

/// A package of the agent's own kind: an executable and its checksum.
fn own_package(executable: &[u8], checksum: Option<&str>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("lapwing");
    fs::write(&file, executable).expect("a file");
    let sums = match checksum {
        Some(sum) => format!("{sum}  lapwing\n"),
        None => {
            let sum = Command::new("sha256sum").arg("lapwing").current_dir(folder.path()).output();
            String::from_utf8(sum.expect("sha256sum").stdout).expect("text")
        }
    };
    fs::write(folder.path().join("checksums.txt"), sums).expect("a file");
    let archive = Command::new("tar").args(["-cz", "checksums.txt", "lapwing"]).current_dir(folder.path()).output();
    archive.expect("tar").stdout
}

#[test]
fn the_agent_itself_is_verified_installed_and_ends_with_the_code_for_an_update() {
    let configuration = "state = '{folder}/state'\n[[software]]\nkind = 'self'\nupdate = '{folder}/updates/lapwing'\n";
    let mut software = Software::new(Agent::start(&leshan(), "software-self", 300, configuration));
    let executable = b"#!/bin/sh\nexit 0\n";
    software.refuses("4.05", &[INSTALL, ACTIVATE, DEACTIVATE, START, STOP, UNINSTALL]);
    software.push("2.04", &own_package(executable, Some(&"0".repeat(64))));
    assert_eq!(software.states(INITIAL), [LOADING, DOWNLOADED, INITIAL]);
    assert_eq!(software.state_and_result(), (INITIAL, 53));

    let server = Nginx::start(None);
    server.put("lapwing", &own_package(executable, None));
    software.write("2.04", URI, server.http(Way::Plain, "lapwing"));
    software.is_delivered();
    software.execute("2.04", INSTALL);
    assert_eq!(software.states(INSTALLED), [INSTALLED]);
    assert_eq!(software.state_and_result(), (INSTALLED, 2));
    software.refuses("4.05", &[DEACTIVATE, START, STOP, UNINSTALL]);
    software.execute("2.04", ACTIVATE);
    assert_eq!(software.gateway.agent.process.ended().code(), Some(65));
    assert_eq!(software.file("updates/lapwing").as_deref(), Some("#!/bin/sh\nexit 0\n"));
}
