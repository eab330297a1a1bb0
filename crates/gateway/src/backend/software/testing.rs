//! Packages for the tests of all kinds, made by the programs that people make them with.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lapwing::objects::software::{Job, Package, Release, Task};

/// A folder for one test.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// An executable file.
    pub(super) fn program(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A gzipped tar of these files, executable all of them, with their checksums behind these comments.
    pub(super) fn pack(&self, comments: &str, files: &[(&str, &[u8])]) -> Package {
        let folder = self.path("packed");
        let _ = fs::remove_dir_all(&folder);
        for (name, content) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(self.path("list"), comments).unwrap();
        self.shell("cd packed && find . -type f | xargs sha256sum >> ../list && mv ../list checksums.txt");
        self.shell("cd packed && tar czf ../package *");
        self.package("package")
    }

    pub(super) fn package(&self, name: &str) -> Package {
        Package::new(self.path(name), fs::metadata(self.path(name)).unwrap().len(), [7; 32])
    }

    pub(super) fn shell(&self, script: &str) -> String {
        let output = Command::new("sh").args(["-ec", script]).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Whether a program is there; if it is not, the test says so, and cannot be run.
pub(super) fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output().unwrap().status.success();
    if !found {
        eprintln!("not run: {program} is not installed here");
    }
    found
}

/// What the object would ask for.
pub(super) fn job(task: Task, number: u64, release: &Release, package: Option<&Path>) -> Job {
    let mut job = Job::new(task, number, release.clone());
    job.package = package.map(Path::to_owned);
    job
}
