//! What `bts-put` writes: the run, an object a chunk, and the end.
//!
//! The same `run` record opens the journal, and the same `object` record is what
//! `bts-manifest chain` prints and `bts-get` reads.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Crc32, Digest, Digests, Format, Hash};
use crate::names::{BackupId, Kind};
use crate::time::Time;

/// Which guarantee the server gave for the bytes that it stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Checksum {
    /// Every part and the whole object by CRC-32; the server keeps the latter.
    #[serde(rename = "crc32")]
    Crc32,
    /// Every part by Content-MD5; nothing is kept.
    #[serde(rename = "md5")]
    Md5,
    /// Written, synced and renamed by us; nothing is kept.
    #[serde(rename = "none")]
    None,
}

/// The snapshot as the stream names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name in the stream.
    pub name: String,
    /// Its absolute path on the machine that made it; its last component is
    /// the name in the stream.
    pub path: String,
    /// Its UUID in the stream.
    pub uuid: Option<Uuid>,
    /// The parent's UUID in the stream; null for a full.
    pub parent_uuid: Option<Uuid>,
    /// Its ctransid in the stream.
    #[serde(default)]
    pub ctransid: Option<u64>,
    /// The parent's ctransid in the stream; null for a full.
    #[serde(default)]
    pub parent_ctransid: Option<u64>,
}

/// The attempt that makes one backup: everything that a resume must keep to and
/// that the manifest will say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`super::VERSION`].
    pub version: u32,
    /// Names this run; every object that it creates carries it as metadata.
    pub run_id: Uuid,
    /// The backup that it makes.
    pub backup: BackupId,
    /// From the stream: full when it has no parent.
    pub kind: Kind,
    /// The snapshot's time.
    pub created_at: Time,
    /// The store's URL with its prefix.
    pub store: String,
    /// What the bytes are.
    pub format: Format,
    /// The version in the send stream's own header; null for raw bytes.
    pub send_version: Option<u32>,
    /// The snapshot; null for raw bytes.
    pub snapshot: Option<Snapshot>,
    /// The whole key of the parent's manifest; null for a full.
    pub parent_manifest: Option<String>,
    /// SHA-256 of the parent's manifest; null for a full.
    pub parent_manifest_sha256: Option<Digest>,
    /// The whole key of the manifest that was current when the run was planned.
    #[serde(default)]
    pub replaces: Option<String>,
    /// The size of every chunk but the last, in bytes.
    pub chunk_size: u64,
    /// The size of every part of a chunk but its last, in bytes.
    pub part_size: u64,
    /// The hash whose digests the objects carry.
    pub hash: Hash,
    /// Extra arguments that `btrfs send` was given.
    pub send_args: Vec<String>,
    /// The filter that ran over each chunk; empty when none did.
    pub filter: Vec<Vec<String>>,
    /// The storage class that the chunks were asked into.
    pub storage_class: String,
    /// The server-side encryption that was asked for.
    pub sse: Option<String>,
}

/// One stored chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// The chunk's number within its backup, counted from 0.
    pub index: u64,
    /// Its whole key, prefix included.
    pub key: String,
    /// Its size, in bytes.
    pub size: u64,
    /// The digest of its bytes.
    #[serde(flatten)]
    pub digests: Digests,
    /// The store's ETag: opaque.
    pub etag: Option<String>,
    /// CRC-32 (IEEE) of the whole object.
    #[serde(default)]
    pub crc32: Option<Crc32>,
    /// Which guarantee the server gave.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// The storage class that it really has.
    #[serde(default)]
    pub storage_class: Option<String>,
    /// BLAKE3 of each part, in order; not repeated where `parts.b3` holds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Digest>,
}
