//! Plan records: what is to be done tonight, one a subvolume, and why.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest, Run};
use crate::names::{BackupId, Kind, Name};
use crate::time::Time;

/// What a plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Snapshot, send everything.
    Full,
    /// Snapshot, send the difference to the parent.
    Incremental,
    /// Send an existing snapshot again and go on where its run stopped.
    Resume,
    /// Everything is stored: publish it, and send nothing.
    Publish,
    /// Nothing is due.
    Skip,
}

impl Action {
    /// The word that records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Resume => "resume",
            Self::Publish => "publish",
            Self::Skip => "skip",
        }
    }
}

/// Where a snapshot lies on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPlace {
    /// Its name.
    pub name: String,
    /// Its absolute path.
    pub path: String,
}

/// The snapshot that an incremental builds on, and the manifest that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The local snapshot's name.
    pub name: String,
    /// The local snapshot's absolute path.
    pub path: String,
    /// The UUID that the stream will name as its parent.
    pub uuid: Uuid,
    /// The whole key of the parent's manifest.
    pub manifest_key: String,
    /// SHA-256 of that manifest's bytes.
    pub manifest_sha256: Digest,
}

/// What is to be done for one subvolume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`super::VERSION`].
    pub version: u32,
    /// The subvolume's name in the archive.
    pub subvolume: Name,
    /// The subvolume's absolute path.
    pub path: String,
    /// What to do.
    pub action: Action,
    /// Why, for people.
    pub reason: String,
    /// The backup's id; null when nothing is due.
    pub backup: Option<BackupId>,
    /// The kind of the backup; null when nothing is due.
    pub kind: Option<Kind>,
    /// The snapshot's time, which is also the backup's; null when nothing is due.
    pub created_at: Option<Time>,
    /// The snapshot to make, for a resume to send again, for a publish the one
    /// that was sent; null when nothing is due.
    pub snapshot: Option<SnapshotPlace>,
    /// What an incremental that is to be sent builds on.
    pub parent: Option<Parent>,
    /// The whole key of the manifest that was current when this was planned; null
    /// when there was none.
    #[serde(default)]
    pub replaces: Option<String>,
    /// Extra arguments for `btrfs send`.
    #[serde(default)]
    pub send_args: Vec<String>,
    /// What a resumed run has to keep to; it overrides the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<Run>>,
    /// Subvolumes nested in this one: no backup of it holds them.
    #[serde(default)]
    pub nested: Vec<String>,
}

/// A local snapshot that nothing needs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prune {
    /// The subvolume's name in the archive.
    pub subvolume: Name,
    /// The snapshot to delete.
    pub snapshot: SnapshotPlace,
    /// Why it may go, for people.
    pub reason: String,
}
