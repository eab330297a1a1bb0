//! The agent itself: the executable of a package is put where the runner that starts the agent finds it, and runs when the agent ends.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapwing::driver::FileSystem;
use lapwing::objects::software::package::{Format, PublicKey};
use lapwing::objects::software::{BoxFuture, Failure, Job, Manager, Package, Release, Task, UpdateResult};
use lapwing::transfer::sha256_of;
use tokio::sync::{Notify, watch};

use super::payload::open;
use super::{blocking, failed};

/// What an ELF file begins with.
const ELF: &[u8] = b"\x7fELF";
/// So much of an ELF file says for which machines it is: its class, byte order and machine.
const ELF_HEAD: usize = 20;

/// The agent's own executable.
#[derive(Debug, Clone)]
pub struct Own {
    place: Arc<Place>,
    /// Ends the agent so that it is updated.
    end: Arc<Notify>,
    /// Whether what runs has come to stay.
    stays: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    format: Format,
}

impl Own {
    /// The runner takes updates from the file `update`, and the executable in a package has the same name; one of the keys, where there are
    /// any, must have signed it. `end` ends the agent with the exit code that makes the runner do so; `stays` becomes true when the
    /// program that runs will not be taken back. `None`: this is no path of a file.
    pub fn new(update: &Path, keys: Vec<PublicKey>, end: Arc<Notify>, stays: watch::Receiver<bool>) -> Option<Self> {
        let (folder, file) = (update.parent()?.to_owned(), update.file_name()?.to_str()?);
        let format = Format::new(file).signed_by(keys);
        Some(Self { place: Arc::new(Place { folder, format }), end, stays })
    }

    /// The executable of this job lies where the runner takes it from.
    async fn put(&self, job: &Job) -> Result<(), Failure> {
        let (place, package, sha256) = (Arc::clone(&self.place), job.package.clone(), job.release.sha256);
        blocking(move || place.put(package.as_deref(), sha256)).await
    }
}

impl Place {
    fn verify(&self, package: &Path) -> Result<Release, Failure> {
        Ok(Release::executable(&self.format.verify(open(package)?)?))
    }

    fn put(&self, package: Option<&Path>, sha256: [u8; 32]) -> Result<(), Failure> {
        let path = self.format.path(&self.folder);
        self.own_folder().map_err(|error| failed(self.folder.display(), error))?;
        let there = |path: &Path| hashed(path).map_err(|error| failed(path.display(), error));
        if there(&path)? == Some(sha256) {
            return Ok(());
        }
        // The folder of updates need not survive what the package survives.
        let package =
            package.ok_or_else(|| Failure::new("neither the executable nor its package is there any more"))?;
        let executable = self.format.unpack(open(package)?, &FileSystem, &self.folder)?;
        if executable.sha256 != sha256 {
            return Err(Failure::new("the package is not what it was").with_result(UpdateResult::Integrity));
        }
        let fits = runs_here(&path).map_err(|error| failed(path.display(), error));
        if let Err(failure) =
            fits.and_then(|fits| fits.map_err(|why| failed(path.display(), why).with_result(UpdateResult::PackageType)))
        {
            fs::remove_file(&path).map_err(|error| failed(path.display(), error))?;
            return Err(failure);
        }
        Ok(())
    }

    /// Whoever else could write there would choose what this user runs.
    fn own_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let found = fs::symlink_metadata(&self.folder)?;
        let own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
        if own { Ok(()) } else { Err(io::Error::other("others than this user can write to this folder")) }
    }
}

/// The SHA-256 of a file; `None` where there is none.
fn hashed(path: &Path) -> io::Result<Option<[u8; 32]>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => sha256_of(opened?).map(Some),
    }
}

/// Whether a file is for another machine than this program is; a script may run anywhere.
fn runs_here(path: &Path) -> io::Result<Result<(), &'static str>> {
    let (found, own) = (head(path)?, head(Path::new("/proc/self/exe"))?);
    let same = found.len() == own.len() && found[..6] == own[..6] && found[18..] == own[18..];
    let other = found.starts_with(ELF) && own.starts_with(ELF) && !same;
    Ok(if other { Err("this executable is for another kind of machine") } else { Ok(()) })
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(ELF_HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

impl Manager for Own {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            let (place, path) = (Arc::clone(&self.place), package.path.clone());
            blocking(move || place.verify(&path)).await
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            match job.task {
                Task::Install => self.put(job).await,
                Task::Activate => {
                    self.put(job).await?;
                    self.end.notify_one();
                    // The process ends, and another one tells how it went.
                    std::future::pending().await
                }
                other => Err(Failure::new(format!("there is no {other} of the agent itself"))),
            }
        })
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async {
            match job.task {
                // As often as one likes: it puts one file in its place.
                Task::Install => Some(self.put(job).await),
                Task::Activate => {
                    let mut stays = self.stays.clone();
                    if stays.wait_for(|stays| *stays).await.is_err() {
                        // This process ends while it is on trial, or comes too late: the one that is started next shows which.
                        std::future::pending::<()>().await;
                    }
                    Some(Ok(()))
                }
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests;
