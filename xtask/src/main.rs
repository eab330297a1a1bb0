//! The chores of the workspace: `cargo xtask VERB`.

mod arch;
mod codegen;
mod ig60;
mod install;
mod stages;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask VERB

  test [STAGE ...]   install what is missing and run every test (or only the stages named); `test list` names them
  soak               the tests that run long
  codegen [--check]  write (or only compare) the object definitions that are generated from OMA's facts
  ig60-package       pack Lapwing as an update of the IG60's first client, which it replaces
  arch               check the arrows between the rooms and the size of files";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test", "list"] => {
            stages::list();
            Ok(())
        }
        ["test", ref only @ ..] => stages::test(only),
        ["soak"] => stages::soak(),
        ["codegen"] => codegen::run(&stages::root(), false),
        ["codegen", "--check"] => codegen::run(&stages::root(), true),
        ["ig60-package", ref arguments @ ..] => ig60::run(arguments),
        ["arch"] => arch::check(&stages::root()),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
