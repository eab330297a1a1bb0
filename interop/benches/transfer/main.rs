//! How fast packages come and what they cost, beside curl and libcoap: `cargo bench --package interop --bench transfer -- WHAT`

mod agent;
mod impaired;
mod link;
mod local;
mod process;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "cargo bench --package interop --bench transfer -- WHAT

  local               4 MiB pushed and pulled over loopback, on two cores and on one: seconds, and CPU of the one that receives
  memory              300 MB pushed and pulled: how much more memory the agent takes
  impaired [SECONDS]  pulls over a link of 300 ms that loses packets, each cell for 60 or so many seconds. As root; needs
                      iptables, ethtool and Python's NetfilterQueue

All of them need curl and libcoap3-bin.";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["local"] => local::measure(&agent()?),
        ["memory"] => local::memory(&agent()?),
        ["impaired"] => impaired::measure(60),
        ["impaired", seconds] => impaired::measure(seconds.parse()?),
        _ => {
            println!("{USAGE}");
            Ok(())
        }
    }
}

/// A scratch folder on a disk.
pub(crate) fn scratch() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(bed::target())?)
}

/// The agent, built as users build it.
fn agent() -> Result<PathBuf> {
    build(&["--package", "lapwing-cli", "--bin", "lapwing"])?;
    Ok(bed::target().join("release/lapwing"))
}

/// An example of a package, built so as well.
pub(crate) fn example(name: &str, package: &str) -> Result<PathBuf> {
    build(&["--package", package, "--example", name])?;
    Ok(bed::target().join("release/examples").join(name))
}

fn build(what: &[&str]) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    let built = cargo.args(["build", "--quiet", "--release"]).args(what).current_dir(bed::workspace()).status()?;
    if built.success() { Ok(()) } else { Err("it does not build".into()) }
}
