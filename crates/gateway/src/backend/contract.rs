//! What every back-end of a platform trait must do, run against each real one.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::netlink::Netlink;
use super::procfs::Procfs;
use super::systemd::RebootCommand;
use crate::platform::{Host, Network, Supervisor};

async fn host_contract(host: &dyn Host) {
    let identity = host.identity().await.unwrap();
    assert_eq!(identity, host.identity().await.unwrap(), "an identity does not change");
    let fields = [identity.manufacturer, identity.model, identity.serial, identity.hardware_version];
    for value in fields.into_iter().chain([host.versions().await.unwrap().firmware]).flatten() {
        assert!(!value.is_empty() && value.trim() == value, "{value:?}");
    }
    if let Some(memory) = host.memory().await.unwrap() {
        assert!(memory.total >= 1 << 20, "in bytes");
        assert!(memory.available > 0 && memory.available <= memory.total);
    }
    let sources = host.power().await.unwrap();
    assert_eq!(
        sources.iter().map(|source| source.kind).collect::<Vec<_>>(),
        host.power().await.unwrap().iter().map(|source| source.kind).collect::<Vec<_>>(),
        "a stable order"
    );
    let time = host.time().await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.abs_diff(time.unix) < Duration::from_secs(60));
    assert!(time.utc_offset.abs() <= 26 * 3600 && time.timezone.is_none_or(|zone| !zone.is_empty()));
}

#[tokio::test]
async fn procfs_keeps_the_host_contract() {
    host_contract(&Procfs::new()).await;
    let empty = tempfile::tempdir().unwrap();
    host_contract(&Procfs::at(empty.path())).await;
}

async fn network_contract(network: &dyn Network) {
    let links = network.links().await.unwrap();
    assert!(links.is_sorted_by_key(|link| link.id));
    let loopback = links.iter().find(|link| link.loopback).expect("every network namespace has a loopback link");
    assert_eq!(loopback.bearer, None);
    let known = |id| links.iter().any(|link| link.id == id);
    let addresses = network.addresses().await.unwrap();
    assert!(addresses.iter().all(|address| known(address.link)));
    let routes = network.default_routes().await.unwrap();
    assert!(routes.is_sorted_by_key(|route| route.metric) && routes.iter().all(|route| known(route.link)));
    for route in routes.iter().filter(|route| route.metric == 0) {
        // TEST-NET-3 (RFC 5737): nothing but a default route leads there.
        let outside = network.link_towards(IpAddr::from([203, 0, 113, 1])).await.unwrap();
        assert!(route.router.is_none_or(|router| router.is_ipv6()) || outside.is_some());
    }
    if loopback.running {
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(addresses.iter().any(|address| address.address == local && address.link == loopback.id));
        assert_eq!(network.link_towards(local).await.unwrap(), Some(loopback.id));
    }
    for link in &links {
        let percent = network.utilisation(link.id).await.unwrap();
        assert_eq!(percent.is_some(), link.speed.is_some(), "{}", link.name);
        assert!(percent.is_none_or(|percent| percent <= 100));
    }
    assert!(network.watch().has_changed().is_ok(), "the watch lives as long as the back-end");
}

#[tokio::test]
async fn netlink_keeps_the_network_contract() {
    network_contract(&Netlink::open().unwrap()).await;
}

/// `works` reboots by making `mark` exist; `fails` cannot.
async fn supervisor_contract(works: &dyn Supervisor, mark: &std::path::Path, fails: &[&dyn Supervisor]) {
    let boot = works.boot().await.unwrap();
    assert!(!boot.is_empty() && !boot.contains('\n') && boot == works.boot().await.unwrap(), "{boot:?}");
    assert!(!mark.exists());
    works.reboot().await.unwrap();
    assert!(mark.exists());
    for supervisor in fails {
        assert!(!supervisor.reboot().await.unwrap_err().to_string().is_empty());
    }
}

#[tokio::test]
async fn a_command_keeps_the_supervisor_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("a file with blanks");
    let command = |words: &[&str]| RebootCommand::new(words.iter().map(|word| (*word).to_owned()).collect());
    let works = command(&["touch", mark.to_str().unwrap()]);
    let refused = command(&["sh", "-c", "echo not today >&2; exit 3"]);
    let missing = command(&["/nonexistent/reboot"]);
    supervisor_contract(&works, &mark, &[&refused, &missing]).await;
    let said = refused.reboot().await.unwrap_err().to_string();
    assert!(said.contains("not today") && said.contains("exit status: 3"), "{said}");
}
