use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use lapwing::driver::FileSystem;
use lapwing::objects::software::package::{Format, PublicKey};
use lapwing::objects::software::{Failure, Package, Release};

use super::{blocking, failed};

/// How the file that is installed comes out of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// It is the package.
    Bare,
    /// It lies in the package, with its checksum and the signature of that.
    Packed(Format),
}

impl Payload {
    /// Bare, unless one of these keys must have signed it; packed, it has the name `file`.
    pub fn new(file: &str, keys: Vec<PublicKey>) -> Self {
        if keys.is_empty() { Self::Bare } else { Self::Packed(Format::new(file).signed_by(keys)) }
    }

    /// Looks at a package without a trace: what is known of it, and what `look` finds in its file, which is a copy in `folder` where it was
    /// packed.
    pub(super) async fn inspect<T, L: Future<Output = Result<T, Failure>>>(
        &self,
        package: &Package,
        folder: &Path,
        look: impl FnOnce(PathBuf) -> L,
    ) -> Result<(Release, T), Failure> {
        let (payload, package, folder) = (self.clone(), package.clone(), folder.to_owned());
        let (release, file) = blocking(move || payload.lay_out(&package, &folder)).await?;
        let found = look(file.clone()).await;
        self.clear(&file)?;
        Ok((release, found?))
    }

    /// What is known of a package, and where its file is to be looked at.
    fn lay_out(&self, package: &Package, folder: &Path) -> Result<(Release, PathBuf), Failure> {
        let mut release = package.release();
        let Self::Packed(format) = self else { return Ok((release, package.path.clone())) };
        let (path, named) = unpack(format, &package.path, folder)?;
        (release.name, release.version) = named;
        Ok((release, path))
    }

    /// Removes what was laid out there.
    fn clear(&self, path: &Path) -> Result<(), Failure> {
        match self {
            Self::Bare => Ok(()),
            Self::Packed(_) => std::fs::remove_file(path).map_err(|error| failed(path.display(), error)),
        }
    }

    /// The file to install from, which is a copy in `folder` where it was packed. Blocks.
    pub(super) fn unpack(&self, package: &Path, folder: &Path) -> Result<PathBuf, Failure> {
        match self {
            Self::Bare => Ok(package.to_owned()),
            Self::Packed(format) => Ok(unpack(format, package, folder)?.0),
        }
    }
}

type Named = (Option<String>, Option<String>);

fn unpack(format: &Format, package: &Path, folder: &Path) -> Result<(PathBuf, Named), Failure> {
    let at = |error| failed(folder.display(), error);
    std::fs::create_dir_all(folder).map_err(at)?;
    let executable = format.unpack(open(package)?, &FileSystem, folder)?;
    Ok((format.path(folder), (executable.name, executable.version)))
}

pub(super) fn open(package: &Path) -> Result<BufReader<File>, Failure> {
    File::open(package).map(BufReader::new).map_err(|error| failed(package.display(), error))
}
