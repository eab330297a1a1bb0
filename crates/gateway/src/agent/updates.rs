//! What is being updated, as the control socket tells it.

use std::time::Duration;

use lapwing::Object;
use lapwing::objects::firmware::{self, Firmware};
use lapwing::objects::software::{self, OperationalState, Overview};
use lapwing::transfer::{Interruption, Progress};

use crate::control::{Installation, Package, Software, Transfer, Update};
use crate::objects::InstallProgress;
use crate::platform;

/// Object 5.
pub(super) fn firmware(firmware: &Firmware, installed: &InstallProgress) -> Update {
    let (state, result) = firmware.state();
    let name = match state {
        firmware::State::Idle => "idle",
        firmware::State::Downloading => "downloading",
        firmware::State::Downloaded => "downloaded",
        firmware::State::Updating => "updating",
    };
    let package = |(package, bytes): (firmware::Package, u64)| Package {
        name: package.name,
        version: package.version,
        bytes: Some(bytes),
    };
    let downloading = state == firmware::State::Downloading;
    let installation = |platform::Progress { percent, step }| Installation { percent, step };
    Update {
        state: state as u8,
        state_name: name.to_owned(),
        result: result as u8,
        result_text: result.to_string(),
        package: firmware.package().map(package),
        transfer: downloading.then(|| transfer(firmware.origin(), firmware.progress(), firmware.interruption())),
        installation: installed.get().filter(|_| state == firmware::State::Updating).map(installation),
    }
}

/// The instances of object 9.
pub(super) fn software(software: &software::Software) -> Vec<Software> {
    let instances = software.instances().into_iter();
    instances.filter_map(|instance| Some(of_software(instance, software.overview(instance)?))).collect()
}

fn of_software(instance: u16, seen: Overview) -> Software {
    let name = match seen.state {
        software::State::Initial => "initial",
        software::State::DownloadStarted => "downloading",
        software::State::Downloaded => "downloaded",
        software::State::Delivered => "delivered",
        software::State::Installed => "installed",
    };
    let operation = match seen.operational {
        OperationalState::Initializing => "starting",
        OperationalState::Running => "running",
        OperationalState::ShuttingDown => "stopping",
        OperationalState::Stopped => "stopped",
        OperationalState::Failed => "failed",
        OperationalState::Defunct => "defunct",
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    let (package, version) = (some(seen.release.0), some(seen.release.1));
    let known = package.is_some() || version.is_some();
    let downloading = seen.state == software::State::DownloadStarted;
    let update = Update {
        state: seen.state as u8,
        state_name: name.to_owned(),
        result: seen.result as u8,
        result_text: seen.result.to_string(),
        package: known.then_some(Package { name: package, version, bytes: None }),
        transfer: downloading.then(|| transfer(seen.origin, seen.progress, seen.interruption)),
        installation: None,
    };
    Software {
        instance,
        name: seen.name,
        update,
        active: seen.active,
        operation: operation.to_owned(),
        task: seen.task.map(|task| task.to_string()),
        reason: some(seen.reason),
    }
}

fn transfer(from: Option<String>, progress: Option<Progress>, interruption: Option<Interruption>) -> Transfer {
    // Rounded up: 0 is over.
    let seconds = |left: Duration| left.as_millis().div_ceil(1000) as u64;
    Transfer {
        retry_in: interruption.as_ref().map(|interruption| seconds(interruption.again)),
        give_up_in: interruption.as_ref().map(|interruption| seconds(interruption.left)),
        reason: interruption.map(|interruption| interruption.cause),
        from,
        bytes: progress.map(|progress| progress.received),
        size: progress.and_then(|progress| progress.size),
        rate: progress.map(|progress| progress.rate),
    }
}
