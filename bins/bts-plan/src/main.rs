//! `bts-plan`: the archive's current backups on stdin, what is to be done on
//! stdout.

mod cli;
mod restore;

use std::process::ExitCode;

use bts::cli::run;

fn main() -> ExitCode {
    run("bts-plan", |cli: &cli::Cli| &cli.common, cli::Cli::output, cli::Cli::run)
}
