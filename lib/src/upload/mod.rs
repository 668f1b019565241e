//! The upload engine: a framed stream in, stored chunks out.
//!
//! Promises that at most `concurrency` parts are in flight and one is being
//! gathered, whatever the sizes; that parts of the next chunk go out while the
//! last ones of this chunk are still on their way; that object records come in
//! order, each only when its object is durable; and that nothing is reported
//! whose stream did not prove itself with `end`. When it fails it abandons what
//! is in flight and aborts the uploads that it began.
//!
//! It leaves the framing's rules to [`crate::record`], retries and checksums on
//! the wire to the store, and publishing to [`crate::publish`].

mod chunks;
mod engine;
mod geometry;
mod part;
mod run;
mod source;
#[cfg(test)]
mod tests;

pub use engine::upload;
pub use geometry::part_size_for;

use crate::names::BackupId;

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
    /// The server-side encryption, as the run record names it.
    pub sse: Option<String>,
}
