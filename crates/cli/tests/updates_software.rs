//! `lapwing manage software`: software from a shell, of a client of our library, through the real server.

mod common;

use std::fs;
use std::time::Duration;

use common::{Outcome, Server};
use lapwing::Client;
use lapwing::objects::software::{
    BoxFuture, Failure, Instance, Job, Manager, Package, Release, Software, Task, UpdateResult,
};

/// Takes packages by what they begin with.
struct Recipes;

impl Manager for Recipes {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            match fs::read(&package.path).unwrap().as_slice() {
                [b'?', ..] => Err(Failure::new("it is no recipe").with_result(UpdateResult::PackageType)),
                [first, ..] => Ok(package.release().name("recipes").version(char::from(*first).to_string())),
                [] => Err(Failure::new("it is empty").with_result(UpdateResult::Integrity)),
            }
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            // Long enough to be seen.
            tokio::time::sleep(Duration::from_millis(300)).await;
            match (job.task, job.release.version.as_deref()) {
                (Task::Install, Some("8")) => Err(Failure::new("no oven")),
                (Task::Activate, Some("9")) => Err(Failure::new("it burns")),
                _ => Ok(()),
            }
        })
    }

    fn resume<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async { None })
    }
}

/// A server and a client with instances of object 9.
struct Bench {
    folder: tempfile::TempDir,
    server: Server,
}

impl Bench {
    fn new(instances: u16) -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start());
        let (uri, state) = (server.uri.trim_end_matches('/').to_owned(), folder.path().join("software"));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut software = Software::builder();
                for id in 0..instances {
                    software = software.instance(id, format!("recipes-{id}"), Instance::new(Recipes));
                }
                let software = software.open(state).unwrap();
                let client = Client::builder("kettle").server(uri).lifetime(300).object(software).build().unwrap();
                client.run(std::future::pending()).await.unwrap();
            });
        });
        server.wait_for_clients(1);
        Self { folder, server }
    }

    /// A package, by the name of its file.
    fn package(&self, content: &str) -> String {
        let path = self.folder.path().join("package.tgz");
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn software(&self, arguments: &[&str]) -> Outcome {
        self.server.manage(&[&["software"], arguments].concat())
    }
}

#[test]
fn software_is_pushed_installed_activated_and_removed() {
    let bench = Bench::new(1);
    let lines = bench.software(&["push", &bench.package("1 egg"), "--activate"]).text();
    let lines: Vec<&str> = lines.lines().collect();
    for step in ["package.tgz  5 of 5 bytes (100 %)", "the package is there", "the software is being installed"] {
        assert!(lines.contains(&format!("kettle software 0: {step}").as_str()), "{step} in {lines:?}");
    }
    assert_eq!(lines.last(), Some(&"kettle software 0: the software is active"), "{lines:?}");
    let status = bench.software(&["status"]).text();
    assert!(status.starts_with("installed (state 4), active; the software is installed (result 2)\n"), "{status}");

    // Another version, step by step.
    assert!(bench.software(&["deactivate"]).text().ends_with("kettle software 0: the software is not active"));
    assert_eq!(bench.software(&["cancel"]).text(), "kettle software 0: cancelled");
    assert!(bench.software(&["push", &bench.package("2 eggs")]).text().ends_with("the package is there"));
    assert!(bench.software(&["install"]).text().ends_with("kettle software 0: the software is installed"));
    assert!(bench.software(&["activate"]).text().ends_with("kettle software 0: the software is active"));
    assert!(bench.software(&["uninstall"]).text().ends_with("kettle software 0: the software is removed"));
    assert!(bench.software(&["status"]).text().starts_with("initial (state 0), not active; "));
    let refused = bench.software(&["activate"]).failed(1);
    assert!(
        refused.starts_with("lapwing: kettle/9/0/10: 4.05 METHOD_NOT_ALLOWED; the client says: initial"),
        "{refused}"
    );
}

#[test]
fn what_fails_is_told_with_its_reason_and_is_no_exit_code_0() {
    let bench = Bench::new(1);
    let failed = bench.software(&["push", &bench.package("?")]).failed(1);
    let expected = "lapwing: kettle software 0: the package is none for this software (result 54): it is no recipe";
    assert_eq!(failed, expected);
    let failed = bench.software(&["push", &bench.package("8 eggs"), "--activate"]).failed(1);
    assert_eq!(failed, "lapwing: kettle software 0: the installation has failed (result 58): no oven");
    // It stays, and can be discarded.
    assert!(bench.software(&["status"]).text().starts_with("delivered (state 3), not active; "));
    assert_eq!(bench.software(&["cancel"]).text(), "kettle software 0: cancelled");
    let failed = bench.software(&["push", &bench.package("9 eggs"), "--activate"]).failed(1);
    assert_eq!(failed, "lapwing: kettle software 0: the software does not run: it burns");
}

#[test]
fn the_instance_must_be_named_where_there_is_more_than_one() {
    let bench = Bench::new(2);
    let complaint = bench.software(&["status"]).failed(2);
    assert_eq!(complaint, "lapwing: name one of the instances by --instance: 0, 1");
    let package = bench.package("1");
    let pushed = bench.software(&["push", &package, "--instance", "1"]).text();
    assert!(pushed.ends_with("kettle software 1: the package is there"), "{pushed}");
    assert!(bench.software(&["status", "--instance", "0"]).text().starts_with("initial (state 0)"));
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let complaint = server.manage(&["software", "status"]).failed(1);
    assert_eq!(complaint, "lapwing: gw has no software that can be managed (object 9)");
}
