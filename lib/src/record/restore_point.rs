//! What `bts-manifest list` writes: the backups that an archive holds.

use serde::{Deserialize, Serialize};

use crate::names::{Kind, Name};
use crate::time::Time;

/// A backup, and whether it can be restored. Of one whose manifest cannot be read
/// only what the manifest's key tells is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePoint {
    /// The subvolume's name.
    pub subvolume: Option<Name>,
    /// The whole key of its manifest.
    pub manifest_key: String,
    /// Full or incremental.
    pub kind: Option<Kind>,
    /// The snapshot's time.
    pub created_at: Option<Time>,
    /// The sum of its own chunks' sizes, in bytes.
    pub size: Option<u64>,
    /// The storage class of its chunks as the store tells it; several are
    /// separated by commas.
    pub storage_class: Option<String>,
    /// Whether the subvolume's pointer names it.
    pub current: bool,
    /// The number of backups in its chain, the full included.
    pub chain_length: Option<u64>,
    /// The bytes of all chunks of its chain.
    pub chain_size: Option<u64>,
    /// Whether its chain holds together and the store holds every object of it.
    pub complete: bool,
    /// Keys that the chain names and the store does not hold, or holds in
    /// another size.
    pub missing: Vec<String>,
    /// Why it cannot be restored, where its manifest or its chain is broken.
    pub problem: Option<String>,
}
