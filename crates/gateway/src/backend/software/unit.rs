//! An archive with a unit of systemd: its files lie in a folder of their own, and its unit among those of the machine.
//!
//! In the unit's file, `@folder@` stands for that folder.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use lapwing::objects::software::package::{Format, PublicKey};
use lapwing::objects::software::{BoxFuture, Failure, Job, Manager, OperationalState, Package, Release, Task};

use super::payload::open;
use super::service::Service;
use super::{blocking, failed};

/// Where units of the machine's administrator are.
const UNITS: &str = "/etc/systemd/system";
/// Stands in a unit for the folder that the package's files are in.
const FOLDER: &str = "@folder@";

/// Files with a unit.
#[derive(Debug, Clone)]
pub struct Unit {
    service: Service,
    format: Format,
    place: Place,
}

/// Where the files are.
#[derive(Debug, Clone)]
struct Place {
    /// Of the package's files: a folder for each installation, and a link to the present one.
    folder: PathBuf,
    units: PathBuf,
    unit: String,
}

impl Unit {
    /// A package that has the file of this unit, `NAME.service`, at its top; one of the keys, where there are any, must have signed
    /// it. Its files come into `folder`, whose path is absolute.
    pub fn new(unit: &str, keys: Vec<PublicKey>, folder: PathBuf) -> Self {
        let place = Place { folder, units: UNITS.into(), unit: unit.to_owned() };
        Self { service: Service::new(unit), format: Format::new(unit).signed_by(keys), place }
    }

    async fn install(&self, job: &Job) -> Result<(), Failure> {
        let (place, format, number) = (self.place.clone(), self.format.clone(), job.number);
        let package = job.package.clone().ok_or_else(|| Failure::new("there is no package"))?;
        let new = place.folder.join(number.to_string());
        blocking(move || {
            let created = DirBuilder::new().recursive(true).mode(0o755).create(&place.folder);
            created.map_err(|error| failed(place.folder.display(), error))?;
            format.unpack_all(open(&package)?, &new)?;
            Ok(())
        })
        .await?;
        // From here on the earlier one does not run: Activate starts the new one.
        if job.replaces.is_some() {
            self.service.disable().await?;
        }
        let place = self.place.clone();
        blocking(move || place.switch(number).map_err(|error| failed(place.folder.display(), error))).await?;
        self.service.reload().await
    }

    async fn remove(&self) -> Result<(), Failure> {
        if self.place.unit_file().exists() {
            self.service.disable().await?;
        }
        let place = self.place.clone();
        blocking(move || place.clear().map_err(|error| failed(place.folder.display(), error))).await?;
        self.service.reload().await
    }

    async fn perform(&self, job: &Job) -> Result<(), Failure> {
        match job.task {
            Task::Install => self.install(job).await,
            Task::Remove => self.remove().await,
            Task::Activate => self.service.enable().await,
            Task::Deactivate => self.service.disable().await,
            Task::Start => self.service.start().await,
            Task::Stop => self.service.stop().await,
            Task::Purge => self.service.clean().await,
        }
    }

    /// Whether the machine is as the job wants it. All that has begun has gone on without the agent, or is not done.
    async fn look(&self, job: &Job) -> Option<bool> {
        Some(match job.task {
            Task::Install => self.place.is_at(job.number) && self.service.reload().await.is_ok(),
            Task::Remove => self.place.is_cleared() && self.service.reload().await.is_ok(),
            Task::Activate => self.service.is_enabled().await?,
            Task::Deactivate => !self.service.is_enabled().await?,
            Task::Start => self.service.state().await? == OperationalState::Running,
            Task::Stop => self.service.state().await? == OperationalState::Stopped,
            Task::Purge => false,
        })
    }
}

impl Place {
    /// A link to the folder of what is installed.
    fn current(&self) -> PathBuf {
        self.folder.join("current")
    }

    fn unit_file(&self) -> PathBuf {
        self.units.join(&self.unit)
    }

    /// What was unpacked for this job takes the place of what was there: the link last, in one step.
    fn switch(&self, number: u64) -> io::Result<()> {
        let name = number.to_string();
        let text = fs::read_to_string(self.folder.join(&name).join(&self.unit))?;
        let text = text.replace(FOLDER, &self.current().display().to_string());
        write(&self.unit_file(), text.as_bytes())?;
        let new = self.folder.join("new");
        remove(&new)?;
        symlink(&name, &new)?;
        fs::rename(&new, self.current())?;
        File::open(&self.folder)?.sync_all()?;
        self.remove_installations(Some(number))
    }

    /// Removes the folders of installations but for this one. What else is in the folder, which the configuration may share with others, is
    /// not ours.
    fn remove_installations(&self, but: Option<u64>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok().filter(|of: &u64| of.to_string() == name));
            if number.is_some() && number != but && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn is_cleared(&self) -> bool {
        let is_gone =
            |path: &Path| fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        is_gone(&self.unit_file()) && is_gone(&self.current())
    }

    fn is_at(&self, number: u64) -> bool {
        fs::read_link(self.current()).is_ok_and(|link| link == Path::new(&number.to_string()))
    }

    /// Removes everything, the link last, and the folder where nothing else is in it.
    fn clear(&self) -> io::Result<()> {
        remove(&self.unit_file())?;
        remove(&self.folder.join("new"))?;
        match self.remove_installations(None) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove(&self.current())?;
        match fs::remove_dir(&self.folder) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file anew: synced, and whole or not at all.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // systemd reads no file with this end.
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

impl Manager for Unit {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            let (format, package, unit) = (self.format.clone(), package.clone(), self.place.unit.clone());
            blocking(move || {
                let found = format.verify(open(&package.path)?)?;
                let mut release = package.release().name(found.name.unwrap_or(unit));
                release.version = found.version;
                Ok(release)
            })
            .await
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.perform(job))
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async { self.look(job).await?.then_some(Ok(())) })
    }

    fn operational_state<'a>(&'a self, _: &'a Release) -> BoxFuture<'a, Option<OperationalState>> {
        Box::pin(self.service.state())
    }

    fn can_purge(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
