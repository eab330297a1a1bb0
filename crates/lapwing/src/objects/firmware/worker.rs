//! What goes on beside the servers' requests: installing, waiting, rebooting.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::core::Core;
use super::machine::{Image, Input, Phase, Step, Work};
use super::{Confirmation, Failure, Installed, UpdateResult};
use crate::driver::Disk;
use crate::transfer::{self, Cause, Uri};

/// So long an update that nobody waits for gives the notification of its state to leave, and the answer to the package's last block.
pub(super) const LEAVE: Duration = Duration::from_secs(3);

pub(super) async fn perform<D: Disk>(core: Arc<Core<D>>, work: Work) {
    let machine = core.keeper.machine();
    let serial = machine.serial;
    match (work, machine.phase) {
        (Work::Pull, _) => pull(&core, serial, &machine.uri).await,
        (Work::Defer(seconds), _) => {
            sleep(Duration::from_secs(seconds.into())).await;
            if let Some(Work::Install) = core.keeper.news(Input::Due(serial)).await {
                core.keeper.order(LEAVE, Work::Install);
            }
        }
        (Work::Install, Phase::Updating { image, step: Step::Intended }) => install(&core, serial, &image).await,
        (Work::Resume, Phase::Updating { image, .. }) => {
            let resumed = core.installer.resume(&core.update(serial, &image)).await;
            let unknown =
                || Err(Failure::new("it is not known what became of the installation: it is not begun again"));
            end(&core, serial, resumed.unwrap_or_else(unknown)).await;
        }
        (Work::Reboot, Phase::Updating { .. }) => reboot(&core, serial).await,
        (Work::Confirm, Phase::Updating { image, step: Step::Rebooting(memory) }) => {
            match core.installer.confirm(&core.update(serial, &image), &memory).await {
                Confirmation::Pending => reboot(&core, serial).await,
                Confirmation::Running => end(&core, serial, Ok(Installed::Done)).await,
                Confirmation::Failed(failure) => end(&core, serial, Err(failure)).await,
            }
        }
        _ => {}
    }
}

/// Fetches the package, or what is missing of it.
async fn pull<D: Disk>(core: &Core<D>, serial: u64, uri: &str) {
    let came = match &core.source {
        Some(source) => transfer::pull(&core.keeper.place, &**source, uri, None, &core.keeper.meter).await,
        None => Err(unfetched(uri).into()),
    };
    if let Err(error) = core.came(serial, came).await {
        tracing::debug!(%error, "no package");
    }
}

/// Where nothing fetches a package, each protocol is as unknown as the next.
fn unfetched(uri: &str) -> Cause {
    match uri.parse::<Uri>() {
        Ok(uri) => Cause::Scheme(uri.scheme().name().to_owned()),
        Err(cause) => cause,
    }
}

/// Gives the package to the installer, if it still is what was received.
async fn install<D: Disk>(core: &Core<D>, serial: u64, image: &Image) {
    let update = core.update(serial, image);
    let ended = if core.keeper.is_intact(image.digest).await {
        core.installer.install(&update).await
    } else {
        let reason = "the package on the disk is no longer what was received";
        Err(Failure::new(reason).with_result(UpdateResult::Integrity))
    };
    end(core, serial, ended).await;
}

async fn reboot<D: Disk>(core: &Core<D>, serial: u64) {
    tracing::info!("firmware: rebooting");
    if let Err(reason) = core.installer.reboot().await {
        end(core, serial, Err(Failure::new(format!("no reboot: {reason}")))).await;
    }
}

async fn end<D: Disk>(core: &Core<D>, serial: u64, ended: Result<Installed, Failure>) {
    if let Err(failure) = &ended {
        tracing::error!("firmware: {failure}");
    }
    core.keeper.news(Input::Ended(serial, ended)).await;
}
