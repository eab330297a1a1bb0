//! `lapwing run` pulls firmware from servers that others wrote, as Leshan's server tells it to: libcoap's, aiocoap's, and nginx over http and https.

mod common;

use std::sync::LazyLock;
use std::time::Duration;

use bed::files::{Aiocoap, Libcoap, Nginx, Way};
use bed::keys::{Authority, KeyFiles};
use common::firmware::{DOWNLOADED, DOWNLOADING, IDLE, KEEP, RESULT, STATE, URI, installed_by, observed, package};
use common::registered::{LESHAN, Registered};

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

const LENGTH: usize = 1_000_003;

fn gateway(endpoint: &str, more: &str) -> Registered {
    observed(endpoint, &installed_by(KEEP, more))
}

/// A gateway that believes this one authority.
fn believing(endpoint: &str, root: &KeyFiles) -> Registered {
    gateway(endpoint, &format!("[pull]\nca = '{}'", root.certificate.display()))
}

impl Registered {
    /// Pulls what lies there, and has it installed.
    fn pulls(&self, uri: &str, image: &[u8]) {
        self.write("2.04", URI, uri);
        self.downloads();
        self.updates();
        assert!(self.installed() == image, "{uri}");
    }
}

#[test]
fn from_libcoap() {
    let image = package(1, LENGTH);
    let server = Libcoap::start(&image);
    gateway("pull-libcoap", "").pulls(&server.uri(), &image);
}

#[test]
fn from_aiocoap() {
    let (server, gateway) = (Aiocoap::start(true), gateway("pull-aiocoap", ""));
    for seed in [2, 3] {
        let image = package(seed, LENGTH);
        gateway.pulls(&server.put("firmware", &image), &image);
    }
}

#[test]
fn from_aiocoap_that_gives_no_etag() {
    let (server, image) = (Aiocoap::start(false), package(4, LENGTH));
    gateway("pull-no-etag", "").pulls(&server.put("firmware", &image), &image);
}

#[test]
fn from_a_server_of_http_that_says_no_length() {
    let (server, image) = (Nginx::start(None), package(5, LENGTH));
    server.put("firmware", &image);
    gateway("pull-no-length", "").pulls(&server.http(Way::WithoutLength, "firmware"), &image);
}

#[test]
fn from_a_server_of_http_that_wants_a_login() {
    let (server, image, mut gateway) = (Nginx::start(None), package(6, 10_000), gateway("pull-login", ""));
    server.put("firmware", &image);
    let uri = server.http(Way::WithLogin, "firmware");
    gateway.write("2.04", URI, uri.as_str());
    gateway.download_fails(4);
    gateway.says("401");
    let with_login = uri.replace("http://", "http://operator:secret@");
    gateway.pulls(&with_login, &image);
}

#[test]
fn from_a_server_of_https_whose_authority_is_configured() {
    let (server, image) = (Nginx::start(Some(&AUTHORITY.issue("https", Some("DNS:localhost")))), package(7, LENGTH));
    server.put("firmware", &image);
    believing("pull-https", &AUTHORITY.root).pulls(&server.https(Way::Plain, "firmware"), &image);
}

/// Nothing of the file is asked for.
fn is_not_believed(mut gateway: Registered, certificate: &KeyFiles) {
    let server = Nginx::start(Some(certificate));
    server.put("firmware", &package(8, 10_000));
    gateway.write("2.04", URI, server.https(Way::Plain, "firmware"));
    gateway.download_fails(4);
    gateway.says("the server's certificate is not believed");
    assert_eq!(server.log(), [""; 0]);
}

#[test]
fn a_self_signed_certificate_is_refused() {
    is_not_believed(gateway("pull-self-signed", ""), &AUTHORITY.self_signed("localhost"));
}

#[test]
fn a_certificate_of_a_strange_authority_is_refused() {
    let stranger = Authority::new();
    is_not_believed(believing("pull-stranger", &stranger.root), &AUTHORITY.issue("strange", Some("DNS:localhost")));
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let other = AUTHORITY.issue("other", Some("DNS:elsewhere.example"));
    is_not_believed(believing("pull-other-host", &AUTHORITY.root), &other);
}

/// A gateway that soon gives up a server that sends nothing.
fn impatient(endpoint: &str) -> Registered {
    gateway(endpoint, "[pull]\ngive-up = 2")
}

/// The requests for a part of the file.
fn ranges(server: &Nginx) -> Vec<String> {
    server.log().into_iter().filter(|line| line.contains(" 206 range=bytes=")).collect()
}

#[test]
fn int_775_connection_lost_during_download() {
    let (mut gateway, mut server, image) = (impatient("int-775"), Nginx::start(None), package(775, 300_000));
    server.put("firmware", &image);
    let uri = server.http(Way::Slow, "firmware");
    assert_eq!(gateway.state_and_result(), (IDLE, 0));
    gateway.write("2.04", URI, uri.as_str());
    assert_eq!(gateway.told_until(STATE, DOWNLOADING), [DOWNLOADING]);
    gateway.says("fetching 300000 bytes");
    server.kill();
    assert_eq!(gateway.told_until(STATE, IDLE), [IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 4));
    assert_eq!(gateway.told_until("/5/0/5", 4), [4]);

    // What has come is kept for the same URI.
    server.start_again();
    gateway.write("2.04", URI, uri.as_str());
    gateway.downloads();
    gateway.updates();
    assert!(gateway.installed() == image);
    assert_eq!(ranges(&server).len(), 1, "{:?}", server.log());
}

#[test]
fn a_connection_that_is_lost_for_a_while_costs_nothing_but_time() {
    let (mut gateway, mut server, image) = (gateway("pull-lost", ""), Nginx::start(None), package(9, 300_000));
    server.put("firmware", &image);
    gateway.write("2.04", URI, server.http(Way::Slow, "firmware"));
    gateway.says("fetching 300000 bytes");
    server.kill();
    gateway.says("is interrupted");
    server.start_again();
    gateway.downloads();
    gateway.updates();
    assert!(gateway.installed() == image);
    assert_eq!(ranges(&server).len(), 1, "{:?}", server.log());
}

#[test]
fn a_file_that_is_another_after_the_connection_was_lost_comes_anew() {
    let (mut gateway, mut server, image) = (gateway("pull-changed", ""), Nginx::start(None), package(10, 200_000));
    server.put("firmware", &package(11, 300_000));
    gateway.write("2.04", URI, server.http(Way::Slow, "firmware"));
    gateway.says("fetching 300000 bytes");
    server.kill();
    gateway.says("is interrupted");
    server.put("firmware", &image);
    server.start_again();
    gateway.says("comes again from its first byte: the file has changed");
    gateway.downloads();
    gateway.updates();
    assert!(gateway.installed() == image);
}

#[test]
fn a_server_of_coap_that_falls_silent_is_given_up_and_taken_up_again() {
    let image = package(12, 4_000_000);
    let (mut gateway, server) = (impatient("pull-silent"), Libcoap::start(&image));
    gateway.write("2.04", URI, server.uri());
    gateway.says("fetching");
    server.hold(true);
    assert_eq!(gateway.told_until(STATE, IDLE), [DOWNLOADING, IDLE]);
    assert_eq!(gateway.state_and_result(), (IDLE, 4));
    server.hold(false);
    gateway.write("2.04", URI, server.uri());
    assert_eq!(gateway.told_until(STATE, DOWNLOADED), [DOWNLOADING, DOWNLOADED]);
    gateway.updates();
    assert!(gateway.installed() == image);
}

#[test]
fn a_pull_outlives_the_agent() {
    let (mut gateway, server, image) = (gateway("pull-killed", ""), Nginx::start(None), package(13, 1_000_000));
    server.put("firmware", &image);
    gateway.write("2.04", URI, server.http(Way::Slow, "firmware"));
    // Some of it has been synced by then.
    gateway.says(" of 1000000 bytes (");
    gateway.agent.kill_and_restart(&[]);
    let gateway = Registered::new(gateway.agent);
    gateway.observe(STATE);
    bed::eventually("the package comes", || (gateway.state_and_result() == (DOWNLOADED, 0)).then_some(()));
    gateway.execute("2.04", "/5/0/2");
    gateway.told_until(STATE, IDLE);
    assert!(gateway.installed() == image);
    assert_eq!(ranges(&server).len(), 1, "{:?}", server.log());
}

/// A gateway that is killed in the middle of a download, when some of it is synced, and started again; the server of the file.
fn killed_in_a_download(endpoint: &str, after_restart: &str, image: &[u8]) -> (Registered, Nginx) {
    let server = Nginx::start(None);
    server.put("firmware", image);
    let configuration = format!("after-restart = '{after_restart}'\n{}", installed_by(KEEP, ""));
    let mut gateway = observed(endpoint, &configuration);
    gateway.write("2.04", URI, server.http(Way::Slow, "firmware"));
    assert_eq!(gateway.told_until(STATE, DOWNLOADING), [DOWNLOADING]);
    // How far it is, after ten seconds; what has come is synced after five.
    gateway.says(" %) at ");
    gateway.agent.kill_and_restart(&[]);
    (gateway, server)
}

/// `after-restart = "resume"`: Leshan, which has observed /5/0/3 once, sees the rest of the download and the update of an agent that was killed, over
/// the registration that it had.
#[test]
fn an_observation_outlives_the_agent_over_its_registration() {
    let image = package(9, LENGTH);
    let (mut gateway, server) = killed_in_a_download("resumed", "resume", &image);
    let updated = gateway.event("updated");
    assert_eq!(updated["client"]["id"], gateway.registration["id"], "the same registration");
    gateway.says("goes on with its registration at coap://");
    let mut states = gateway.told_until(STATE, DOWNLOADED);
    states.dedup();
    assert!(states == [DOWNLOADING, DOWNLOADED] || states == [DOWNLOADED], "{states:?}");
    assert_eq!(gateway.state_and_result(), (DOWNLOADED, 0));
    gateway.updates();
    assert!(gateway.installed() == image);
    assert_eq!(ranges(&server).len(), 1, "the rest alone: {:?}", server.log());
    for event in ["registered", "unregistered"] {
        let none = LESHAN.event_within(Duration::ZERO, event, "resumed");
        assert!(none.is_none(), "{none:?}");
    }
}

/// `after-restart = "register"`, the default: the agent registers anew, and is observed anew.
#[test]
fn without_that_the_agent_registers_and_is_observed_anew() {
    let image = package(10, LENGTH);
    let (mut gateway, server) = killed_in_a_download("anew", "register", &image);
    let registration = gateway.event("registered")["client"].clone();
    assert_ne!(registration["id"], gateway.registration["id"], "another registration");
    gateway.registration = registration;
    let state = gateway.observe(STATE);
    assert!(state == DOWNLOADING || state == DOWNLOADED, "{state}");
    gateway.observe(RESULT);
    if state == DOWNLOADING {
        assert_eq!(gateway.told_until(STATE, DOWNLOADED), [DOWNLOADED]);
    }
    gateway.updates();
    assert!(gateway.installed() == image);
    assert_eq!(ranges(&server).len(), 1, "the rest alone: {:?}", server.log());
}
