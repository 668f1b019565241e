//! The upload engine: a framed stream in, stored chunks out.
//!
//! Promises that at most `concurrency` parts are in flight and one is being
//! gathered, whatever the sizes; that parts of the next chunk go out while the
//! last ones of this chunk are still on their way; that object records come in
//! order, each only when its object is durable; and that nothing is reported
//! whose stream did not prove itself with `end`. When it fails it abandons what
//! is in flight.
//!
//! With a journal, the next attempt goes on from there: every byte of it is read
//! and hashed again, and a part or a chunk is skipped only where this attempt's
//! digest and size equal the journal's, and the store's ETag and size do too.
//! Without one, the uploads that it began are aborted when it fails.
//!
//! It leaves the framing's rules to [`crate::record`], retries and checksums on
//! the wire to the store, and publishing to [`crate::publish`].

mod begin;
mod chunks;
mod complete;
mod engine;
mod error;
mod geometry;
mod ledger;
mod ours;
mod part;
#[cfg(test)]
mod resume_tests;
mod run;
mod source;
mod spool;
#[cfg(test)]
mod spool_tests;
#[cfg(test)]
mod tests;

pub use engine::upload;
pub use error::Error;
pub use geometry::part_size_for;
pub use spool::Spooling;

use std::path::PathBuf;

use tokio::sync::Semaphore;

use crate::journal;
use crate::names::BackupId;
use crate::record::{Run, Stream};
use crate::store::Archive;
use ledger::Ledger;

/// How a stream is stored.
#[derive(Clone, Debug)]
pub struct Options {
    /// The backup's id, where the stream carries no plan.
    pub backup: Option<BackupId>,
    /// How many parts may be in flight; at least 1.
    pub concurrency: usize,
    /// The size of every part but a chunk's last, in bytes.
    pub part_size: Option<u64>,
    /// The storage class of the chunks.
    pub storage_class: String,
    /// The storage class of what is no chunk.
    pub storage_class_small: String,
    /// The server-side encryption, as the run record names it.
    pub sse: Option<String>,
    /// The journal of a stream without a plan; none is kept where this is `None`.
    pub journal: Option<PathBuf>,
    /// The state file: the journal of a planned stream lies beside it.
    pub state: PathBuf,
    /// Where parts wait that memory has no room for.
    pub spool: Option<Spooling>,
}

impl Options {
    /// The journal to keep.
    fn journal(&self, stream: &Stream, run: &Run) -> Option<PathBuf> {
        let planned = || journal::path(&self.state, &run.backup.subvolume);
        self.journal.clone().or_else(|| stream.plan.as_ref().map(|_| planned()))
    }
}

/// What all chunks of a run share.
#[derive(Debug)]
struct Context {
    archive: Archive,
    run: Run,
    ledger: Ledger,
    /// One permit a part that may be in flight.
    flights: Semaphore,
}
