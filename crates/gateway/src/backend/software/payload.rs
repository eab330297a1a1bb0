use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use lapwing::driver::FileSystem;
use lapwing::objects::software::package::{Format, PublicKey};
use lapwing::objects::software::{Failure, Package, Release};

use super::failed;

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

    /// What is known of a package, and where its file is to be looked at: a copy in `folder` where it was packed, which is to be
    /// [cleared](Self::clear) away then. Blocks.
    pub(super) fn lay_out(&self, package: &Package, folder: &Path) -> Result<(Release, PathBuf), Failure> {
        let mut release = package.release();
        let Self::Packed(format) = self else { return Ok((release, package.path.clone())) };
        let (path, named) = unpack(format, &package.path, folder)?;
        (release.name, release.version) = named;
        Ok((release, path))
    }

    /// Removes what was laid out there.
    pub(super) fn clear(&self, path: &Path) -> Result<(), Failure> {
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
