//! Writing the current time (/3/0/13) sets the clock where the configuration permits it and the process may, and is 4.05 elsewhere.

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::namespace::outside;
use common::{Running, Server};
use lapwing::Client;
use lapwing::definitions::device;
use lapwing_gateway::backend::procfs::Procfs;
use lapwing_gateway::backend::systemd::RebootCommand;
use lapwing_gateway::objects::{Device, DeviceValues};
use lapwing_gateway::platform::{BoxFuture, Host, Identity, Memory, PowerSource, Result, Time, Versions};

/// This machine with another clock.
#[derive(Default)]
struct OwnClock {
    machine: Procfs,
    unix: AtomicU64,
}

impl Host for OwnClock {
    fn identity(&self) -> BoxFuture<'_, Result<Identity>> {
        self.machine.identity()
    }
    fn versions(&self) -> BoxFuture<'_, Result<Versions>> {
        self.machine.versions()
    }
    fn memory(&self) -> BoxFuture<'_, Result<Option<Memory>>> {
        self.machine.memory()
    }
    fn power(&self) -> BoxFuture<'_, Result<Vec<PowerSource>>> {
        self.machine.power()
    }
    fn time(&self) -> BoxFuture<'_, Result<Time>> {
        let unix = Duration::from_secs(self.unix.load(Ordering::Relaxed));
        Box::pin(async move { Ok(Time { unix, utc_offset: 0, timezone: None }) })
    }
    fn set_time(&self, unix: Duration) -> BoxFuture<'_, Result<()>> {
        self.unix.store(unix.as_secs(), Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

/// Registers a client with nothing but object 3, whose clock may be written or not.
fn register(server: &Server, writable: bool) -> (Arc<OwnClock>, lapwing::Handle) {
    let host = Arc::new(OwnClock::default());
    let (machine, uri) = (host.clone(), server.uri.clone());
    let (sender, handle) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let values =
                DeviceValues { binding: "U".into(), current_time_writable: writable, ..DeviceValues::default() };
            let object = Device::probe(&device::V1_2, machine, Arc::new(RebootCommand::default()), values).await;
            let client = Client::builder("clock").server(uri).object(object).build().unwrap();
            sender.send(client.handle()).unwrap();
            client.run(std::future::pending()).await.unwrap();
        });
    });
    let handle = handle.recv().unwrap();
    server.wait_for_clients(1);
    (host, handle)
}

#[test]
fn a_permitted_write_sets_the_clock_and_nothing_else() {
    let server = Server::start();
    let (host, handle) = register(&server, true);
    assert_eq!(server.manage(&["write", "/3/0/13", "1782000000"]).text(), "2.04 CHANGED");
    assert_eq!(host.unix.load(Ordering::Relaxed), 1_782_000_000);
    assert_eq!(server.manage(&["read", "/3/0/13"]).text(), "/3/0/13  Current Time  2026-06-21T00:00:00Z");
    // One refused part refuses the whole: the clock stays.
    let refused = server.manage(&["write", "/3/0", "13=5", "14=+02:00", "--update"]).failed(1);
    assert!(refused.contains("4.05"), "{refused}");
    assert!(server.manage(&["write", "/3/0/13", "-5"]).failed(1).contains("4.00"));
    assert_eq!(host.unix.load(Ordering::Relaxed), 1_782_000_000);
    handle.shutdown();
}

#[test]
fn a_write_that_is_not_permitted_is_refused() {
    let server = Server::start();
    let (host, handle) = register(&server, false);
    assert!(server.manage(&["write", "/3/0/13", "5"]).failed(1).contains("4.05"));
    assert_eq!(host.unix.load(Ordering::Relaxed), 0);
    handle.shutdown();
}

#[test]
fn a_process_that_may_not_set_the_clock_refuses_even_a_permitted_write() {
    if outside("a_process_that_may_not_set_the_clock_refuses_even_a_permitted_write") {
        return;
    }
    assert!(std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    fs::write(&file, "[device]\ncurrent-time-writable = true\n").unwrap();
    let server = Server::start();
    let common = ["run", "--server", &server.uri, "--endpoint", "gw", "--config", file.to_str().unwrap()];
    let agent = Running::start(&common);
    agent.says("registered at");
    // A user namespace gives no power over the clock of the machine.
    let refused = server.manage(&["write", "/3/0/13", "1782000000"]).failed(1);
    assert!(refused.contains("4.05"), "{refused}");
}
