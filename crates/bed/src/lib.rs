//! Real daemons and peers for tests: install nothing, start, address, stop.
//!
//! What a test starts through this crate ends with the test: a [`Process`] is killed when it is dropped, and the Leshan
//! peers end by themselves when their standard input does, so that not even a killed test leaves one behind.
//! `cargo xtask test` installs the programs; here a missing one is a panic that names that command.

pub mod files;
pub mod keys;
pub mod leshan;
pub mod nat;
mod process;
pub mod updater;
pub mod usage;

pub use process::{Lines, Process};

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen soon: generous, since CI shares its cores.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The workspace's root folder.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/bed lies two folders deep").to_owned()
}

/// The folder that cargo builds into.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// A program of this workspace that `cargo xtask test` has built with the dev profile, such as `lapwing` or
/// `examples/test_object`.
///
/// # Panics
/// Where it has not been built.
#[must_use]
pub fn built(program: &str) -> PathBuf {
    let path = target().join("debug").join(program);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    path
}

/// Runs an installed program to its end.
///
/// # Panics
/// Where the program is not installed.
#[must_use]
pub fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask test`, which installs what it needs"))
}

/// Asks until `probe` gives something, for [`PATIENCE`].
///
/// # Panics
/// When nothing came; `what` says what was awaited.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
