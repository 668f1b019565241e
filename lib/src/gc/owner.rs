//! Whose a key is: by its name, the only thing that a dead run leaves to tell.

use std::fmt;

use crate::intent;
use crate::names::{BackupId, Kind, Name};
use crate::time::Time;

/// The attempt at one backup that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    /// What the keys of its objects begin with, below the archive's prefix.
    stem: String,
    shape: Shape,
}

/// Which program named it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    /// This one: a folder `subvol/<name>/<kind>/<time>-<8 hex>`.
    Folder,
    /// The existing one: `subvol/<name>/<kind>/chunk-<time>-<i>.bin`.
    Flat {
        /// The time in its names.
        time: String,
    },
}

impl Owner {
    /// Whose `key` is, given below the archive's prefix; `None` when neither
    /// program gives such names to what a manifest could reach.
    pub(super) fn of(key: &str) -> Option<Self> {
        let mut parts = key.splitn(5, '/');
        let (root, name, kind, last) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let stem = format!("{root}/{name}/{kind}/{last}");
        if let Some(rest) = parts.next() {
            let ours = is_name_of_ours(rest) && stem.parse::<BackupId>().is_ok();
            return ours.then_some(Self { stem, shape: Shape::Folder });
        }
        let known =
            root == "subvol" && name.parse::<Name>().is_ok() && kind.parse::<Kind>().is_ok();
        let time = flat_chunk(last).filter(|_| known)?;
        let stem = format!("{root}/{name}/{kind}");
        Some(Self { stem, shape: Shape::Flat { time: time.to_owned() } })
    }

    /// The owner of everything in a backup's folder.
    pub(super) fn backup(id: &BackupId) -> Self {
        Self { stem: id.to_string(), shape: Shape::Folder }
    }

    /// The manifest that its backup has or would have, below the prefix.
    pub(super) fn manifest(&self) -> String {
        match &self.shape {
            Shape::Folder => format!("{}/manifest.json", self.stem),
            Shape::Flat { time } => format!("{}/manifest-{time}.json", self.stem),
        }
    }

    /// The intent of its run, below the prefix; the existing program has none.
    pub(super) fn intent(&self) -> Option<String> {
        (self.shape == Shape::Folder).then(|| format!("{}/{}", self.stem, intent::FILE))
    }

    /// Whether the whole key is that of its intent.
    pub(super) fn is_intent(&self, key: &str) -> bool {
        self.intent().is_some_and(|intent| key.ends_with(&intent))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Folder => f.write_str(&self.stem),
            Shape::Flat { time } => write!(f, "{}/…{time}", self.stem),
        }
    }
}

/// Whether this program gives such a name to an object in a backup's folder.
fn is_name_of_ours(name: &str) -> bool {
    let chunk = name.strip_prefix("chunks/part-").and_then(|rest| rest.strip_suffix(".bin"));
    match chunk {
        Some(index) => index.len() >= 5 && index.bytes().all(|byte| byte.is_ascii_digit()),
        None => ["parts.b3", "RESTORE.txt", intent::FILE, "manifest.json"].contains(&name),
    }
}

/// The time in `chunk-<time>-<i>.bin`.
fn flat_chunk(name: &str) -> Option<&str> {
    let (time, index) = name.strip_prefix("chunk-")?.strip_suffix(".bin")?.split_once('-')?;
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    let exact = time.parse::<Time>().is_ok_and(|parsed| parsed.compact() == time);
    (digits && exact).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_both_programs_are_known_and_those_of_one_run_belong_together() {
        let id: BackupId = "subvol/data/full/20260117T220511Z-0a1b2c3d".parse().unwrap();
        for name in ["chunks/part-00000.bin", "parts.b3", "intent.json", "RESTORE.txt"] {
            let owner = Owner::of(&format!("{id}/{name}")).unwrap();
            assert_eq!(owner, Owner::backup(&id));
            assert_eq!(owner.manifest(), format!("{id}/manifest.json"));
            assert_eq!(owner.intent(), Some(format!("{id}/intent.json")));
        }
        let owner = |key| Owner::of(key).unwrap();
        let first = owner("subvol/data/full/chunk-20260117T220511Z-0.bin");
        assert_eq!(first, owner("subvol/data/full/chunk-20260117T220511Z-10.bin"));
        assert_eq!(first.manifest(), "subvol/data/full/manifest-20260117T220511Z.json");
        assert_eq!(first.intent(), None);
    }

    #[test]
    fn what_neither_program_names_so_is_nobodys() {
        for key in [
            "",
            "subvol",
            "subvol/data/current.json",
            "subvol/data/full/notes.txt",
            "subvol/data/full/manifest-20260117T220511Z.json",
            "subvol/data/full/chunk-20260117T220511Z.bin",
            "subvol/data/full/chunk-20260117T220511Z-.bin",
            "subvol/data/full/chunk-20260117T220511Z-1a.bin",
            "subvol/data/full/chunk-2026-01-17T22:05:11Z-1.bin",
            "subvol/data/other/chunk-20260117T220511Z-1.bin",
            "subvol/../full/chunk-20260117T220511Z-1.bin",
            "subvol/data/full/20260117T220511Z-0a1b2c3d",
            "subvol/data/full/20260117T220511Z-0a1b2c3d/notes.txt",
            "subvol/data/full/20260117T220511Z-0a1b2c3d/chunks/part-1.bin.old",
            "subvol/data/full/20260117T220511Z-0a1b2c3d/",
            "subvol/data/full/20260117T220511Z-0A1B2C3D/x",
            "other/data/full/20260117T220511Z-0a1b2c3d/x",
        ] {
            assert_eq!(Owner::of(key), None, "{key}");
        }
    }
}
