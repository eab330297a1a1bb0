//! The `lapwing` command.

mod args;
mod bootstrap;
mod demo;
mod failure;
mod ig60;
mod logging;
mod manage;
mod progress;
mod run;
mod secure;
mod serve;
mod shutdown;
mod status;
mod text;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new(ig60::PREDECESSOR))) {
        return ig60::ig60(ig60::PREDECESSOR, arguments);
    }
    let args = Args::parse();
    let done = |()| ExitCode::SUCCESS;
    let result = match args.command {
        Command::Demo(options) => demo::demo(options).map(done),
        Command::Ig60 { arguments } => return ig60::ig60("lapwing ig60", arguments),
        Command::Run(options) => run::run(*options),
        Command::Serve(options) => serve::serve(options).map(done),
        Command::Status(options) => status::status(&options).map(done),
        Command::Manage(options) => manage::manage(options).map(done),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("lapwing: {failure}");
            failure.exit_code()
        }
    }
}

/// One thread for everything: no pool is started that an idle agent would carry along.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
