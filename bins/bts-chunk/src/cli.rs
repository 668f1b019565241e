//! The command line of `bts-chunk`.

use std::ffi::OsString;
use std::path::PathBuf;

use bts::chunk::{self, Flags};
use bts::cli::Common;
use bts::exit::Status;
use bts::record::Hash;
use bts::size::parse_size;
use bts::store::limits::OBJECT_SIZE_MAX;
use clap::Parser;

/// Check a Btrfs send stream and cut it into hashed chunks
///
/// Reads a send stream on stdin and writes a framed stream on stdout, for
/// bts-put. A stream that is no whole backup is refused: one that was cut, is
/// damaged, leaves out data, holds several snapshots, or began again in the
/// middle because `btrfs send` was stopped and continued.
#[derive(Parser, Debug)]
#[command(name = "bts-chunk", version)]
pub(crate) struct Arguments {
    /// Cut chunks of SIZE (200GiB, 8M, 5000000)
    #[arg(long, value_name = "SIZE", value_parser = chunk_size)]
    chunk_size: Option<u64>,

    /// Vouch for chunks by this hash
    #[arg(long, value_name = "HASH", value_parser = hash)]
    hash: Option<Hash>,

    /// Carry out the plan record in FILE: it goes along with the stream, which
    /// must be what it asks for
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// Take any bytes, unchecked
    #[arg(long)]
    raw: bool,

    /// Check a framed stream and turn it back into the raw one
    #[arg(long, conflicts_with_all = ["chunk_size", "hash", "plan", "raw", "command"])]
    pub(crate) decode: bool,

    /// Write the records only, without data; with --decode, those of the framed
    /// stream on stdin
    #[arg(long)]
    pub(crate) records: bool,

    #[command(flatten)]
    pub(crate) common: Common,

    /// Run COMMAND and take its output; it must exit 0. It reads /dev/null
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Does what the arguments ask for.
pub(crate) fn job(arguments: Arguments) -> anyhow::Result<Status> {
    let Arguments { chunk_size, hash, plan, raw, decode, records, common, command } = arguments;
    if decode {
        chunk::run_decode(records)?;
        return Ok(Status::Done);
    }
    let flags = Flags { raw, chunk_size, hash, plan: plan.as_deref(), records };
    chunk::run_cut(&flags, &common.config()?, &command)?;
    Ok(Status::Done)
}

fn chunk_size(text: &str) -> Result<u64, String> {
    match parse_size(text) {
        Ok(size) if (1..=OBJECT_SIZE_MAX).contains(&size) => Ok(size),
        Ok(_) => Err("a chunk has between 1 byte and 5 TiB".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn hash(text: &str) -> Result<Hash, String> {
    match text {
        "sha256" => Ok(Hash::Sha256),
        "blake3" => Ok(Hash::Blake3),
        _ => Err("write sha256 or blake3".to_owned()),
    }
}
