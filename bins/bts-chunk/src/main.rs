//! Cuts a send stream into chunks, and undoes that: see `bts::chunk`.

mod cli;

use std::process::ExitCode;

use bts::cli::Outcome;

fn main() -> ExitCode {
    bts::cli::run("bts-chunk", |arguments: &cli::Arguments| &arguments.common, outcome, cli::job)
}

/// Decoding writes bytes; everything else writes records.
fn outcome(arguments: &cli::Arguments) -> Outcome {
    if arguments.decode && !arguments.records { Outcome::Bytes } else { Outcome::Records }
}
