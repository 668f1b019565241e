//! What `bts-get --dry-run` writes: what would be thawed and downloaded.

use serde::{Deserialize, Serialize};

/// The objects of one storage class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThawPlan {
    /// The storage class.
    pub storage_class: String,
    /// How many objects would be downloaded.
    pub objects: u64,
    /// Their bytes.
    pub size: u64,
    /// How many of them would be asked for.
    pub frozen: u64,
    /// How many of them are being thawed.
    pub thawing: u64,
    /// With which tier they would be asked for; null when none would be.
    pub tier: Option<String>,
    /// How long that usually takes at most, in seconds.
    pub wait_seconds: Option<u64>,
    /// How long that usually takes, for people.
    pub wait: Option<String>,
}

/// The end of a list of `thaw` records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThawEnd {
    /// How many objects would be downloaded.
    pub objects: u64,
    /// Their bytes.
    pub size: u64,
    /// How many of them would be asked for.
    pub frozen: u64,
}
