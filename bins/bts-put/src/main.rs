//! `bts-put`: a framed stream on stdin, stored chunks in the archive, their
//! records on stdout.

mod cli;

use std::process::ExitCode;

use bts::cli::{Outcome, run};

fn main() -> ExitCode {
    run("bts-put", |cli: &cli::Cli| &cli.common, |_| Outcome::Records, cli::Cli::run)
}
