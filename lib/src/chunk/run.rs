//! `bts-chunk`'s two jobs on this process's own stdin and stdout.

use std::ffi::OsString;

use super::cut::{Cutter, pump};
use super::decode::{decode, list};
use super::producer::Producer;
use super::settings::{Cutting, Flags, Payloads};
use crate::cli::{raw_stdin, stdin, stdin_is_data, stdout, stdout_is_binary};
use crate::config::Config;
use crate::record::{Frames, Reader};

/// Cuts stdin, or what `command` writes where one is given.
///
/// # Errors
/// Those of [`Cutting::new`], [`Cutter`] and [`Producer`]; a
/// [`crate::exit::Failure`] when a terminal is where data should be.
pub fn run_cut(flags: &Flags<'_>, config: &Config, command: &[OsString]) -> anyhow::Result<()> {
    if command.is_empty() {
        stdin_is_data(if flags.raw { "the bytes to store" } else { "a send stream" })?;
    }
    let cutting = Cutting::new(flags, config)?;
    if cutting.payloads == Payloads::Written {
        stdout_is_binary("a framed stream")?;
    }
    let mut cutter = Cutter::new(stdout()?, cutting);
    match command {
        [] => pump(raw_stdin()?, &mut cutter)?,
        [program, arguments @ ..] => {
            let (producer, output) = Producer::start(program, arguments)?;
            pump(output, &mut cutter)?;
            producer.wait()?;
        }
    }
    let end = cutter.finish()?;
    log::debug!("{} bytes in {} chunks", end.size, end.chunks);
    Ok(())
}

/// Decodes stdin; with `records`, shows its records instead.
///
/// # Errors
/// Those of [`decode`]; a [`crate::exit::Failure`] when a terminal is where data
/// should be.
pub fn run_decode(records: bool) -> anyhow::Result<()> {
    stdin_is_data("a framed stream")?;
    let frames = Frames::new(Reader::new(stdin()?, "stdin"));
    if records {
        list(frames, stdout()?)?;
    } else {
        stdout_is_binary("the stream")?;
        decode(frames, stdout()?)?;
    }
    Ok(())
}
