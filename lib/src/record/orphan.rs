//! What `bts-manifest gc` writes: what lies in the archive and no backup needs.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// What an orphan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrphanKind {
    /// A multipart upload that was neither completed nor aborted.
    Upload,
    /// An object that no manifest reaches.
    Object,
}

/// Something that no backup needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// Its whole key; an upload's is that of the object it would have become.
    pub key: String,
    /// The store's name for the upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Its size, in bytes; that of an upload is the sum of its parts, where the
    /// store tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When the object was last modified; when its upload was begun, where it
    /// had parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Time>,
    /// When the upload was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Time>,
    /// Why it is one, for people.
    pub reason: String,
    /// Whether it was removed.
    pub deleted: bool,
}

/// The end of a list of `orphan` records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphansEnd {
    /// How many of them were uploads.
    pub uploads: u64,
    /// How many of them were objects.
    pub objects: u64,
    /// The sum of their sizes, in bytes.
    pub size: u64,
    /// Whether they were removed.
    pub deleted: bool,
}
