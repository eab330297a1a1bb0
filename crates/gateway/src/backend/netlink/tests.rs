use std::process::Command;

use super::*;

/// Whether this test runs in the namespace that [`inside_a_namespace`] made.
const INSIDE: &str = "LAPWING_TEST_NAMESPACE";

/// Runs the named test of this binary again in new user and network namespaces, where it may set links up.
///
/// `None` when this process is already inside; otherwise the outcome, `Ok(false)` where the kernel gives no namespaces away.
fn inside_a_namespace(test: &str) -> Option<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    let namespaces = ["--user", "--map-root-user", "--net"];
    if !Command::new("unshare").args(namespaces).args(["ip", "link"]).output().is_ok_and(|probe| probe.status.success())
    {
        eprintln!("no namespaces or no `ip` here: {test} is not run");
        return Some(false);
    }
    let this = std::env::current_exe().unwrap();
    let outcome = Command::new("unshare")
        .args(namespaces)
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(
        outcome.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&outcome.stderr)
    );
    Some(true)
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

#[tokio::test]
async fn links_addresses_and_routes_are_seen_and_their_changes_told() {
    if inside_a_namespace("backend::netlink::tests::links_addresses_and_routes_are_seen_and_their_changes_told")
        .is_some()
    {
        return;
    }
    let sysfs = tempfile::tempdir().unwrap();
    let speed = sysfs.path().join("sys/class/net/out/speed");
    std::fs::create_dir_all(speed.parent().unwrap()).unwrap();
    std::fs::write(speed, "10\n").unwrap();
    let network = Netlink::open_at(sysfs.path()).unwrap();
    let mut changes = network.watch();
    assert_eq!(network.default_routes().await.unwrap(), []);
    assert_eq!(network.link_towards(IpAddr::from([198, 51, 100, 9])).await.unwrap(), None);

    ip("link add out type veth peer name far");
    ip("addr add 192.0.2.7/24 dev out");
    ip("link set out up");
    ip("link set far up");
    ip("-6 addr add 2001:db8::7/64 dev out nodad");
    ip("route add default via 192.0.2.1 dev out metric 50");
    ip("-6 route add default via 2001:db8::1 dev out metric 20");
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.expect("a change is told").unwrap();

    let out = network.links().await.unwrap().into_iter().find(|link| link.name == "out").unwrap();
    assert_eq!(out.bearer, Some(crate::platform::Bearer::Ethernet));
    assert!(out.running && !out.loopback);
    let addresses = network.addresses().await.unwrap();
    let of_link: Vec<String> =
        addresses.iter().filter(|entry| entry.link == out.id).map(|entry| entry.address.to_string()).collect();
    assert_eq!(of_link[..2], ["192.0.2.7", "2001:db8::7"]);
    let routers: Vec<_> =
        network.default_routes().await.unwrap().iter().map(|route| (route.router, route.metric)).collect();
    assert_eq!(routers, [("2001:db8::1".parse().ok(), 20), ("192.0.2.1".parse().ok(), 50)]);
    assert_eq!(network.link_towards(IpAddr::from([198, 51, 100, 9])).await.unwrap(), Some(out.id));

    assert!(network.utilisation(out.id).await.unwrap().is_some());
    changes.mark_unchanged();
    ip("link set out down");
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.expect("a change is told").unwrap();
    assert!(!network.links().await.unwrap().iter().any(|link| link.name == "out" && link.running));
    assert_eq!(network.default_routes().await.unwrap(), []);
}
