use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Image, Machine, appears, furnish, must, stop, text};
use crate::{Process, eventually};

/// A machine with the RAUC service on a bus of its own. Its slots are `rootfs.0` (side A) and `rootfs.1` (side B).
#[derive(Debug)]
pub struct Rauc {
    folder: TempDir,
    _bus: Process,
    service: Option<Process>,
}

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus.sock</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
  </policy>
</busconfig>
"#;

const SYSTEM: &str = "[system]
compatible=bed
bootloader=custom
statusfile={folder}/status
mountprefix={folder}/mount
bundle-formats=plain
[keyring]
path={folder}/own.pem
[handlers]
bootloader-custom-backend={folder}/boot.sh
[slot.rootfs.0]
device={folder}/sideA
type=raw
bootname=A
[slot.rootfs.1]
device={folder}/sideB
type=raw
bootname=B
";

/// A boot loader: a side is to be marked bad before it is written to, where the machine can be held.
const BOOT: &str = "#!/bin/sh
env='-c {folder}/fw_env.config'
case $1 in
  get-primary) fw_printenv $env -n bootside ;;
  set-primary) fw_setenv $env bootside $2 ;;
  get-state) cat {folder}/state-$2 2>/dev/null || echo good ;;
  set-state) {stop} echo $3 > {folder}/state-$2 ;;
  *) exit 1 ;;
esac
";

impl Rauc {
    /// A machine whose service runs.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let at = folder.path();
        furnish(at);
        let write = |name: &str, content: &str| {
            let content = content.replace("{folder}", text(at)).replace("{stop}", &stop(at));
            fs::write(at.join(name), content).expect("a file");
        };
        write("bus.conf", BUS);
        write("system.conf", SYSTEM);
        write("boot.sh", BOOT);
        fs::set_permissions(at.join("boot.sh"), fs::Permissions::from_mode(0o755)).expect("a file");
        let config = format!("--config-file={}/bus.conf", at.display());
        let bus = Process::start(Command::new("dbus-daemon").args([&config, "--nofork", "--nopidfile"]));
        appears(&at.join("bus.sock"));
        let mut machine = Self { folder, _bus: bus, service: None };
        machine.boot_a();
        machine.start();
        machine
    }

    /// The address of its bus.
    #[must_use]
    pub fn bus(&self) -> String {
        format!("unix:path={}/bus.sock", self.folder().display())
    }

    /// What the boot loader was told of a side, if anything: `good` or `bad`.
    #[must_use]
    pub fn state(&self, side: &str) -> Option<String> {
        let state = fs::read_to_string(self.folder().join(format!("state-{side}"))).ok()?;
        Some(state.trim().to_owned())
    }

    fn is_on_the_bus(&self) -> bool {
        let mut ask = Command::new("dbus-send");
        ask.args([&format!("--bus={}", self.bus()), "--print-reply=literal", "--dest=org.freedesktop.DBus", "/"]);
        ask.args(["org.freedesktop.DBus.NameHasOwner", "string:de.pengutronix.rauc"]);
        ask.output().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("true"))
    }
}

impl Default for Rauc {
    fn default() -> Self {
        Self::new()
    }
}

/// What is different about the file system that the machine's programs see: the name of the boot.
const NAMESPACE: &str = "set -e; mount --bind \"$0/boot_id\" /proc/sys/kernel/random/boot_id; exec \"$@\"";

impl Machine for Rauc {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", NAMESPACE, text(self.folder())]).arg(program);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus());
        command
    }

    fn start(&mut self) {
        assert!(self.service.is_none());
        let mut command = self.command(Path::new("rauc"));
        command.arg(format!("--conf={}/system.conf", self.folder().display()));
        command.args([&format!("--override-boot-slot={}", self.booted()), "service"]);
        self.service = Some(Process::start(&mut command));
        eventually("RAUC on the bus", || self.is_on_the_bus().then_some(()));
    }

    fn kill(&mut self) {
        self.service = None;
        eventually("RAUC off the bus", || (!self.is_on_the_bus()).then_some(()));
    }

    fn image(&self, kind: Image, content: &[u8]) -> PathBuf {
        let folder = tempfile::tempdir_in(self.folder()).expect("a folder").keep();
        let image = folder.join("image.raucb");
        if kind == Image::Noise {
            fs::write(&image, content).expect("a file");
            return image;
        }
        let bundle = folder.join("bundle");
        fs::create_dir(&bundle).expect("a folder");
        fs::write(bundle.join("rootfs.img"), content).expect("a file");
        let compatible = if kind == Image::OtherMachine { "another" } else { "bed" };
        let manifest = format!(
            "[update]\ncompatible={compatible}\nversion=2.0\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n"
        );
        fs::write(bundle.join("manifest.raucm"), manifest).expect("a file");
        let who = if kind == Image::Stranger { "stranger" } else { "own" };
        let key = |option: &str, what: &str| format!("--{option}={}/{who}.{what}", self.folder().display());
        must(Command::new("rauc").arg("bundle").args([key("cert", "pem"), key("key", "key")]).arg(&bundle).arg(&image));
        let mut whole = fs::read(&image).expect("a bundle");
        match kind {
            Image::Damaged => {
                let middle = whole.len() / 2;
                whole[middle] ^= 1;
            }
            Image::CutShort => whole.truncate(whole.len() / 2),
            _ => return image,
        }
        fs::write(&image, whole).expect("a bundle");
        image
    }
}
