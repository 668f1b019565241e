//! `bts-manifest`: publishes backups and tells what an archive holds.

mod cli;

use std::process::ExitCode;

use bts::cli::run;

fn main() -> ExitCode {
    run("bts-manifest", |cli: &cli::Cli| &cli.common, cli::Cli::output, cli::Cli::run)
}
