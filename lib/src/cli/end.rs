//! How a program begins and ends.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;

use super::Common;
use super::status_of;
use crate::exit::{Failure, Status};
use crate::record::{self, ErrorRecord, Writer};

/// What a program tells [`run`] of itself and of how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// stdout carries records: a failure is said there too.
    Records,
    /// stdout carries bytes or text: a failure is said on stderr alone.
    Bytes,
}

/// Parses the arguments, runs `job`, and turns what comes of it into an exit
/// status. `output` tells from the arguments what stdout carries; `common` finds
/// the shared flags in them.
pub fn run<A: Parser>(
    program: &'static str,
    common: fn(&A) -> &Common,
    output: fn(&A) -> Outcome,
    job: fn(A) -> anyhow::Result<Status>,
) -> ExitCode {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    start_logging(program, common(&arguments));
    let output = output(&arguments);
    match job(arguments) {
        Ok(status) => status.into(),
        Err(error) => fail(program, &error, output),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when stderr is closed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Status::Done.into(),
        _ => Status::Usage.into(),
    }
}

fn start_logging(program: &'static str, common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => log::LevelFilter::Error,
        (false, 0) => log::LevelFilter::Info,
        (false, 1) => log::LevelFilter::Debug,
        (false, _) => log::LevelFilter::Trace,
    };
    let rust_log = std::env::var_os("RUST_LOG").is_some();
    // Other crates speak up only when they are asked to by RUST_LOG.
    let others = log::LevelFilter::Warn.min(level);
    // Without it the one global level decides, which the config may change yet.
    let ours = if rust_log { level } else { log::LevelFilter::Trace };
    env_logger::Builder::new()
        .filter_level(others)
        .filter_module("bts", ours)
        .parse_default_env()
        .format(move |out, record| match record.level() {
            log::Level::Info => writeln!(out, "{program}: {}", record.args()),
            level => {
                let level = level.as_str().to_lowercase();
                writeln!(out, "{program}: {level}: {}", record.args())
            }
        })
        .init();
    if !rust_log {
        log::set_max_level(level);
    }
}

fn fail(program: &'static str, error: &anyhow::Error, output: Outcome) -> ExitCode {
    if reader_left(error) {
        die_of_sigpipe();
    }
    let status = status_of(error);
    let upstream = error.chain().find_map(|cause| match cause.downcast_ref::<record::Error>() {
        Some(record::Error::Upstream(said)) => Some(said.clone()),
        _ => None,
    });
    let said = match upstream {
        Some(said) => ErrorRecord { status: status.code(), ..said },
        None => {
            let message = format!("{error:#}");
            log::error!("{message}");
            ErrorRecord {
                program: program.to_owned(),
                status: status.code(),
                code: status.word().to_owned(),
                message,
            }
        }
    };
    if output == Outcome::Records && !io::stdout().is_terminal() {
        // The status says it all when nobody reads records any more.
        let _ = Writer::new(io::stdout().lock()).write(&said);
    }
    status.into()
}

/// Whether the error is that stdout's reader is gone. Errors of sockets and of
/// children reach us as text within errors of their own, never as `io::Error`.
fn reader_left(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Ends as a process that never heard of EPIPE: a shell shows 141. The runtime
/// ignores SIGPIPE, and must: with it, a server that hangs up would kill us.
fn die_of_sigpipe() {
    // Only an invalid signal number makes this fail; then the status tells.
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
}

/// Runs `job` on a runtime with as few threads as the work needs: the network
/// on one, hashing and files on the blocking pool.
///
/// # Errors
/// Those of `job`, or the system's when there is no thread to be had.
pub fn block_on<T>(job: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .context("cannot start the threads that do the work")?;
    let done = runtime.block_on(job);
    // A thread that waits for a pipe may wait forever: do not wait for it.
    runtime.shutdown_background();
    done
}

/// Refuses a terminal as input: `what` is what should come there.
///
/// # Errors
/// [`Status::Usage`] when stdin is a terminal.
pub fn stdin_is_data(what: &str) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::usage(format!("stdin is a terminal: pipe {what} in")));
    }
    Ok(())
}

/// Refuses a terminal as output: `what` is what would be written there.
///
/// # Errors
/// [`Status::Usage`] when stdout is a terminal.
pub fn stdout_is_binary(what: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        return Err(Failure::usage(format!(
            "stdout is a terminal, and {what} is binary: pipe it into a program or a file"
        )));
    }
    Ok(())
}
