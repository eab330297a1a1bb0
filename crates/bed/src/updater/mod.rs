//! Machines with two sides, A and B, that real installers of firmware write to: files, a U-Boot environment in a file, and a daemon in a
//! mount namespace of its own. A is booted. Needs root.

mod rauc;
mod swupdate;

pub use rauc::Rauc;
pub use swupdate::Swupdate;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::eventually;

/// What is wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Nothing.
    Sound,
    /// It is signed with a key that the machine does not know.
    Stranger,
    /// A byte of what is to be written is not what was signed.
    Damaged,
    /// It ends in the middle.
    CutShort,
    /// It is one for another kind of machine.
    OtherMachine,
    /// It is no image at all.
    Noise,
}

/// What a machine has on its sides before anything is installed.
pub const OLD: &[u8] = b"as it was delivered";

/// Bytes that have no pattern, the same ones for the same seed.
#[must_use]
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed + 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A machine with two sides.
pub trait Machine {
    /// Its folder, where a test may keep files of its own.
    fn folder(&self) -> &Path;
    /// Starts the daemon, which must not run.
    fn start(&mut self);
    /// Ends the daemon as a power cut would: it can do nothing about it.
    fn kill(&mut self);
    /// An image with this content.
    fn image(&self, kind: Image, content: &[u8]) -> PathBuf;
    /// A command for a program that runs on this machine: it sees the machine's files, bus and boot.
    fn command(&self, program: &Path) -> Command;

    /// The side that runs.
    ///
    /// # Panics
    /// Where the folder cannot be read.
    fn booted(&self) -> String {
        fs::read_to_string(self.folder().join(BOOTED)).expect("a side is booted").trim().to_owned()
    }

    /// Reboots as by a power cut into this side: the boot loader's choice is [`next`](Machine::next), unless that does not come up. What else
    /// runs on the machine is the caller's to end and to start.
    ///
    /// # Panics
    /// Where the folder cannot be written to.
    fn reboot_into(&mut self, side: &str) {
        self.kill();
        boot(self.folder(), side);
        self.start();
    }

    /// The beginning of what is on this side.
    ///
    /// # Panics
    /// Where there is no such side.
    fn side(&self, name: &str, length: usize) -> Vec<u8> {
        let mut content = fs::read(self.folder().join(format!("side{name}"))).expect("a side");
        content.truncate(length);
        content
    }

    /// The side that is booted next.
    fn next(&self) -> String {
        let config = self.folder().join("fw_env.config");
        let output = crate::run("fw_printenv", &["-c", text(&config), "-n", "bootside"]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Lets A be booted next, as it is now.
    fn boot_a(&self) {
        let (config, initial) = (self.folder().join("fw_env.config"), self.folder().join("initial-env"));
        let arguments = ["-c", text(&config), "-f", text(&initial), "bootside", "A"];
        assert!(crate::run("fw_setenv", &arguments).status.success());
    }

    /// The next installation stops in its middle.
    ///
    /// # Panics
    /// Where the folder cannot be written to.
    fn hold(&self) {
        let _ = fs::remove_file(self.folder().join("go"));
        let _ = fs::remove_file(self.folder().join("held"));
        fs::write(self.folder().join("hold"), "").expect("a file");
    }

    /// Whether it has stopped there.
    fn is_held(&self) -> bool {
        self.folder().join("held").exists()
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// Where the folder cannot be written to.
    fn release(&self) {
        let _ = fs::remove_file(self.folder().join("hold"));
        fs::write(self.folder().join("go"), "").expect("a file");
    }
}

/// Which side runs.
const BOOTED: &str = "booted";
/// What names this boot of the machine instead of the kernel's own file.
const BOOT_ID: &str = "boot_id";

/// This side runs from now on, and it is another boot than before.
fn boot(folder: &Path, side: &str) {
    fs::write(folder.join(BOOTED), side).expect("a scratch folder");
    let id = fs::read("/proc/sys/kernel/random/uuid").expect("a kernel");
    fs::write(folder.join(BOOT_ID), id).expect("a scratch folder");
}

/// A shell's words for stopping where the machine is to be held; ends by itself when the folder goes.
fn stop(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "if [ -e {folder}/hold ]; then touch {folder}/held; while [ -e {folder}/hold ] && [ ! -e {folder}/go ]; do sleep 0.02; done; fi\n"
    )
}

/// The path as text, as commands want it.
///
/// # Panics
/// Where it is not UTF-8.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs a program that must succeed.
fn must(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{command:?}: {error}: run `cargo xtask test`, which installs it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Both sides, the environment that names the one that is booted, and two keys with their certificates.
fn furnish(folder: &Path) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).expect("a scratch folder");
    for side in ["sideA", "sideB"] {
        let mut content = OLD.to_vec();
        content.resize(SIDE, 0);
        write(side, &content);
    }
    boot(folder, "A");
    write("uboot.env", &[0xff; 0x4000]);
    write("initial-env", b"bootside=A\n");
    write("fw_env.config", format!("{} 0x0000 0x4000\n", folder.join("uboot.env").display()).as_bytes());
    for who in ["own", "stranger"] {
        let arguments = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 3650 -addext \
                         extendedKeyUsage=emailProtection -addext keyUsage=digitalSignature";
        must(
            Command::new("openssl")
                .args(arguments.split_whitespace())
                .args(["-subj", &format!("/CN={who}"), "-keyout", &format!("{who}.key"), "-out", &format!("{who}.pem")])
                .current_dir(folder),
        );
    }
}

/// How large a side is, in bytes.
const SIDE: usize = 4 << 20;

/// Waits until the daemon can be talked to.
fn appears(path: &Path) {
    eventually(&format!("{}", path.display()), || path.exists().then_some(()));
}
