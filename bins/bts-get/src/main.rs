//! `bts-get`: records of backups on stdin, their checked bytes on stdout.

mod cli;

use std::process::ExitCode;

use bts::cli::run;

fn main() -> ExitCode {
    run("bts-get", |cli: &cli::Cli| &cli.common, cli::Cli::output, cli::Cli::run)
}
