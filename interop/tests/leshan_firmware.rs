//! Object 5 of `lapwing run`, driven by Leshan's server. Each test whose name begins with an id follows that case of OMA's enabler test
//! specification 1.0.1 (LightweightM2M-1.0-int-...), with what the specification misprints taken as it is meant: 756 writes the Package URI,
//! 773 to 778 end in Idle, the result of 774 is 3. Needs root, for mounts that nobody else sees.

mod common;

use std::fs;

use bed::files::{Nginx, Way};
use bed::updater::{Image, Machine, Swupdate};
use common::Agent;
use common::firmware::{
    DOWNLOADED, DOWNLOADING, IDLE, KEEP, PACKAGE, RESULT, STATE, UPDATE, UPDATING, URI, installed_by, observed,
    package, versioned,
};
use common::registered::{Registered, leshan, links, register_with};
use serde_json::json;

const CANCEL: &str = "/5/0/10";
const SEVERITY: &str = "/5/0/11";
const CHANGED: &str = "/5/0/12";
const AUTOMATIC: &str = "/5/0/14";
const VERSION: &str = "/3/0/3";

/// Installs what calls itself the version 2.0.
const VERSION_2: &str = "cat \"$0\" > {folder}/installed; echo IMAGE_VERSION=2.0 > {folder}/os-release";

#[test]
fn int_751_query_the_readable_resources() {
    let gateway = register_with("int-751", 300, &installed_by(KEEP, ""));
    assert!(gateway.links().contains(&"</5>;ver=1.2".to_owned()), "{:?}", gateway.links());
    let object = gateway.read("/5/0", "TLV")["resources"].clone();
    assert_eq!((&object["3"], &object["5"]), (&json!(IDLE), &json!(0)));
    assert_eq!(object["8"]["instances"], json!({"0": 0, "1": 1, "2": 2, "3": 3}), "coap, coaps, http, https");
    assert_eq!(object["9"], 2, "push and pull");
    assert_eq!((&object["1"], &object["11"], &object["14"]), (&json!(""), &json!(1), &json!(false)));
    assert!(object.get("0").is_none(), "a package is not read");
}

#[test]
fn int_755_set_the_writable_resource_package() {
    let gateway = register_with("int-755", 300, &installed_by(KEEP, ""));
    gateway.push("2.04", b"\0");
    assert_eq!(gateway.state_and_result(), (IDLE, 0));
    gateway.push("2.04", &package(755, 10_000));
    assert_eq!(gateway.state_and_result(), (DOWNLOADED, 0));
    gateway.push("2.04", b"\0");
    assert_eq!(gateway.state_and_result(), (IDLE, 0));
}

#[test]
fn int_756_set_the_writable_resource_package_uri() {
    let (gateway, server) = (observed("int-756", &installed_by(KEEP, "")), Nginx::start(None));
    server.put("firmware", &package(756, 10_000));
    for reset in [PACKAGE, URI] {
        let format = if reset == PACKAGE { "OPAQUE" } else { "TEXT" };
        gateway.get("2.04", "write", reset, json!({"content": "", "format": format}));
        assert_eq!(gateway.state_and_result(), (IDLE, 0));
    }
    let uri = server.http(Way::Plain, "firmware");
    gateway.write("2.04", URI, uri.as_str());
    gateway.downloads();
    assert_eq!(gateway.read(URI, "TEXT"), uri.as_str());
    gateway.write("2.04", URI, "");
    assert_eq!(gateway.state_and_result(), (IDLE, 0));
    assert_eq!(gateway.read(URI, "TEXT"), "");
}

#[test]
fn int_760_basic_observation_and_notification() {
    let gateway = register_with("int-760", 300, &installed_by(KEEP, ""));
    gateway.get("2.04", "attributes", "/5/0", json!({"attributes": "pmin=2&pmax=10"}));
    assert_eq!(gateway.observe(STATE), IDLE);
    gateway.push("2.04", &package(760, 10_000));
    let told = gateway.told_until(STATE, DOWNLOADED);
    assert!(told.is_sorted(), "{told:?}");
}

#[test]
fn int_770_successful_update_via_coap() {
    let (gateway, image) = (versioned("int-770", VERSION_2), package(770, 100_000));
    assert_eq!(gateway.read(VERSION, "TEXT"), "1.0");
    gateway.push("2.04", b"\0");
    gateway.push("2.04", &image);
    gateway.downloads();
    gateway.updates();
    assert_eq!(gateway.read(VERSION, "TEXT"), "2.0");
    assert!(gateway.installed() == image);
}

#[test]
fn int_771_successful_update_via_another_mechanism() {
    let (gateway, image, server) = (versioned("int-771", VERSION_2), package(771, 3_000_000), Nginx::start(None));
    server.put("firmware", &image);
    assert_eq!(gateway.read(VERSION, "TEXT"), "1.0");
    gateway.write("2.04", URI, "");
    gateway.write("2.04", URI, server.http(Way::Plain, "firmware"));
    gateway.downloads();
    gateway.updates();
    assert_eq!(gateway.read(VERSION, "TEXT"), "2.0");
    assert!(gateway.installed() == image);
}

#[test]
fn int_772_installation_without_a_downloaded_package() {
    let gateway = observed("int-772", &installed_by(KEEP, ""));
    assert_eq!(gateway.state_and_result(), (IDLE, 0));
    gateway.execute("4.05", UPDATE);
    assert_eq!(gateway.state_and_result(), (IDLE, 0));
    gateway.is_told_nothing_of(STATE);
    assert!(!gateway.agent.folder.path().join("installed").exists());
}

/// A gateway with this room for its state, of which it leaves 1 MiB free.
fn confined(endpoint: &str, size: &str) -> Registered {
    let mounts = format!("mkdir {{folder}}/state; mount -t tmpfs -o mode=700,size={size} tmpfs {{folder}}/state");
    let gateway = Registered::new(Agent::with_mounts(&leshan(), endpoint, &mounts, &installed_by(KEEP, "")));
    gateway.observe_update();
    gateway
}

#[test]
fn int_773_shortage_of_storage() {
    let (gateway, server) = (confined("int-773", "4m"), Nginx::start(None));
    server.put("large", &package(773, 5_000_000));
    server.put("small", &package(773, 100_000));
    gateway.write("2.04", URI, server.http(Way::Plain, "large"));
    gateway.download_fails(2);
    // Whatever has been written is gone: another finds room.
    gateway.write("2.04", URI, server.http(Way::Plain, "small"));
    gateway.downloads();
}

#[test]
fn int_773_shortage_of_storage_that_shows_in_the_middle() {
    let (gateway, server) = (confined("int-773-unannounced", "4m"), Nginx::start(None));
    server.put("large", &package(773, 5_000_000));
    gateway.write("2.04", URI, server.http(Way::WithoutLength, "large"));
    gateway.download_fails(2);
}

#[test]
fn int_773_shortage_of_storage_for_a_push_is_answered_at_once() {
    let gateway = confined("int-773-push", "1200k");
    gateway.push("4.13", &package(773, 400_000));
    gateway.download_fails(2);
}

/// A gateway that has these words of a shell look at a package, which is `$0`, when it has come.
fn checking(endpoint: &str, check: &str) -> Registered {
    observed(endpoint, &installed_by(KEEP, &format!("check = ['/bin/sh', '-c', '''{check}''']")))
}

/// The package comes, and is refused with that result before anybody may install it.
fn is_refused(gateway: &Registered, package: &[u8], result: i64) {
    gateway.push("2.04", package);
    gateway.download_fails(result);
    gateway.execute("4.05", UPDATE);
    assert!(!gateway.agent.folder.path().join("installed").exists());
}

/// No download exhausts the agent's own memory, since it holds a few blocks of a package at a time: the case is shown with the program that looks at
/// the package, which runs out of it under a limit of its own, and says so by its exit code.
#[test]
fn int_774_out_of_memory_of_the_program_that_checks() {
    let check = "ulimit -v 65536; python3 -c 'bytearray(1 << 30)' 2> {folder}/why || exit 3";
    let gateway = checking("int-774", check);
    is_refused(&gateway, &package(774, 10_000), 3);
    let why = fs::read_to_string(gateway.agent.folder.path().join("why")).expect("it says why");
    assert!(why.contains("MemoryError"), "{why}");
}

/// The package is an image of SWUpdate, which looks at it itself, without installing anything.
fn is_refused_by_swupdate(endpoint: &str, kind: Image, result: i64) {
    let machine = Swupdate::new();
    let check = format!(
        // Neither its exit code nor what it says at its end can be relied on: what it says of errors can.
        "case $(TMPDIR={{folder}} swupdate -c -v -k {}/own.pem -H bed:1.0 -e stable,copy-B -i \"$0\" 2>&1) in\n\
         *'not compatible with hardware'*) exit 6 ;;\n*'[ERROR]'*) exit 5 ;;\n*successful*) exit 0 ;;\nesac; exit 5",
        machine.folder().display()
    );
    let gateway = checking(endpoint, &check);
    let image = |kind| fs::read(machine.image(kind, &package(776, 100_000))).expect("an image");
    is_refused(&gateway, &image(kind), result);
    gateway.push("2.04", &image(Image::Sound));
    gateway.downloads();
}

#[test]
fn int_776_package_integrity_check_failure() {
    is_refused_by_swupdate("int-776", Image::Damaged, 5);
}

#[test]
fn int_777_unsupported_package_type() {
    is_refused_by_swupdate("int-777", Image::OtherMachine, 6);
}

#[test]
fn name_and_version_of_a_package_are_told_while_it_is_there() {
    let gateway = checking("firmware-names", "echo \"name: $(head -n 1 $0)\"; echo 'version: 2.0'");
    gateway.push("2.04", b"kettle\nand what it is made of\n");
    gateway.downloads();
    assert_eq!(gateway.read("/5/0/6", "TEXT"), "kettle");
    assert_eq!(gateway.read("/5/0/7", "TEXT"), "2.0");
    gateway.push("2.04", b"\0");
    gateway.get("4.04", "read", "/5/0/6", json!({}));
}

#[test]
fn int_778_invalid_uri() {
    let (gateway, server) = (observed("int-778", &installed_by(KEEP, "")), Nginx::start(None));
    gateway.write("2.04", URI, server.http(Way::Plain, "there-is-no-such-file"));
    gateway.download_fails(7);
    gateway.write("2.04", URI, "http://:/");
    assert_eq!(gateway.told_until(STATE, IDLE), [DOWNLOADING, IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 7));
}

#[test]
fn int_779_unsuccessful_update() {
    let gateway = versioned("int-779", "exit 1");
    assert_eq!(gateway.read(VERSION, "TEXT"), "1.0");
    gateway.push("2.04", &package(779, 10_000));
    gateway.downloads();
    gateway.execute("2.04", UPDATE);
    assert_eq!(gateway.told_until(STATE, DOWNLOADED), [UPDATING, DOWNLOADED]);
    assert_eq!(gateway.state_and_result(), (DOWNLOADED, 8));
    assert_eq!(gateway.told_until(RESULT, 8), [8]);
    assert_eq!(gateway.read(VERSION, "TEXT"), "1.0");
}

/// The specification has this case's title and no text.
#[test]
fn int_780_unsupported_protocol() {
    let gateway = observed("int-780", &installed_by(KEEP, ""));
    gateway.write("2.04", URI, "ftp://127.0.0.1/firmware");
    gateway.download_fails(9);
}

#[test]
fn a_push_of_256_kib_is_installed_as_it_was_sent() {
    for format in ["OPAQUE", "TLV"] {
        let gateway = observed(&format!("push-{format}"), &installed_by(KEEP, ""));
        let image = package(format.len() as u32, 256 << 10);
        gateway.push_in(format, "2.04", &image);
        gateway.downloads();
        gateway.updates();
        assert!(gateway.installed() == image, "{format}");
    }
}

#[test]
fn what_a_state_does_not_permit_is_refused_and_changes_nothing() {
    let script = "while [ ! -e {folder}/go ]; do sleep 0.1; done";
    let gateway = observed("firmware-refusals", &installed_by(script, ""));
    let refused = |code: &str, operations: &[(&str, &str)]| {
        let before = gateway.state_and_result();
        for (operation, path) in operations {
            let content = if *path == PACKAGE { json!("0102") } else { json!("coap://127.0.0.1/other") };
            let format = if *path == PACKAGE { "OPAQUE" } else { "TEXT" };
            gateway.get(code, operation, path, json!({"content": content, "format": format}));
        }
        assert_eq!(gateway.state_and_result(), before);
    };
    refused("4.05", &[("execute", UPDATE), ("execute", CANCEL)]);

    gateway.push("2.04", &package(1, 5_000));
    gateway.downloads();
    refused("4.00", &[("write", URI), ("write", PACKAGE)]);

    gateway.execute("2.04", UPDATE);
    assert_eq!(gateway.told_until(STATE, UPDATING), [UPDATING]);
    refused("4.05", &[("execute", UPDATE), ("execute", CANCEL)]);
    refused("4.00", &[("write", URI), ("write", PACKAGE)]);
    gateway.push("4.05", b"\0");
    gateway.write("4.05", URI, "");
    assert_eq!(gateway.state_and_result(), (UPDATING, 0));

    fs::write(gateway.agent.folder.path().join("go"), "").expect("a file");
    assert_eq!(gateway.told_until(STATE, IDLE), [IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 1));
}

#[test]
fn operations_that_resources_do_not_have_are_refused() {
    let gateway = register_with("firmware-operations", 300, &installed_by(KEEP, ""));
    gateway.get("4.05", "read", PACKAGE, json!({}));
    gateway.get("4.05", "read", UPDATE, json!({}));
    gateway.get("4.05", "execute", STATE, json!({}));
    for path in [STATE, RESULT, "/5/0/9"] {
        gateway.write("4.05", path, 0);
    }
    gateway.write("4.00", SEVERITY, 3);
    gateway.get("4.04", "read", "/5/1", json!({}));
    gateway.get("4.04", "read", "/5/0/6", json!({}));
    gateway.get("4.05", "create", "/5", json!({"content": {"id": 1, "resources": {"11": 1}}, "format": "TLV"}));
    gateway.get("4.05", "delete", "/5/0", json!({}));
    let discovered = links(&gateway.get("2.05", "discover", "/5/0", json!({})));
    for path in [PACKAGE, URI, UPDATE, STATE, RESULT, CANCEL, SEVERITY, AUTOMATIC] {
        assert!(discovered.contains(&format!("<{path}>")), "{path}: {discovered:?}");
    }
}

#[test]
fn a_downloaded_package_is_cancelled() {
    let gateway = observed("firmware-cancel", &installed_by(KEEP, ""));
    gateway.push("2.04", &package(2, 5_000));
    gateway.downloads();
    gateway.execute("2.04", CANCEL);
    assert_eq!(gateway.told_until(STATE, IDLE), [IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 10));
    gateway.execute("4.05", UPDATE);
}

#[test]
fn a_download_that_goes_on_is_cancelled() {
    let (gateway, server) = (observed("firmware-cancel-pull", &installed_by(KEEP, "")), Nginx::start(None));
    server.put("firmware", &package(3, 5_000_000));
    gateway.write("2.04", URI, server.http(Way::Slow, "firmware"));
    assert_eq!(gateway.told_until(STATE, DOWNLOADING), [DOWNLOADING]);
    gateway.write("4.00", URI, "coap://127.0.0.1/other");
    gateway.execute("2.04", CANCEL);
    assert_eq!(gateway.told_until(STATE, IDLE), [IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 10));
}

#[test]
fn settings_are_kept_and_an_update_follows_a_download_by_itself() {
    let mut gateway = observed("firmware-settings", &installed_by(KEEP, ""));
    let content = json!({"resources": {"11": 0, "14": true}});
    gateway.get("2.04", "write", "/5/0", json!({"content": content, "format": "TLV", "update": true}));
    gateway.agent.kill_and_restart(&[]);
    let gateway = Registered::new(gateway.agent);
    gateway.observe_update();
    assert_eq!(gateway.read(SEVERITY, "TEXT"), 0);
    assert_eq!(gateway.read(AUTOMATIC, "TEXT"), true);
    let image = package(4, 5_000);
    gateway.push("2.04", &image);
    assert_eq!(gateway.told_until(STATE, IDLE), [DOWNLOADING, UPDATING, IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 1));
    assert!(gateway.installed() == image);
    let changed = gateway.read(CHANGED, "TLV").as_i64().expect("a time");
    let now = gateway.read("/3/0/13", "TLV").as_i64().expect("a time");
    assert!((now - 60..=now).contains(&changed), "{changed} is not before {now}");
}

#[test]
fn a_client_of_lwm2m_1_0_has_the_object_of_1_0() {
    let configuration = format!("version = '1.0'\n{}", installed_by(KEEP, ""));
    let gateway = observed("firmware-1-0", &configuration);
    assert!(gateway.links().iter().any(|link| link == "</5/0>"), "{:?}", gateway.links());
    let object = gateway.read("/5/0", "TLV")["resources"].clone();
    for absent in ["10", "11", "12", "13", "14"] {
        assert!(object.get(absent).is_none(), "{absent}: {object}");
    }
    gateway.execute("4.04", CANCEL);
    let image = package(5, 20_000);
    gateway.push("2.04", &image);
    gateway.downloads();
    gateway.updates();
    assert!(gateway.installed() == image);
}
