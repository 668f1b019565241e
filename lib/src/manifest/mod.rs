//! The manifest: what one backup consists of, and how to bring it back.
//!
//! Version 1's field names are a contract with archives that exist: a reader
//! that knows only the fields above the line in [`Manifest`] restores ours, and
//! we restore archives that hold no others. Bytes are a pure function of the run:
//! the same run always makes the same manifest.
//!
//! [`parse`] gives only manifests that hold together; what several manifests say
//! of each other, and whether the objects are there, is for [`crate::chain`].

mod check;
mod parse;
mod tally;

pub(crate) use check::is_component;
pub use parse::{Invalid, MANIFEST_MAX, POINTER_MAX, parse, parse_pointer, to_bytes};
pub use tally::{Tally, Wrong};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::names::Kind;
use crate::record::{Checksum, Crc32, Digest, Digests, Format, Hash, Snapshot};

/// A backup's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub version: u32,
    /// The subvolume's name.
    pub subvolume: String,
    /// Full or incremental.
    pub kind: Kind,
    /// The snapshot's time: RFC 3339; old archives hold `20260117T220511Z`.
    pub created_at: crate::time::Time,
    /// The snapshot. Old archives may hold null UUIDs and never the ctransids.
    pub snapshot: Snapshot,
    /// The whole key of the parent's manifest; null for a full.
    pub parent_manifest: Option<String>,
    /// The chunks, in the order of the stream; never empty.
    pub chunks: Vec<ChunkEntry>,
    /// The sum of the chunks' sizes, in bytes.
    pub total_bytes: u64,
    /// The size of every chunk but the last, in bytes.
    pub chunk_size: u64,
    /// How the chunks are stored.
    pub s3: Storage,

    // Ours, beyond the contract.
    /// SHA-256 of the parent's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_manifest_sha256: Option<Digest>,
    /// The backup's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
    /// What the bytes are; a send stream where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The version in the send stream's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_version: Option<u32>,
    /// The hash whose digests the chunks carry; SHA-256 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// SHA-256 over the concatenated chunk digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_sha256: Option<Digest>,
    /// The BLAKE3 digests of all parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartDigests>,
    /// The filter that ran over each chunk; absent when none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Vec<String>>,
    /// The program that wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
}

impl Manifest {
    /// The name that the send stream itself carries: the last component of the
    /// snapshot's path. `snapshot.name` of a foreign archive may be another.
    pub fn stream_name(&self) -> &str {
        last_component(&self.snapshot.path)
    }
}

/// What follows the last `/` of a path.
fn last_component(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

impl PartDigests {
    /// The number of digests that a backup with chunks of these sizes has, or
    /// `None` when a part has no size or the number is absurd.
    pub fn expected(part_size: u64, sizes: impl IntoIterator<Item = u64>) -> Option<u64> {
        if part_size == 0 {
            return None;
        }
        sizes.into_iter().try_fold(0_u64, |sum, size| sum.checked_add(size.div_ceil(part_size)))
    }
}

/// One chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// The whole key.
    pub key: String,
    /// The object's size, in bytes.
    pub size: u64,
    /// `sha256` in the contract; without it a reader that knows no more stops.
    #[serde(flatten)]
    pub digests: Digests,
    /// The store's ETag: opaque. Old archives hold null for multipart objects.
    pub etag: Option<String>,
    /// CRC-32 (IEEE) of the whole object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<Crc32>,
    /// Which guarantee the server gave when it took the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
}

/// How the chunks are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// The class that was really used.
    pub storage_class: String,
    /// The server-side encryption that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sse: Option<String>,
}

/// Where the BLAKE3 digests of the parts lie: 32 raw bytes each, those of chunk
/// 0 first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartDigests {
    /// The whole key.
    pub key: String,
    /// The size of every part of a chunk but its last, in bytes.
    pub part_size: u64,
    /// SHA-256 of that object.
    pub sha256: Digest,
}

/// `current.json`: which backup is a subvolume's newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The whole key of its manifest.
    pub manifest_key: String,
    /// Full or incremental.
    pub kind: Kind,
    /// The snapshot's time.
    pub created_at: crate::time::Time,
}
