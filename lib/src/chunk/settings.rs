//! How a stream is to be cut: flags over plan over config.

use std::path::Path;

use super::plan::read_plan;
use crate::config::Config;
use crate::exit::Failure;
use crate::record::{Format, Hash, Plan};
use crate::store::limits::OBJECT_SIZE_MAX;

/// Whether the bytes themselves are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// A framed stream: `data` records and their payloads.
    Written,
    /// Records for eyes and jq: no `data` records.
    LeftOut,
}

/// How a stream is to be cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Cutting {
    /// What the input must be.
    pub format: Format,
    /// The size of every chunk but the last, in bytes; never 0.
    pub chunk_size: u64,
    /// The hash that vouches for the chunks.
    pub hash: Hash,
    /// The plan that the stream carries out, where one was given.
    pub plan: Option<Box<Plan>>,
    /// Whether the bytes themselves are written.
    pub payloads: Payloads,
}

/// What the command line says of it.
#[derive(Clone, Copy, Debug)]
pub struct Flags<'a> {
    /// `--raw`
    pub raw: bool,
    /// `--chunk-size`, in bytes.
    pub chunk_size: Option<u64>,
    /// `--hash`
    pub hash: Option<Hash>,
    /// `--plan`
    pub plan: Option<&'a Path>,
    /// `--records`
    pub records: bool,
}

impl Cutting {
    /// What holds: a flag where it is given, else what a resumed run has to keep
    /// to, else the config.
    ///
    /// # Errors
    /// Those of [`read_plan`]; a [`Failure`] when the chunk size makes no sense
    /// or the config names a filter, which this version cannot run.
    pub fn new(flags: &Flags<'_>, config: &Config) -> anyhow::Result<Self> {
        if !config.pipeline.filter.is_empty() {
            return Err(Failure::config(
                "[pipeline] filter is set, and this version cannot run filters: nothing is sent \
                 unfiltered",
            )
            .into());
        }
        let plan = flags.plan.map(read_plan).transpose()?;
        let run = plan.as_ref().and_then(|plan| plan.run.as_ref());
        let chunk_size = flags
            .chunk_size
            .or(run.map(|run| run.chunk_size))
            .unwrap_or(config.s3.chunk_size_bytes);
        if !(1..=OBJECT_SIZE_MAX).contains(&chunk_size) {
            return Err(Failure::config(format!(
                "a chunk size of {chunk_size} bytes: it must be between 1 byte and 5 TiB; set \
                 --chunk-size or [s3] chunk_size_bytes"
            ))
            .into());
        }
        Ok(Self {
            format: if flags.raw { Format::Raw } else { Format::BtrfsSend },
            chunk_size,
            hash: flags.hash.or(run.map(|run| run.hash)).unwrap_or(config.pipeline.hash),
            plan: plan.map(Box::new),
            payloads: if flags.records { Payloads::LeftOut } else { Payloads::Written },
        })
    }
}
