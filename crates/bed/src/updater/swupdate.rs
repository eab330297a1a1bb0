use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Image, Machine, appears, furnish, must, stop, text};
use crate::Process;

/// A machine with the SWUpdate daemon. Its images write to the side that their running mode names, `copy-A` or `copy-B`: as the software set
/// `stable` they set the environment's `bootside` at last, as `main` they leave that to others.
#[derive(Debug)]
pub struct Swupdate {
    folder: TempDir,
    daemon: Option<Process>,
}

/// What is different about the file system that SWUpdate sees, and the rest of the machine: the files in /etc that it wants, a /tmp of its own,
/// and the name of the boot.
const NAMESPACE: &str = "set -e; cd \"$0\"; mount -t tmpfs tmpfs ns; mkdir ns/upper ns/work; cp fw_env.config ns/upper/; \
                         cp initial-env ns/upper/u-boot-initial-env; printf 'bed 1.0\\n' > ns/upper/hwrevision; \
                         mount -t overlay overlay -o lowerdir=/etc,upperdir=ns/upper,workdir=ns/work /etc; \
                         mount --bind boot_id /proc/sys/kernel/random/boot_id; exec \"$@\"";

impl Swupdate {
    /// A machine whose daemon runs.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let at = folder.path();
        furnish(at);
        for name in ["ns", "sockets"] {
            fs::create_dir(at.join(name)).expect("a folder");
        }
        let config = format!("globals: {{ loglevel = 5; public-key-file = \"{}/own.pem\"; }};\n", at.display());
        fs::write(at.join("swupdate.cfg"), config).expect("a file");
        let mut machine = Self { folder, daemon: None };
        machine.boot_a();
        machine.start();
        machine
    }

    /// Where the daemon's sockets are.
    #[must_use]
    pub fn sockets(&self) -> PathBuf {
        self.folder().join("sockets")
    }

    fn description(&self, kind: Image, files: &[(&str, String)]) -> String {
        let hash =
            |name: &str| files.iter().find(|(its, _)| *its == name).map(|(_, hash)| hash.as_str()).expect("a hash");
        let copy = |side: &str, boot: &str| {
            format!(
                "copy-{side}: {{ images: ( {{ filename = \"system\"; device = \"{}/side{side}\"; type = \"raw\"; sha256 = \"{}\"; }} ); \
                 scripts: ( {{ filename = \"stop.sh\"; type = \"preinstall\"; sha256 = \"{}\"; }} ); {boot} }};",
                self.folder().display(),
                hash("system"),
                hash("stop.sh"),
            )
        };
        let boot = |side: &str| format!("bootenv: ( {{ name = \"bootside\"; value = \"{side}\"; }} );");
        let hardware = if kind == Image::OtherMachine { "9.9" } else { "1.0" };
        let both = |boot: &dyn Fn(&str) -> String| format!("{} {}", copy("A", &boot("A")), copy("B", &boot("B")));
        format!(
            "software = {{ version = \"2.0\"; hardware-compatibility: [ \"{hardware}\" ]; stable: {{ {} }}; main: {{ {} }}; }}\n",
            both(&boot),
            both(&|_| String::new())
        )
    }
}

impl Default for Swupdate {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for Swupdate {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", NAMESPACE, text(self.folder())]).arg(program);
        command
    }

    fn start(&mut self) {
        assert!(self.daemon.is_none());
        let mut command = self.command(Path::new("swupdate"));
        command.args(["-B", "uboot", "-f", "swupdate.cfg", "-q", "stable,copy-A", "-q", "stable,copy-B"]);
        command.env("TMPDIR", self.sockets());
        self.daemon = Some(Process::start(&mut command));
        for name in ["sockinstctrl", "swupdateprog"] {
            appears(&self.sockets().join(name));
        }
    }

    fn kill(&mut self) {
        self.daemon = None;
        for name in ["sockinstctrl", "swupdateprog"] {
            // A daemon that was not killed removes them.
            let _ = fs::remove_file(self.sockets().join(name));
        }
    }

    fn image(&self, kind: Image, content: &[u8]) -> PathBuf {
        let folder = tempfile::tempdir_in(self.folder()).expect("a folder").keep();
        let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).expect("a file");
        let image = folder.join("image.swu");
        if kind == Image::Noise {
            write("image.swu", content);
            return image;
        }
        write("system", content);
        write("stop.sh", format!("#!/bin/sh\n{}", stop(self.folder())).as_bytes());
        fs::set_permissions(folder.join("stop.sh"), fs::Permissions::from_mode(0o755)).expect("a file");
        let sum = |name: &str| {
            let output = crate::run("sha256sum", &[text(&folder.join(name))]);
            String::from_utf8_lossy(&output.stdout).split_whitespace().next().expect("a hash").to_owned()
        };
        let files = ["system", "stop.sh"].map(|name| (name, sum(name)));
        write("sw-description", self.description(kind, &files).as_bytes());
        let who = if kind == Image::Stranger { "stranger" } else { "own" };
        let key = |what: &str| self.folder().join(format!("{who}.{what}"));
        must(
            Command::new("openssl")
                .args(
                    "cms -sign -in sw-description -out sw-description.sig -outform DER -nosmimecap -binary".split(' '),
                )
                .arg("-signer")
                .arg(key("pem"))
                .arg("-inkey")
                .arg(key("key"))
                .current_dir(&folder),
        );
        if kind == Image::Damaged {
            let mut content = content.to_vec();
            *content.last_mut().expect("some content") ^= 1;
            write("system", &content);
        }
        let pack =
            "printf '%s\\n' sw-description sw-description.sig stop.sh system | cpio -o -H crc --quiet > image.swu";
        must(Command::new("sh").args(["-c", pack]).current_dir(&folder));
        if kind == Image::CutShort {
            let whole = fs::read(&image).expect("an image");
            write("image.swu", &whole[..whole.len() - content.len() / 2]);
        }
        image
    }
}
