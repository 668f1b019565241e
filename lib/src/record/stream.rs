//! The framed stream: what `bts-chunk` writes and `bts-put` reads.
//!
//! `stream`, then for each chunk `chunk`, `data`…, `chunk_end`, then `end`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Crc32, Digest, Digests, Hash, Plan};

/// What the bytes of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A Btrfs send stream that was checked command by command.
    BtrfsSend,
    /// Bytes of any kind (`--raw`).
    Raw,
}

/// The first record of a framed stream: what follows and how it is cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// [`super::VERSION`].
    pub version: u32,
    /// What the bytes are.
    pub format: Format,
    /// The version in the send stream's own header; null for raw bytes.
    pub send_version: Option<u32>,
    /// The size of every chunk but the last, in bytes.
    pub chunk_size: u64,
    /// The hash whose digests `chunk_end` carries.
    #[serde(default)]
    pub hash: Hash,
    /// The snapshot's name in the send stream; null for raw bytes.
    pub snapshot_name: Option<String>,
    /// The snapshot's UUID in the send stream; null for raw bytes.
    pub uuid: Option<Uuid>,
    /// The snapshot's ctransid in the send stream; null for raw bytes.
    pub ctransid: Option<u64>,
    /// The parent's UUID; null for a full send stream and for raw bytes.
    pub parent_uuid: Option<Uuid>,
    /// The parent's ctransid; null for a full send stream and for raw bytes.
    pub parent_ctransid: Option<u64>,
    /// The plan that this stream carries out, where one was given.
    pub plan: Option<Box<Plan>>,
}

/// A chunk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The chunk's number, counted from 0 without gaps.
    pub index: u64,
}

/// Bytes of the chunk that is open; the payload follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// The length of the payload, in bytes; never 0.
    pub len: u64,
    /// CRC-32 (IEEE) of the payload.
    pub crc32: Crc32,
}

/// The chunk that is open is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEnd {
    /// The chunk's number.
    pub index: u64,
    /// The chunk's size, in bytes; never 0.
    pub size: u64,
    /// The digest of the chunk's bytes.
    #[serde(flatten)]
    pub digests: Digests,
}

/// The stream is complete. Without this record nothing before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEnd {
    /// The number of chunks.
    pub chunks: u64,
    /// The sum of their sizes, in bytes.
    pub size: u64,
    /// SHA-256 over the concatenated 32-byte chunk digests, in order.
    pub stream_sha256: Digest,
}
