//! `bts-get`: records of backups on stdin, their checked bytes on stdout.

mod cli;

use std::process::ExitCode;

use bts::cli::{Outcome, run};

fn main() -> ExitCode {
    run("bts-get", |cli: &cli::Cli| &cli.common, |_| Outcome::Bytes, cli::Cli::run)
}
