//! Tests that need a machine of their own, as far as namespaces make one.

use std::process::Command;

/// Whether this test runs in the namespace that [`outside`] made.
const INSIDE: &str = "LAPWING_TEST_NAMESPACE";

/// Runs the named test again in new user and network namespaces, where it may set links up and may not set the clock; `false` when this process is inside already.
///
/// Where the kernel gives no namespaces away, or `ip` is missing, the test is not run, and says so.
pub(crate) fn outside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let namespaces = ["--user", "--map-root-user", "--net"];
    if !Command::new("unshare").args(namespaces).args(["ip", "link"]).output().is_ok_and(|probe| probe.status.success())
    {
        eprintln!("no namespaces or no `ip` here: {test} is not run");
        return true;
    }
    let mut inner = Command::new("unshare");
    inner.args(namespaces).arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let outcome = inner.env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(
        outcome.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&outcome.stderr)
    );
    true
}
