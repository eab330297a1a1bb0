//! `lapwing manage firmware` and `lapwing manage software`: updates of one client, followed to their end.

mod display;
mod follow;
mod subject;
mod verdict;

use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use lapwing::transfer::sha256_of;
use lapwing_lwm2m::model::Path;
use serde_json::Value as Json;

use self::display::Display;
use self::follow::Follow;
use self::subject::{Snapshot, Subject};
use self::verdict::Goal;
use super::{Client, api, render};
use crate::failure::Failure;
use crate::shutdown::Shutdown;

/// How much of a file's name is kept while it is hosted.
const LONGEST_NAME: usize = 80;

/// Options of all that is followed.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateOptions {
    /// Give up when nothing has changed for so long; the client may go on. A client that fetches from where nothing answers tries again for a while
    /// of its own: 10 minutes, or as `[pull] give-up` says.
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 1800)]
    wait: u32,
}

/// Where a hosted file is fetched from.
#[derive(Debug, clap::Args)]
pub(crate) struct Hosting {
    /// How the client fetches a FILE from this server; for coaps with the credentials of its account for HOST.
    #[arg(long, value_name = "SCHEME", default_value = "coap", value_parser = ["coap", "coaps", "http"])]
    scheme: String,
    /// The server's address as the client reaches it; by default the one that the client is sent to from.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FirmwareVerb {
    /// Bring a package to the client, block by block.
    Push {
        /// The package.
        file: PathBuf,
        /// Install it then.
        #[arg(long)]
        update: bool,
    },
    /// Have the client fetch a package: from any URI, or a file, which this server hosts until the client has it.
    Pull {
        /// Such as https://example.com/image, or the name of a file.
        #[arg(value_name = "URI|FILE")]
        from: String,
        #[command(flatten)]
        hosting: Hosting,
        /// Install it then.
        #[arg(long)]
        update: bool,
    },
    /// Install the package that is there.
    Update,
    /// End the transfer, or discard the package that is there.
    Cancel,
    /// Say what the update is in.
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SoftwareVerb {
    /// Bring a package to the client, block by block.
    Push {
        /// The package.
        file: PathBuf,
        /// Install it then.
        #[arg(long)]
        install: bool,
        /// Install and activate it then.
        #[arg(long)]
        activate: bool,
    },
    /// Have the client fetch a package: from any URI, or a file, which this server hosts until the client has it.
    Pull {
        /// Such as https://example.com/package, or the name of a file.
        #[arg(value_name = "URI|FILE")]
        from: String,
        #[command(flatten)]
        hosting: Hosting,
        /// Install it then.
        #[arg(long)]
        install: bool,
        /// Install and activate it then.
        #[arg(long)]
        activate: bool,
    },
    /// Install the package that is there.
    Install,
    /// Let the software that is installed run.
    Activate,
    /// Let it run no more.
    Deactivate,
    /// Remove the software.
    Uninstall,
    /// End a push, or discard the package that is there; the software stays.
    Cancel,
    /// Say what the software is in.
    Status,
}

/// `lapwing manage firmware`.
pub(super) fn firmware(client: Client, verb: FirmwareVerb, options: &UpdateOptions) -> Result<(), Failure> {
    let update = Update { client, subject: Subject::Firmware, wait: options.wait, push: Arc::default() };
    interruptible(update, move |update| match verb {
        FirmwareVerb::Push { file, update: install } => update.firmware_of(&Origin::Push(file), install),
        FirmwareVerb::Pull { from, hosting, update: install } => {
            update.firmware_of(&Origin::Pull(from, hosting), install)
        }
        FirmwareVerb::Update => update.perform(Goal::Updated),
        FirmwareVerb::Cancel => update.cancel(),
        FirmwareVerb::Status => update.status(),
    })
}

/// `lapwing manage software`.
pub(super) fn software(
    client: Client,
    instance: Option<u16>,
    verb: SoftwareVerb,
    options: &UpdateOptions,
) -> Result<(), Failure> {
    let instance = subject::software(&client, instance)?;
    let update = Update { client, subject: Subject::Software(instance), wait: options.wait, push: Arc::default() };
    interruptible(update, move |update| match verb {
        SoftwareVerb::Push { file, install, activate } => update.software_of(&Origin::Push(file), install, activate),
        SoftwareVerb::Pull { from, hosting, install, activate } => {
            update.software_of(&Origin::Pull(from, hosting), install, activate)
        }
        SoftwareVerb::Install => update.perform(Goal::Installed),
        SoftwareVerb::Activate => update.perform(Goal::Active),
        SoftwareVerb::Deactivate => update.perform(Goal::Inactive),
        SoftwareVerb::Uninstall => update.perform(Goal::Removed),
        SoftwareVerb::Cancel => update.cancel(),
        SoftwareVerb::Status => update.status(),
    })
}

/// Does the work on a thread of its own, so that a signal is heard while nothing comes: then a push is ended, which nobody would end otherwise.
fn interruptible(
    update: Update,
    work: impl FnOnce(&Update) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let update = Arc::new(update);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let worker = Arc::clone(&update);
    std::thread::spawn(move || {
        // Whoever waited may have been told to stop.
        let _ = sender.send(work(&worker));
    });
    crate::runtime()?.block_on(async {
        let mut shutdown = Shutdown::new()?;
        tokio::select! {
            ended = receiver => ended?,
            () = shutdown.requested() => update.interrupted(),
        }
    })
}

/// Where a package comes from.
enum Origin {
    Push(PathBuf),
    Pull(String, Hosting),
}

/// What is done to one object of one client.
struct Update {
    client: Client,
    subject: Subject,
    wait: u32,
    /// The push that this command has begun, while it goes on.
    push: Arc<Mutex<Option<u64>>>,
}

impl Update {
    fn firmware_of(&self, origin: &Origin, install: bool) -> Result<(), Failure> {
        let mut display = self.display();
        let there = self.deliver(origin, &mut display)?;
        // Some clients install what has come by themselves (5/0/14).
        let by_itself = there.state != verdict::FIRMWARE_DOWNLOADED;
        if install && !by_itself {
            self.execute(Goal::Updated, &there, &mut display)?;
        } else if by_itself {
            self.follow(Goal::Updated, &Snapshot::default(), None, &mut display)?;
        }
        Ok(())
    }

    fn software_of(&self, origin: &Origin, install: bool, activate: bool) -> Result<(), Failure> {
        let mut display = self.display();
        let mut there = self.deliver(origin, &mut display)?;
        if install || activate {
            there = self.execute(Goal::Installed, &there, &mut display)?;
        }
        if activate {
            self.execute(Goal::Active, &there, &mut display)?;
        }
        Ok(())
    }

    fn perform(&self, goal: Goal) -> Result<(), Failure> {
        let before = self.snapshot()?;
        self.execute(goal, &before, &mut self.display()).map(drop)
    }

    /// Executes what leads to `goal`, and waits for it.
    fn execute(&self, goal: Goal, before: &Snapshot, display: &mut Display) -> Result<Snapshot, Failure> {
        let Some(resource) = goal.executed(self.subject) else { return Ok(before.clone()) };
        let path = self.subject.resource(resource);
        let answer = self.client.api.post(&self.client.url(&path, ""), "text/plain", "")?;
        self.accepted(path, &answer)
            .map_err(|refused| anyhow!("{refused}; the client says: {}", verdict::described(self.subject, before)))?;
        Ok(self.follow(goal, before, None, display)?)
    }

    fn deliver(&self, origin: &Origin, display: &mut Display) -> Result<Snapshot, Failure> {
        let before = self.snapshot()?;
        match origin {
            Origin::Push(file) => self.push(file, &before, display).map_err(Failure::from),
            Origin::Pull(uri, _) if uri.contains("://") => {
                let path = self.subject.uri();
                let node = serde_json::json!({"id": path.resource_id(), "type": "string", "value": uri});
                let answer = self.client.api.put(&self.client.url(&path, ""), None, &node)?;
                self.accepted(path, &answer)?;
                Ok(self.follow(Goal::Delivered, &before, None, display)?)
            }
            Origin::Pull(file, hosting) => self.pull_hosted(file.as_ref(), hosting, &before, display),
        }
    }

    fn push(&self, file: &FilePath, before: &Snapshot, display: &mut Display) -> anyhow::Result<Snapshot> {
        let (name, content) = open(file)?;
        let url = self.client.url(&self.subject.package(), &format!("/push?name={}", api::encoded(&name)));
        let transfer = self.client.api.upload("POST", &url, content)?;
        let id = transfer["id"].as_u64().context("the API tells of no transfer")?;
        *self.pushing() = Some(id);
        let followed = self.follow(Goal::Delivered, before, Some(id), display);
        *self.pushing() = None;
        followed
    }

    /// The server hosts the file until the clients have it. Its name tells its content: the same file is the same URI again, so that a client
    /// may go on with what it has got of it.
    fn pull_hosted(
        &self,
        file: &FilePath,
        hosting: &Hosting,
        before: &Snapshot,
        display: &mut Display,
    ) -> Result<Snapshot, Failure> {
        let api = &self.client.api;
        let (name, mut content) = open(file)?;
        let name = hosted_name(&name, &mut content)?;
        let is_hosted = || -> anyhow::Result<bool> {
            let hosted = api.get("/api/files")?;
            Ok(hosted["files"].as_array().into_iter().flatten().any(|file| file["name"].as_str() == Some(&name)))
        };
        let place = format!("/api/files/{}", api::encoded(&name));
        if !is_hosted()? {
            api.upload("PUT", &place, content)?;
        }
        let host = hosting.host.as_deref().map(|host| format!("&host={}", api::encoded(host))).unwrap_or_default();
        let query = format!("file={}&scheme={}{host}", api::encoded(&name), hosting.scheme);
        let path = self.subject.uri();
        let answer = api.ask(&self.client.url(&path, "/pull"), &query)?;
        self.accepted(path, &answer)?;
        let id = answer["transfer"]["id"].as_u64();
        let there = self.follow(Goal::Delivered, before, id, display)?;
        // Of two that come to an end at once, one finds it removed.
        if !is_fetched_by_others(&api.get("/api/transfers")?, &name, id)
            && let Err(error) = api.forget(&place)
            && is_hosted()?
        {
            return Err(error.into());
        }
        Ok(there)
    }

    fn cancel(&self) -> Result<(), Failure> {
        let (api, endpoint) = (&self.client.api, api::encoded(&self.client.endpoint));
        let transfers = api.get(&format!("/api/transfers?ep={endpoint}"))?;
        let package = self.subject.package().to_string();
        let ours = |transfer: &&Json| {
            transfer["path"].as_str() == Some(&package) && transfer["state"].as_str() == Some("running")
        };
        let mut ended = false;
        for transfer in transfers.as_array().into_iter().flatten().filter(ours) {
            api.forget(&format!("/api/transfers/{}", transfer["id"]))?;
            ended = true;
        }
        let (resource, argument) = self.subject.discards();
        let path = self.subject.resource(resource);
        let answer = api.post(&self.client.url(&path, ""), "text/plain", argument)?;
        // A client may have nothing to discard of a push that has just been ended.
        if !ended {
            self.accepted(path, &answer)?;
        }
        self.display().done("cancelled");
        Ok(())
    }

    fn status(&self) -> Result<(), Failure> {
        let path = self.subject.instance();
        let answer = self.client.api.get_of(&self.client.url(&path, ""), None)?;
        let snapshot = Snapshot::of(self.subject, &answer["content"]);
        self.client.answered(path, &answer, |specs| {
            format!(
                "{}\n{}",
                verdict::described(self.subject, &snapshot),
                render::node(specs, path, &answer["content"])
            )
        })
    }

    fn snapshot(&self) -> Result<Snapshot, Failure> {
        let path = self.subject.instance();
        let answer = self.client.api.get_of(&self.client.url(&path, ""), None)?;
        self.accepted(path, &answer)?;
        Ok(Snapshot::of(self.subject, &answer["content"]))
    }

    fn accepted(&self, path: Path, answer: &Json) -> Result<(), Failure> {
        self.client.accepted(path, answer)
    }

    fn follow(
        &self,
        goal: Goal,
        before: &Snapshot,
        transfer: Option<u64>,
        display: &mut Display,
    ) -> anyhow::Result<Snapshot> {
        let follow = Follow { client: &self.client, subject: self.subject, goal, before, wait: self.wait };
        let (snapshot, what) = follow.follow(transfer, display)?;
        display.done(&what);
        Ok(snapshot)
    }

    fn display(&self) -> Display {
        Display::new(&format!("{} {}", self.client.endpoint, self.subject), self.client.json)
    }

    fn pushing(&self) -> MutexGuard<'_, Option<u64>> {
        self.push.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interrupted(&self) -> Result<(), Failure> {
        let Some(id) = self.pushing().take() else {
            return Err(anyhow!("interrupted; what the client has begun goes on there").into());
        };
        self.client.api.forget(&format!("/api/transfers/{id}"))?;
        Err(anyhow!("interrupted; the push was ended").into())
    }
}

/// Whether clients fetch this file for other commands than the one whose transfer this is: the last of them removes it.
fn is_fetched_by_others(transfers: &Json, file: &str, own: Option<u64>) -> bool {
    transfers.as_array().into_iter().flatten().any(|transfer| {
        let goes_on = matches!(transfer["state"].as_str(), Some("waiting" | "running"));
        goes_on
            && transfer["kind"].as_str() == Some("pull")
            && transfer["file"].as_str() == Some(file)
            && transfer["id"].as_u64() != own
    })
}

/// A file and the name that it goes by.
fn open(path: &FilePath) -> anyhow::Result<(String, File)> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    if !file.metadata()?.is_file() {
        bail!("{}: it is no file", path.display());
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| anyhow!("{}: its name is no text", path.display()))?;
    Ok((name.to_owned(), file))
}

/// What a file is called while it is hosted: the beginning of its SHA-256, and of its name what the server takes (docs/api/http.md).
fn hosted_name(name: &str, content: &mut File) -> io::Result<String> {
    let sha256 = sha256_of(&mut *content)?;
    content.rewind()?;
    let digits: String = sha256.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let taken = |c: char| if c.is_ascii_alphanumeric() || "._-+~".contains(c) { c } else { '-' };
    let name: String = name.chars().map(taken).take(LONGEST_NAME).collect();
    Ok(format!("{digits}-{name}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_file_that_another_client_still_fetches_stays() {
        let transfers = |id: u64, file: &str, kind: &str, state: &str| {
            serde_json::json!([
                {"id": 1, "file": "image", "kind": "pull", "state": "running"},
                {"id": 2, "file": "image", "kind": "pull", "state": "done"},
                {"id": id, "file": file, "kind": kind, "state": state},
            ])
        };
        let stays = |transfers: &Json| is_fetched_by_others(transfers, "image", Some(1));
        for state in ["waiting", "running"] {
            assert!(stays(&transfers(3, "image", "pull", state)), "{state}");
        }
        for (file, kind, state) in
            [("other", "pull", "running"), ("image", "push", "running"), ("image", "pull", "failed")]
        {
            assert!(!stays(&transfers(3, file, kind, state)), "{file} {kind} {state}");
        }
    }

    #[test]
    fn the_name_of_a_hosted_file_tells_its_content() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        file.rewind().unwrap();
        let long = format!("an image é{}", "x".repeat(200));
        // FIPS 180-2, appendix B.1.
        assert_eq!(hosted_name(&long, &mut file).unwrap(), format!("ba7816bf8f01cfea-an-image--{}", "x".repeat(70)));
        let mut again = Vec::new();
        file.read_to_end(&mut again).unwrap();
        assert_eq!(again, b"abc");
    }
}
