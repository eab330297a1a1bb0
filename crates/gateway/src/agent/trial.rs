//! Whether this agent has come to stay: one that was just put in place is on trial until it has registered.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use lapwing::{Event, Events};
use tokio::sync::watch;

/// The mark of a trial, which is a file of whoever starts the agent.
#[derive(Debug)]
pub(super) struct Trial {
    mark: Option<PathBuf>,
    stays: watch::Sender<bool>,
}

impl Trial {
    /// On trial where the file is there.
    pub(super) fn new(mark: Option<PathBuf>) -> Self {
        let mark = mark.filter(|mark| mark.exists());
        if let Some(mark) = &mark {
            tracing::info!("this agent is on trial until it has registered ({})", mark.display());
        }
        Self { stays: watch::Sender::new(mark.is_none()), mark }
    }

    /// Becomes true when the agent is not on trial any more.
    pub(super) fn stays(&self) -> watch::Receiver<bool> {
        self.stays.subscribe()
    }

    /// Waits for the first registration, and ends the trial then.
    pub(super) async fn pass(self, mut events: Events) {
        let Some(mark) = &self.mark else { return };
        while let Some(event) = events.next().await {
            // An update shows as much, where a registration goes on after the restart.
            if !matches!(event, Event::Registered { .. } | Event::Resumed { .. } | Event::Updated { .. }) {
                continue;
            }
            match remove(mark) {
                Ok(()) => {
                    tracing::info!("the trial is over: this agent stays");
                    self.stays.send_replace(true);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::error!("registered too late: the agent before this one comes back");
                }
                Err(error) => {
                    tracing::error!("the agent before this one will come back: {}: {error}", mark.display());
                }
            }
            return;
        }
    }
}

/// Once this is done a power cut does not bring the mark back.
fn remove(mark: &Path) -> io::Result<()> {
    fs::remove_file(mark)?;
    File::open(mark.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_mark_there_is_no_trial() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("trial");
        for trial in [Trial::new(None), Trial::new(Some(mark.clone()))] {
            assert!(*trial.stays().borrow());
        }
        fs::write(&mark, "1").unwrap();
        assert!(!*Trial::new(Some(mark)).stays().borrow());
    }
}
