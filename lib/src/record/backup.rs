//! What `bts-manifest` writes: the current backups, and the backups of a chain.

use serde::{Deserialize, Serialize};

use super::{Digest, Format, Snapshot};
use crate::names::{Kind, Name};
use crate::time::Time;

/// What stands behind a backup, down to its full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSummary {
    /// The number of backups in the chain, the full included.
    pub length: u64,
    /// The whole key of the full's manifest; where the chain is broken, of the
    /// oldest backup that was found.
    pub full_manifest_key: String,
    /// That backup's time.
    pub full_created_at: Time,
    /// The bytes of all chunks of the chain.
    pub size: u64,
    /// Keys that the chain names and the store does not hold (or holds in
    /// another size). Empty when all is well.
    pub missing: Vec<String>,
}

/// The backup that a subvolume's pointer names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The subvolume's name.
    pub subvolume: Name,
    /// The whole key of its manifest.
    pub manifest_key: String,
    /// SHA-256 of the manifest's bytes.
    pub manifest_sha256: Digest,
    /// Full or incremental.
    pub kind: Kind,
    /// The snapshot's time.
    pub created_at: Time,
    /// The snapshot that it holds.
    pub snapshot: Snapshot,
    /// What it stands on.
    pub chain: ChainSummary,
}

/// One backup of a chain; its `object` records follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The subvolume's name.
    pub subvolume: Name,
    /// The whole key of its manifest.
    pub manifest_key: String,
    /// Full or incremental.
    pub kind: Kind,
    /// The snapshot's time.
    pub created_at: Time,
    /// The snapshot that it holds.
    pub snapshot: Snapshot,
    /// What the bytes are; archives of the existing program do not say.
    pub format: Format,
    /// The number of `object` records that follow.
    pub chunks: u64,
    /// The sum of their sizes, in bytes.
    pub size: u64,
    /// SHA-256 over the concatenated chunk digests; archives of the existing
    /// program have none.
    pub stream_sha256: Option<Digest>,
    /// The size of every part of a chunk but its last, in bytes.
    pub part_size: Option<u64>,
    /// The whole key of the part digests.
    pub parts_key: Option<String>,
    /// SHA-256 of the part digests' object.
    pub parts_sha256: Option<Digest>,
    /// The storage class of the chunks.
    pub storage_class: String,
}

/// The end of a list of `current` or `backup` records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEnd {
    /// How many of them there were.
    pub backups: u64,
}
