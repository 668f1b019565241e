//! The staging directory as it stands.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::btrfs::{self, Found};
use crate::exit::Failure;

/// What is appended to a snapshot's name for the name of the file that says that
/// the snapshot was synced to disk. Its UUIDs are committed before its files' bytes
/// are: after a power cut they alone do not prove it whole.
const SYNCED: &str = ".synced";

/// A staging directory and what is in it.
#[derive(Debug)]
pub(super) struct Place {
    /// Its path, without symlinks.
    pub(super) dir: PathBuf,
    /// The directory that exists and is on the same filesystem: itself, or the one
    /// that it will be made in.
    pub(super) base: PathBuf,
    /// The subvolumes in it.
    pub(super) found: Vec<Found>,
    names: BTreeSet<OsString>,
}

impl Place {
    /// Looks at the directory; one that does not exist is empty.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let (parent, name) = match (dir.parent(), dir.file_name()) {
            (Some(parent), Some(name)) if dir.is_absolute() => (parent, name),
            _ => return Err(refused(dir, "is no absolute path to a directory").into()),
        };
        let parent = fs::canonicalize(parent)
            .with_context(|| format!("cannot find the directory {}", parent.display()))?;
        let dir = parent.join(name);
        let metadata = match fs::symlink_metadata(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (found, names) = (Vec::new(), BTreeSet::new());
                return Ok(Self { dir, base: parent, found, names });
            }
            metadata => metadata.with_context(|| format!("cannot look at {}", dir.display()))?,
        };
        check_ours(&dir, &metadata)?;
        let found = btrfs::snapshots_in(&dir)?;
        let names = names(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
        Ok(Self { base: dir.clone(), dir, found, names })
    }

    /// Whether anything has this name.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.names.contains(name.as_ref() as &std::ffi::OsStr)
    }

    /// Whether the snapshot with this name was synced to disk.
    pub(super) fn synced(&self, name: &str) -> bool {
        self.holds(&format!("{name}{SYNCED}"))
    }
}

fn names(dir: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Whoever else could write there could put a link where a snapshot is to be.
fn check_ours(dir: &Path, metadata: &fs::Metadata) -> Result<(), Failure> {
    if !metadata.is_dir() {
        return Err(refused(dir, "is no directory"));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(refused(dir, &format!("belongs to user {}", metadata.uid())));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refused(dir, &format!("has mode {:04o}, not 0700", metadata.mode() & 0o7777)));
    }
    Ok(())
}

fn refused(dir: &Path, why: &str) -> Failure {
    Failure::usage(format!(
        "{} cannot be a staging directory: it {why}; remove it, or choose another target",
        dir.display()
    ))
}
