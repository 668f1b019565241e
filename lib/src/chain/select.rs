//! Which backup is meant, and what it stands on.

use std::io::Write;

use anyhow::Context;

use super::load::{Link, find, load, pointer, pointer_key};
use super::walk::walk;
use crate::exit::Failure;
use crate::manifest::{Invalid, MANIFEST_MAX};
use crate::names::Name;
use crate::store::{Archive, Key, read_small};

/// How a person names a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// The one that the subvolume's pointer names.
    Newest(Name),
    /// The one whose manifest has this key.
    Manifest(Key),
}

impl Selected {
    /// What two flags of which one was given come to.
    ///
    /// # Errors
    /// [`crate::exit::Status::Usage`] when none or both were.
    pub fn new(subvolume: Option<Name>, manifest: Option<Key>) -> Result<Self, Failure> {
        match (subvolume, manifest) {
            (Some(name), None) => Ok(Self::Newest(name)),
            (None, Some(key)) => Ok(Self::Manifest(key)),
            _ => Err(Failure::usage("name one backup: give --subvolume or --manifest-key")),
        }
    }
}

/// The selected backup and what it stands on, the full first; with `only`, that
/// backup alone.
///
/// # Errors
/// [`Invalid`] when there is no such backup, or its chain is not whole and
/// sound; those of the store.
pub async fn resolve(
    archive: &Archive,
    selected: &Selected,
    only: bool,
) -> anyhow::Result<Vec<Link>> {
    let (object, found) = match selected {
        Selected::Newest(name) => (pointer_key(archive, name)?, find(archive, name).await?),
        Selected::Manifest(key) => {
            in_archive(archive, key)?;
            (key.clone(), load(archive, key).await?)
        }
    };
    let Some(newest) = found else { return Err(nothing(archive, &object).into()) };
    if only {
        return Ok(vec![newest]);
    }
    Ok(walk(archive, newest).await?.whole(archive)?.links)
}

/// Writes the selected backup's manifest to `out`, byte for byte as it is
/// stored, sound or not.
///
/// # Errors
/// [`Invalid`] when there is none; those of the store and of `out`.
pub async fn write_manifest<W: Write>(
    archive: &Archive,
    selected: &Selected,
    mut out: W,
) -> anyhow::Result<()> {
    let key = match selected {
        Selected::Manifest(key) => {
            in_archive(archive, key)?;
            key.clone()
        }
        Selected::Newest(name) => match pointer(archive, name).await? {
            Some(pointed) => pointed.key,
            None => return Err(nothing(archive, &pointer_key(archive, name)?).into()),
        },
    };
    let small = read_small(&*archive.store, &key, MANIFEST_MAX).await?;
    let small = small.ok_or_else(|| nothing(archive, &key))?;
    out.write_all(&small.bytes).and_then(|()| out.flush()).context("writing to stdout")
}

fn nothing(archive: &Archive, key: &Key) -> Invalid {
    Invalid::new(archive.store.locate(key.as_str()), "", "it does not exist")
}

fn in_archive(archive: &Archive, key: &Key) -> Result<(), Failure> {
    let prefix = archive.prefix();
    if key.as_str().starts_with(&prefix) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the key {key} lies outside of the archive: whole keys begin with {prefix:?}"
    )))
}
