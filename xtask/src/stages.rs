//! The stages of `cargo xtask test`, in order, each with its seconds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::{arch, install};

type Stage = (&'static str, &'static str, fn() -> Result<(), String>);

const STAGES: &[Stage] = &[
    ("fmt", "formatting", || cargo(&["fmt", "--all", "--check"])),
    ("arch", "the arrows between the rooms, the size of files", || arch::check(&root())),
    ("install", "what the tests need from Debian and PyPI", install::programs),
    ("deny", "licences, bans and sources of dependencies", install::deny),
    ("shell", "lints of the scripts of packaging/", shellcheck),
    ("clippy", "lints, as errors, over every target", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }),
    ("docs", "rustdoc, warnings as errors", || {
        run(command("cargo", &["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("unit", "cargo test: all that needs nothing but Rust", || cargo(&["test"])),
    ("no-ring", "the library and certificate paths without ring, for those who build without a C compiler", || {
        without_c()?;
        cargo(&["test", "--package", "lapwing", "--no-default-features"])?;
        cargo(&["test", "--package", "lapwing-dtls", "--lib", "credentials"])
    }),
    ("leshan", "Leshan's libraries from Maven Central, our peers around them", install::leshan),
    ("tinydtls", "tinydtls's Python module from PyPI", install::tinydtls),
    ("aiocoap", "aiocoap's file server from PyPI", install::aiocoap),
    ("interop", "the agent and the server against independent peers, the page in a browser", || {
        cargo(&["build", "--package", "lapwing-cli", "--package", "lapwing", "--bins", "--examples"])?;
        cargo(&["test", "--package", "bed", "--package", "interop", "--package", "xtask"])
    }),
];

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root folder").to_owned()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that runs in the root folder.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = format!("{command:?}").replace('"', "");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(&mut command("cargo", arguments))
}

/// Looks that nothing in the tree of the library without its feature `http` needs a C compiler. With the feature `ring` does, and is found.
fn without_c() -> Result<(), String> {
    let with = c_of("lapwing", &[])?;
    if !with.contains("ring") {
        return Err(format!("ring is not found in lapwing's tree where it must be: {with:?}"));
    }
    for package in ["lapwing", "lapwing-server"] {
        let c = c_of(package, &["--no-default-features"])?;
        if !c.is_empty() {
            return Err(format!("{package} without the feature http brings C: {c:?}"));
        }
    }
    Ok(())
}

/// What compiles C, among what is built with a package.
fn c_of(package: &str, features: &[&str]) -> Result<BTreeSet<String>, String> {
    let arguments = ["tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let output =
        command("cargo", &arguments).args(features).output().map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    Ok(names.filter(|name| ["cc", "cmake", "ring"].contains(name)).map(str::to_owned).collect())
}

/// Lints the shell scripts that are installed on devices.
fn shellcheck() -> Result<(), String> {
    let mut scripts = Vec::new();
    arch::collect(&root().join("packaging"), "sh", &mut scripts).map_err(|error| format!("packaging: {error}"))?;
    run(command("shellcheck", &["--"]).args(scripts))
}

/// Names the stages.
pub(crate) fn list() {
    for (name, what, _) in STAGES {
        println!("{name:9} {what}");
    }
}

/// Runs the stages that `only` names, or all; the first that fails ends the run.
pub(crate) fn test(only: &[&str]) -> Result<(), String> {
    if let Some(unknown) = only.iter().find(|only| STAGES.iter().all(|(name, ..)| name != *only)) {
        return Err(format!("no stage is named `{unknown}`: `cargo xtask test list` names them"));
    }
    let mut times = Vec::new();
    let begin = Instant::now();
    for (name, what, stage) in STAGES.iter().filter(|(name, ..)| only.is_empty() || only.contains(name)) {
        println!("==> {name}: {what}");
        let start = Instant::now();
        let result = stage();
        let seconds = start.elapsed().as_secs_f64();
        println!("<== {name}: {} in {seconds:.1} s", if result.is_ok() { "passed" } else { "FAILED" });
        times.push((name, seconds));
        result?;
    }
    println!("\nstage      seconds");
    for (name, seconds) in times {
        println!("{name:9} {seconds:8.1}");
    }
    println!("{:9} {:8.1}", "all", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Runs the tests that are too long for every change: those marked `#[ignore]` with the reason `soak`, against peers too.
pub(crate) fn soak() -> Result<(), String> {
    cargo(&["test", "--", "--ignored", "--nocapture", "soak"])?;
    install::programs()?;
    install::leshan()?;
    install::aiocoap()?;
    cargo(&["build", "--package", "lapwing-cli", "--bins"])?;
    cargo(&["test", "--package", "interop", "--", "--ignored", "--nocapture", "soak"])
}
