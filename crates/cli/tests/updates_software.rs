//! `lapwing manage software`: software from a shell, of a client of our library and of the real agent, through the real server.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{Outcome, Server, lapwing};
use lapwing::Client;
use lapwing::objects::software::{
    BoxFuture, Failure, Instance, Job, Manager, Package, Release, Software, Task, UpdateResult,
};
use serde_json::json;

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

#[test]
fn the_agent_shows_on_the_machine_what_was_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (program, config, socket) =
        (folder.path().join("kettle"), folder.path().join("agent.toml"), folder.path().join("control"));
    let script = "#!/bin/sh\ncase $1 in\nverify) echo 'version: 2' ;;\ninstall) echo 'no oven' >&2; exit $(cat \"$2\") ;;\nesac\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let (state, program) = (folder.path().join("state"), program.display());
    let text = format!(
        "state = '{}'\nsocket = 'control'\n[[software]]\nkind = 'script'\nname = 'kettle'\nprogram = ['{program}']\n",
        state.display()
    );
    fs::write(&config, text).unwrap();
    let server = Server::start();
    let _agent = server.agent("gw", &["--config", config.to_str().unwrap()]);
    let package = folder.path().join("package");
    let push = |code: &str, more: &str| {
        fs::write(&package, code).unwrap();
        server.manage(&["software", "push", package.to_str().unwrap(), more])
    };
    let status = |more: &[&str]| lapwing(&[&["status", "--socket", socket.to_str().unwrap()], more].concat());
    let failed = push("3", "--install").failed(1);
    assert!(failed.starts_with("lapwing: gw software 0: the installation has failed (result 58): "), "{failed}");
    let shown = status(&[]).text();
    let line = "\nsoftware 0 (kettle): delivered, not active, stopped; the installation has failed (result 58)\n  package kettle 2\n  ";
    assert!(shown.contains(line), "{shown}");

    assert_eq!(server.manage(&["software", "cancel"]).text(), "gw software 0: cancelled");
    assert!(push("0", "--activate").text().ends_with("gw software 0: the software is active"));
    let software = status(&["--json"]).json()["software"][0].clone();
    assert_eq!((&software["instance"], &software["name"]), (&json!(0), &json!("kettle")));
    assert_eq!((&software["stateName"], &software["result"]), (&json!("installed"), &json!(2)));
    assert_eq!((&software["active"], &software["package"]), (&json!(true), &json!({"name": "kettle", "version": "2"})));
    assert_eq!((software.get("reason"), software.get("task")), (None, None));
}
