//! Two hosts in network namespaces, and a link between them that delays and loses packets.

use std::path::PathBuf;
use std::process::Command;

use bed::Process;

use crate::Result;

/// Where the servers are.
pub(crate) const SERVER: &str = "10.77.0.2";
const CLIENT: &str = "10.77.0.1";
/// The end of the link in each host.
const END: &str = "link0";

/// The hosts; they end with it.
pub(crate) struct Hosts {
    client: String,
    server: String,
}

/// What impairs the link, until it is dropped.
pub(crate) struct Impaired<'a> {
    hosts: &'a Hosts,
    _netem: [Process; 2],
}

impl Hosts {
    pub(crate) fn new() -> Result<Self> {
        let [client, server] = ["client", "server"].map(|name| format!("lapwing-{name}-{}", std::process::id()));
        let hosts = Self { client, server };
        for host in [&hosts.client, &hosts.server] {
            run("ip", &["netns", "add", host])?;
        }
        let peer = ["peer", "name", END, "netns", &hosts.server];
        run("ip", &[&["link", "add", END, "netns", &hosts.client, "type", "veth"], &peer[..]].concat())?;
        for (host, address) in [(&hosts.client, CLIENT), (&hosts.server, SERVER)] {
            run("ip", &["-n", host, "address", "add", &format!("{address}/30"), "dev", END])?;
            run("ip", &["-n", host, "link", "set", "lo", "up"])?;
            run("ip", &["-n", host, "link", "set", END, "up"])?;
            // A packet of the link is one of the wire.
            in_host(host, "ethtool", &["-K", END, "tso", "off", "gso", "off", "gro", "off"])?;
        }
        Ok(hosts)
    }

    /// From now on each packet takes `delay` seconds, and `loss` of them are lost, on either way.
    pub(crate) fn impair(&self, delay: f64, loss: f64) -> Result<Impaired<'_>> {
        let netem = |host: &str| {
            let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/transfer/netem.py");
            let mut netem = Process::start(self::host(host, "python3").arg(script).args([
                "0",
                &delay.to_string(),
                &loss.to_string(),
            ]));
            netem.out.next_with("up");
            netem
        };
        let impaired = Impaired { hosts: self, _netem: [netem(&self.client), netem(&self.server)] };
        impaired.rules("-A")?;
        Ok(impaired)
    }

    pub(crate) fn at_client(&self, program: &str) -> Command {
        host(&self.client, program)
    }

    pub(crate) fn at_server(&self, program: &str) -> Command {
        host(&self.server, program)
    }
}

impl Impaired<'_> {
    fn rules(&self, change: &str) -> Result<()> {
        for host in [&self.hosts.client, &self.hosts.server] {
            in_host(host, "iptables", &[change, "INPUT", "-i", END, "-j", "NFQUEUE", "--queue-num", "0"])?;
        }
        Ok(())
    }
}

impl Drop for Impaired<'_> {
    fn drop(&mut self) {
        // Else they end with the hosts.
        let _ = self.rules("-D");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in [&self.client, &self.server] {
            // It may never have come to be.
            let _ = run("ip", &["netns", "delete", host]);
        }
    }
}

fn host(host: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]);
    command
}

fn in_host(host: &str, program: &str, arguments: &[&str]) -> Result<()> {
    run("ip", &[&["netns", "exec", host, program], arguments].concat())
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = bed::run(program, arguments);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}
