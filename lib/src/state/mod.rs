//! The state file: what this machine last published, as far as it remembers.
//!
//! A cache and a witness. The bucket is the truth: a state file that is gone or
//! broken costs nothing but the warning that a changed or vanished archive would
//! have earned. Written whole, synced and renamed; only `bts-plan` touches it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::names::{Kind, Name};
use crate::record::{Current, Digest};
use crate::time::Time;

/// What is remembered of all subvolumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What was last published of each.
    pub subvolumes: BTreeMap<Name, Known>,
}

/// What was last published of a subvolume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The whole key of its manifest.
    pub manifest_key: String,
    /// SHA-256 of the manifest's bytes.
    pub manifest_sha256: Digest,
    /// Full or incremental.
    pub kind: Kind,
    /// The snapshot's time.
    pub created_at: Time,
    /// The snapshot's name.
    pub snapshot: String,
    /// The snapshot's UUID in the stream.
    pub uuid: Option<Uuid>,
}

impl State {
    /// Reads the state file; one that is not there, or cannot be understood, is
    /// an empty one. The latter is warned about.
    pub fn load(path: &Path) -> Self {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            text => text,
        };
        let state = text
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
        state.unwrap_or_else(|error| {
            log::warn!(
                "going on without the state file {}: {error} (the archive itself will tell)",
                path.display()
            );
            Self::default()
        })
    }

    /// Remembers what was published.
    pub fn remember(&mut self, current: &Current) {
        let known = Known {
            manifest_key: current.manifest_key.clone(),
            manifest_sha256: current.manifest_sha256,
            kind: current.kind,
            created_at: current.created_at,
            snapshot: current.snapshot.name.clone(),
            uuid: current.snapshot.uuid,
        };
        self.subvolumes.insert(current.subvolume.clone(), known);
    }

    /// Writes the state file durably; its directory is made if need be.
    ///
    /// # Errors
    /// Those of the filesystem; the old file stays then.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let known = Known {
            manifest_key: "p/subvol/data/full/20260117T220511Z-0a1b2c3d/manifest.json".into(),
            manifest_sha256: Digest([7; 32]),
            kind: Kind::Full,
            created_at: "20260117T220511Z".parse().unwrap(),
            snapshot: "data__20260117T220511Z__full".into(),
            uuid: Some(Uuid::from_u128(1)),
        };
        State { subvolumes: [("data".parse().unwrap(), known)].into() }
    }

    #[test]
    fn what_was_saved_is_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet/state.json");
        state().save(&path).unwrap();
        assert_eq!(State::load(&path), state());
    }

    #[test]
    fn a_state_file_that_is_gone_or_broken_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(State::load(&path), State::default());
        for text in ["", "{", "[]", "{\"subvolumes\":{\"..\":{}}}", "\u{0}"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(State::load(&path), State::default(), "{text:?}");
        }
        assert_eq!(State::load(dir.path()), State::default());
    }
}
