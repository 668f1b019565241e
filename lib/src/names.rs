//! Names that become keys, paths and file names: subvolumes, snapshots, backups.
//!
//! Promises that a value of these types is safe to use as one path component and
//! as part of a key: it was checked when it was made, whether it came from a
//! config file, a record, a manifest or a directory listing.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// A name, backup id or kind that breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct BadName {
    text: String,
    what: &'static str,
}

fn bad(text: &str, what: &'static str) -> BadName {
    let text = text.to_owned();
    BadName { text, what }
}

/// The name of a subvolume within the archive: `[A-Za-z0-9._-]+`, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The longest name, in bytes: with the time and the kind behind it, a
/// snapshot's name still fits the 255 bytes of a Btrfs directory entry.
const NAME_MAX: usize = 200;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let length = 1..=NAME_MAX;
        if !length.contains(&text.len()) || !text.chars().all(fine) || [".", ".."].contains(&text) {
            return Err(bad(
                text,
                "a subvolume's name: 1 to 200 of A-Z a-z 0-9 . _ -, and not . or ..",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a backup stands alone or needs its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole snapshot.
    Full,
    /// The difference to a parent snapshot.
    Incremental,
}

impl Kind {
    /// The word that keys and records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }

    /// The suffix of a snapshot's name. It is for people: the stream decides.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "inc",
        }
    }
}

impl FromStr for Kind {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "full" => Ok(Self::Full),
            "incremental" => Ok(Self::Incremental),
            _ => Err(bad(text, "a kind of backup: full or incremental")),
        }
    }
}

/// The name of a snapshot that this tool made:
/// `<subvolume>__<YYYYMMDDTHHMMSSZ>__<full|inc>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotName {
    /// The subvolume's name.
    pub subvolume: Name,
    /// When the snapshot was taken, by this machine's clock.
    pub time: Time,
    /// What the snapshot was taken for.
    pub kind: Kind,
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subvolume, time, kind } = self;
        write!(f, "{subvolume}__{}__{}", time.compact(), kind.suffix())
    }
}

impl FromStr for SnapshotName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let parse = || {
            let (rest, suffix) = text.rsplit_once("__")?;
            let (subvolume, time) = rest.rsplit_once("__")?;
            let name = Self {
                subvolume: subvolume.parse().ok()?,
                time: time.parse().ok()?,
                kind: [Kind::Full, Kind::Incremental].into_iter().find(|k| k.suffix() == suffix)?,
            };
            // Only the exact spelling is ours: `name__2026-01-17T22:05:11Z__full` is not.
            (name.to_string() == text).then_some(name)
        };
        parse().ok_or_else(|| bad(text, "the name of a snapshot that this tool made"))
    }
}

/// A backup's id, which is also its folder below the prefix:
/// `subvol/<name>/<full|incremental>/<timestamp>-<8 hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId {
    /// The subvolume's name.
    pub subvolume: Name,
    /// Full or incremental.
    pub kind: Kind,
    /// When the snapshot was taken.
    pub time: Time,
    /// Tells two backups of one second apart.
    pub nonce: u32,
}

impl BackupId {
    /// The id of a new backup, with a random nonce.
    pub fn new(subvolume: Name, kind: Kind, time: Time) -> Self {
        let nonce = rand::rng().random();
        Self { subvolume, kind, time, nonce }
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subvolume, kind, time, nonce } = self;
        write!(f, "subvol/{subvolume}/{}/{}-{nonce:08x}", kind.word(), time.compact())
    }
}

impl FromStr for BackupId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let parse = || {
            let mut parts = text.strip_prefix("subvol/")?.split('/');
            let subvolume = parts.next()?.parse().ok()?;
            let kind = parts.next()?.parse().ok()?;
            let (time, nonce) = parts.next()?.split_once('-')?;
            let id = Self {
                subvolume,
                kind,
                time: time.parse().ok()?,
                nonce: u32::from_str_radix(nonce, 16).ok()?,
            };
            (parts.next().is_none() && id.to_string() == text).then_some(id)
        };
        parse()
            .ok_or_else(|| bad(text, "a backup id like subvol/data/full/20260117T220511Z-0a1b2c3d"))
    }
}

/// Text in, text out: what serde and `Display` need of a checked string.
macro_rules! checked_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

checked_text!(Name);
checked_text!(BackupId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for text in ["", ".", "..", "a/b", "a b", "ä", "a\n", &"x".repeat(201)] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
        for text in ["data", "vm-100.raw", "_", "...", "A__b"] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn snapshot_names_survive_a_round_trip_even_with_underscores_in_the_name() {
        for text in ["data__20260117T220511Z__full", "a__b__20260117T220511Z__inc"] {
            assert_eq!(text.parse::<SnapshotName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn foreign_snapshots_are_not_taken_for_ours() {
        for text in [
            "data",
            "data__full",
            "data__20260117T220511Z__incremental",
            "data__2026-01-17T22:05:11Z__full",
            "data__20260117T220511Z__full.old",
        ] {
            assert!(text.parse::<SnapshotName>().is_err(), "{text}");
        }
    }

    #[test]
    fn backup_ids_survive_a_round_trip() {
        let text = "subvol/data/full/20260117T220511Z-0a1b2c3d";
        assert_eq!(text.parse::<BackupId>().unwrap().to_string(), text);
        for text in [
            "subvol/data/full/20260117T220511Z-0A1B2C3D",
            "subvol/data/full/20260117T220511Z-1b2c3d",
            "subvol/data/full/20260117T220511Z-0a1b2c3d/x",
            "subvol/../full/20260117T220511Z-0a1b2c3d",
            "data/full/20260117T220511Z-0a1b2c3d",
        ] {
            assert!(text.parse::<BackupId>().is_err(), "{text}");
        }
    }
}
