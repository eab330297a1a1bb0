//! Packages of Debian, by apt where it is there and by dpkg where it is not.
//!
//! A package is installed and not started: that is up to Activate, where a unit of systemd is configured for it.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use lapwing::objects::software::{
    BoxFuture, Failure, Job, Manager, OperationalState, Package, Release, Task, UpdateResult,
};
use tokio::process::Command;

use super::super::program::{Run, Runs};
use super::super::{check, command};
use super::payload::Payload;
use super::service::Service;
use super::{blocking, failed};

/// apt knows a file by its path and by the end of its name.
pub const FILE: &str = "package.deb";
/// How long dpkg may take to say what is installed.
const QUERY: Duration = Duration::from_secs(60);
/// Who has said what apt and dpkg say.
const WHO: &str = "installer";

/// What a power cut has left half done is finished first. Configuration files that were changed here stay as they are.
const INSTALL: &str = r#"dpkg $1 --configure --pending --force-confdef --force-confold || exit
if command -v apt-get >/dev/null; then
    apt-get $2 --yes --quiet --no-remove --allow-downgrades --option DPkg::Lock::Timeout=60 \
        --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold install "$4"
else
    dpkg $1 --force-confdef --force-confold --install "$4"
fi || exit
[ -z "$3" ] || systemctl disable --now "$3""#;
/// apt would remove what depends on the package as well; dpkg refuses.
const REMOVE: &str = r#"dpkg $1 --configure --pending --force-confdef --force-confold || exit
[ -z "$3" ] || systemctl disable --now "$3"
dpkg $1 --remove "$4""#;

/// A package of Debian.
#[derive(Debug, Clone)]
pub struct Apt {
    package: String,
    service: Option<Service>,
    payload: Payload,
    folder: PathBuf,
    runs: Runs,
    /// Options of dpkg and of apt that choose another root than this machine's.
    root: (Vec<String>, Vec<String>),
}

impl Apt {
    /// The package of this name, with its unit if it has one, and a folder of its own, whose path is absolute.
    pub fn new(package: String, unit: Option<String>, payload: Payload, folder: PathBuf) -> Self {
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let runs = Runs::new(folder.join("runs"), format!("software-{name}"));
        Self { package, service: unit.map(Service::new), payload, folder, runs, root: Default::default() }
    }

    async fn perform(&self, job: &Job) -> Result<(), Failure> {
        match (job.task, &self.service) {
            (Task::Install, _) => {
                let package = job.package.clone().ok_or_else(|| Failure::new("there is no package"))?;
                let (payload, folder) = (self.payload.clone(), self.folder.clone());
                let file = blocking(move || payload.unpack(&package, &folder)).await?;
                self.dpkg(job, INSTALL, None, Some((FILE, &file))).await
            }
            (Task::Remove, _) => self.dpkg(job, REMOVE, Some(&self.package), None).await,
            (Task::Activate, Some(service)) => service.enable().await,
            // It is used by others, and never stopped.
            (Task::Activate, None) => Ok(()),
            (Task::Deactivate, Some(service)) => service.disable().await,
            (Task::Start, Some(service)) => service.start().await,
            (Task::Stop, Some(service)) => service.stop().await,
            (Task::Purge, Some(service)) => service.clean().await,
            (task, None) => Err(Failure::new(format!("no {task} of {}: it has no unit", self.package))),
        }
    }

    /// Runs a script, whose last argument is a name or the file.
    async fn dpkg(
        &self,
        job: &Job,
        script: &str,
        name: Option<&str>,
        file: Option<(&str, &Path)>,
    ) -> Result<(), Failure> {
        let unit = self.service.as_ref().map_or("", Service::unit);
        let (dpkg, apt) = (self.root.0.join(" "), self.root.1.join(" "));
        let words =
            ["/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-c", script, "dpkg", &dpkg, &apt, unit];
        let command: Vec<String> = words.into_iter().chain(name).map(str::to_owned).collect();
        let run = self.runs.start(job.number, &command, file).map_err(|error| failed(job.task, error))?;
        let ended = self.ended(&run, job.task).await;
        ended.unwrap_or_else(|| Err(failed(job.task, "dpkg was ended before its end")))
    }

    async fn ended(&self, run: &Run, task: Task) -> Option<Result<(), Failure>> {
        let code = run.follow(WHO).await?;
        let _ = std::fs::remove_file(self.folder.join(FILE));
        Some(if code == 0 { Ok(()) } else { Err(failed(task, format!("apt or dpkg ended with exit code {code}"))) })
    }

    /// Whether the machine is as the job wants it; `None`: it is not.
    async fn look(&self, job: &Job) -> Option<Result<(), Failure>> {
        let there = match job.task {
            Task::Install => self.installed().await? == job.release.version,
            Task::Remove => self.installed().await?.is_none(),
            Task::Activate => match &self.service {
                Some(service) => service.is_enabled().await?,
                None => true,
            },
            Task::Deactivate => !self.service.as_ref()?.is_enabled().await?,
            Task::Start | Task::Stop => {
                let runs = self.service.as_ref()?.state().await? == OperationalState::Running;
                runs == (job.task == Task::Start)
            }
            Task::Purge => false,
        };
        there.then_some(Ok(()))
    }

    /// The version that is installed, whole; the outer `None` where dpkg cannot be asked.
    async fn installed(&self) -> Option<Option<String>> {
        let mut query = Command::new("dpkg-query");
        query.args(&self.root.0).args(["--show", "--showformat=${Status}\n${Version}", &self.package]);
        let output = command::output(&mut query, QUERY).await.ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(said.strip_prefix("install ok installed\n").map(str::to_owned))
    }
}

/// The longest name and version, in bytes (9/x/0, 9/x/1).
const LONGEST: usize = 255;

/// Asks one of dpkg's programs about a file, which may take as long as a file is long.
async fn ask(program: &str, arguments: &[&str], file: Option<&Path>) -> Result<Output, Failure> {
    let output = command::output(Command::new(program).args(arguments).args(file), check::LOOK).await;
    output.map_err(|error| failed(program, error).with_result(UpdateResult::Device))
}

/// What a package of Debian says of itself, if it is whole and for this machine.
async fn inspect(file: &Path, package: &str) -> Result<(String, String), Failure> {
    let format = "--showformat=${Package}\n${Version}\n${Architecture}";
    let fields = ask("dpkg-deb", &["--show", format], Some(file)).await?;
    let said = String::from_utf8_lossy(&fields.stdout).into_owned();
    let [name, version, architecture] = said.lines().collect::<Vec<_>>()[..] else {
        let complaint = String::from_utf8_lossy(&fields.stderr).trim().to_owned();
        return Err(failed("no package of Debian", complaint).with_result(UpdateResult::PackageType));
    };
    let other = |what: String| Err(Failure::new(what).with_result(UpdateResult::PackageType));
    if name != package {
        return other(format!("this is {name:?}, and {package:?} is managed here"));
    }
    if version.len() > LONGEST {
        return other(format!("its version is longer than {LONGEST} bytes"));
    }
    let mut own = ask("dpkg", &["--print-architecture"], None).await?.stdout;
    own.extend(ask("dpkg", &["--print-foreign-architectures"], None).await?.stdout);
    if architecture != "all" && !String::from_utf8_lossy(&own).lines().any(|own| own == architecture) {
        return other(format!("this is for {architecture}"));
    }
    // Reads all of it.
    let contents = ask("dpkg-deb", &["--contents"], Some(file)).await?;
    if !contents.status.success() {
        let complaint = String::from_utf8_lossy(&contents.stderr).trim().to_owned();
        return Err(failed("the package is damaged", complaint).with_result(UpdateResult::Integrity));
    }
    Ok((name.to_owned(), version.to_owned()))
}

impl Manager for Apt {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            let look = async |file: PathBuf| inspect(&file, &self.package).await;
            let (release, (name, version)) = self.payload.inspect(package, &self.folder, look).await?;
            Ok(release.name(name).version(version))
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.perform(job))
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async {
            match self.ended(&self.runs.run(job.number), job.task).await {
                Some(ended) => Some(ended),
                None => self.look(job).await,
            }
        })
    }

    fn operational_state<'a>(&'a self, _: &'a Release) -> BoxFuture<'a, Option<OperationalState>> {
        Box::pin(async { self.service.as_ref()?.state().await })
    }

    fn can_purge(&self) -> bool {
        self.service.is_some()
    }
}

#[cfg(test)]
mod tests;
