//! The journal of a run: what happened so far, for the run that comes after.
//!
//! `<state dir>/runs/<name>.jsonl` opens with the [`super::Run`], synced before
//! the first byte is sent. Then, in the order in which they happened: an
//! `attempt` for each start of an upload, an `upload` for each chunk that was
//! begun, a `part` for each part that the store acknowledged, an `object` for each
//! chunk that was completed, a `lost` for each chunk of which the store lost
//! something, and at last an `end` when all is stored, or an `abandoned`. A torn last
//! line is what a crash leaves and is ignored.

use serde::{Deserialize, Serialize};

use super::{Checksum, Crc32, Digest};
use crate::time::Time;

/// The upload of the run was started, for the first time or once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Time,
}

/// The store no longer has what was stored of a chunk: a lifecycle rule or
/// another machine removed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The chunk's number.
    pub index: u64,
    /// The store's name for the upload that is gone; null where it was a complete
    /// object.
    pub upload_id: Option<String>,
}

/// A chunk's multipart upload was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The chunk's number.
    pub index: u64,
    /// The whole key of the object.
    pub key: String,
    /// The store's name for the upload.
    pub upload_id: String,
    /// Which guarantee the server gives for its parts.
    pub checksum: Checksum,
    /// The size of every part but the last, in bytes.
    pub part_size: u64,
}

/// The store acknowledged a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The chunk's number.
    pub index: u64,
    /// The part's number within the chunk, counted from 1.
    pub number: u32,
    /// Its size, in bytes.
    pub size: u64,
    /// The store's ETag: opaque.
    pub etag: String,
    /// CRC-32 (IEEE) of its bytes.
    pub crc32: Crc32,
    /// BLAKE3 of its bytes.
    pub blake3: Digest,
}

/// The run was given up; its uploads are to be aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// Why, for people.
    pub reason: String,
}
