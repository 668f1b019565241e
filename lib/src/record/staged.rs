//! What `bts-plan --restore` writes: what a staging directory holds of a chain.

use serde::{Deserialize, Serialize};

use super::SnapshotPlace;

/// How far a backup has come in a staging directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StagedState {
    /// Received, proven and synced to disk: it need not be fetched again.
    Staged,
    /// Received, as far as can be told; not known to be on disk.
    Received,
    /// Something has its name that is not it.
    Partial,
    /// Nothing has its name.
    Missing,
    /// A subvolume that is not of this chain.
    Stray,
}

impl StagedState {
    /// The word that records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Received => "received",
            Self::Partial => "partial",
            Self::Missing => "missing",
            Self::Stray => "stray",
        }
    }
}

/// What a staging directory holds of one backup; or a stray.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The whole key of the backup's manifest; null for a stray.
    pub manifest_key: Option<String>,
    /// Where the snapshot is, or will be.
    pub snapshot: SnapshotPlace,
    /// How far it has come.
    pub state: StagedState,
    /// Why it is not staged, for people; empty where it is.
    pub reason: String,
    /// The bytes of the backup's chunks; 0 for a stray.
    pub size: u64,
    /// Of the last backup: the path of the snapshot that it was made of, where
    /// that is on this machine and unchanged.
    pub source: Option<String>,
}
