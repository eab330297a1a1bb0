//! Has a program of the machine's maker look at firmware that has come.
//!
//! The program gets the path of the image behind its arguments. 0: the image is good, and `name: NAME` and `version: VERSION` on its
//! standard output are told. A number of a failure of /5/0/5 (2 to 9) is what the server is told; all else is "integrity check failure"
//! (5). What it writes to standard error goes to the log.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use lapwing::objects::firmware::{Failure, Package, UpdateResult};
use tokio::process::Command;

use super::command;
use super::program::stated;
use crate::platform::{BoxFuture, Inspector};

/// So long a program may look at an image.
pub(super) const LOOK: Duration = Duration::from_secs(3600);

/// Inspects by a program.
#[derive(Debug, Clone)]
pub struct Check {
    command: Vec<String>,
}

impl Check {
    /// The program with its arguments.
    ///
    /// # Panics
    /// When `command` is empty.
    pub fn new(command: Vec<String>) -> Self {
        assert!(!command.is_empty(), "there is a program");
        Self { command }
    }

    async fn run(&self, image: &Path) -> Result<Output, Failure> {
        let ended = command::output(Command::new(&self.command[0]).args(&self.command[1..]).arg(image), LOOK).await;
        ended.map_err(|error| Failure::new(format!("{}: {error}", self.command.join(" "))))
    }

    fn judge(&self, output: &Output) -> Result<Package, Failure> {
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(Package { name: stated(&said, "name"), version: stated(&said, "version") });
        }
        let code = output.status.code().and_then(|code| u8::try_from(code).ok());
        let result = code.and_then(UpdateResult::from_number).filter(|result| result.is_failure());
        let failure = Failure::new(format!("{} does not take the package: {}", self.command.join(" "), output.status));
        Err(failure.with_result(result.unwrap_or(UpdateResult::Integrity)))
    }
}

impl Inspector for Check {
    fn inspect<'a>(&'a self, image: &'a Path) -> BoxFuture<'a, Result<Package, Failure>> {
        Box::pin(async {
            let output = self.run(image).await?;
            for line in String::from_utf8_lossy(&output.stderr).lines().filter(|line| !line.trim().is_empty()) {
                let shown: String = line.chars().filter(|each| !each.is_control()).collect();
                tracing::info!("check: {shown}");
            }
            self.judge(&output)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn checked(script: &str) -> Result<Package, (UpdateResult, String)> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::write(&image, "an image").unwrap();
        let check = Check::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec());
        let found = check.inspect(&image).await;
        assert_eq!(std::fs::read(&image).unwrap(), b"an image");
        found.map_err(|failure| (failure.result, failure.reason))
    }

    #[tokio::test]
    async fn what_the_program_says_of_an_image_is_told() {
        let found = checked("echo noise; echo 'name: kettle'; echo \"version:  $(wc -c < $0)\"").await;
        assert_eq!(found, Ok(Package { name: Some("kettle".into()), version: Some("8".into()) }));
        assert_eq!(checked("echo name:").await, Ok(Package::default()));
    }

    #[tokio::test]
    async fn its_exit_code_is_a_result_where_it_is_one_of_a_failure() {
        let result = async |script: &str| checked(script).await.map_err(|(result, _)| result);
        assert_eq!(result("exit 6").await, Err(UpdateResult::PackageType));
        assert_eq!(result("exit 3").await, Err(UpdateResult::OutOfMemory));
        for other in ["exit 1", "exit 10", "exit 255", "kill -9 $$"] {
            assert_eq!(result(other).await, Err(UpdateResult::Integrity), "{other}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_refuses_everything() {
        let check = Check::new(vec!["/nonexistent/check".to_owned()]);
        let failure = check.inspect(Path::new("/dev/null")).await.unwrap_err();
        assert_eq!(failure.result, UpdateResult::UpdateFailed);
        assert!(failure.reason.contains("/nonexistent/check"), "{failure}");
    }
}
