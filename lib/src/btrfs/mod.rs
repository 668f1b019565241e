//! What the kernel tells of Btrfs subvolumes, without parsing anybody's output.
//!
//! Promises that an answer is the kernel's own, at the moment of the call.
//! Making, sending and deleting snapshots is `btrfs`'s business.

mod ioctl;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, fstatfs};
use uuid::Uuid;

use crate::exit::{HasStatus, Status};

/// The inode number of every subvolume's top directory
/// (`BTRFS_FIRST_FREE_OBJECTID` in the kernel's `btrfs_tree.h`).
const TOP_INODE: u64 = 256;

/// Why a path cannot be asked about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It lies on another kind of filesystem.
    #[error("{} is not on a Btrfs filesystem", .0.display())]
    NotBtrfs(PathBuf),
    /// It is no subvolume's top directory.
    #[error("{} is not a subvolume (`btrfs subvolume create` makes one)", .0.display())]
    NotSubvolume(PathBuf),
    /// The kernel refused.
    #[error("cannot ask Btrfs about {}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

impl HasStatus for Error {
    fn status(&self) -> Status {
        match self {
            Self::Io(..) => Status::Io,
            // The config names what is not there.
            _ => Status::Config,
        }
    }
}

/// What the kernel knows of a subvolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its id within the filesystem.
    pub id: u64,
    /// Its UUID.
    pub uuid: Uuid,
    /// The UUID of the subvolume that it is a snapshot of. (A send stream's
    /// parent is another thing.)
    pub parent_uuid: Option<Uuid>,
    /// The UUID in the stream that it was received from.
    pub received_uuid: Option<Uuid>,
    /// The transaction of its last change of any kind.
    pub generation: u64,
    /// The transaction of its last change of content.
    pub ctransid: u64,
    /// The ctransid in the stream that it was received from.
    pub stransid: u64,
    /// The transaction that created it: orders snapshots by age, whatever the
    /// clock did.
    pub otransid: u64,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// A subvolume that was found in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name in that directory.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// What the kernel knows of it.
    pub info: Info,
}

/// What the kernel knows of the subvolume at `path`.
///
/// # Errors
/// One for each way in which there is none at `path`.
pub fn info(path: &Path) -> Result<Info, Error> {
    let dir = open(path)?;
    let inode = dir.metadata().map_err(|error| Error::Io(path.into(), error))?.ino();
    if inode != TOP_INODE {
        return Err(Error::NotSubvolume(path.into()));
    }
    ioctl::info(&dir).map_err(|error| Error::Io(path.into(), error))
}

/// The id of the filesystem that `path` lies on. (Each subvolume has a device
/// number of its own, so that comparing those would tell them apart.)
///
/// # Errors
/// When there is nothing at `path`, or it is not on Btrfs.
pub fn filesystem_id(path: &Path) -> Result<Uuid, Error> {
    ioctl::filesystem_id(&open(path)?).map_err(|error| Error::Io(path.into(), error))
}

/// The subvolumes that lie within the subvolume at `path`, at any depth, in the
/// order of their paths: a snapshot of it shows an empty directory for each.
///
/// # Errors
/// As [`info`]; a nested one that goes away meanwhile is left out.
pub fn nested(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut left) = (Vec::new(), vec![path.to_owned()]);
    while let Some(subvolume) = left.pop() {
        let children = match open(&subvolume) {
            Err(_) if subvolume != path => continue,
            dir => ioctl::children(&dir?).map_err(|error| Error::Io(subvolume.clone(), error))?,
        };
        for child in children {
            let child = subvolume.join(child);
            left.push(child.clone());
            found.push(child);
        }
    }
    found.sort();
    Ok(found)
}

/// The subvolumes directly in `dir`, in the order of their names. Other files,
/// and names that are not UTF-8, are none of ours and left out.
///
/// # Errors
/// When `dir` cannot be read.
pub fn snapshots_in(dir: &Path) -> Result<Vec<Found>, Error> {
    let failed = |error| Error::Io(dir.to_owned(), error);
    open(dir)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        match info(&entry.path()) {
            Ok(info) => found.push(Found { name, path: entry.path(), info }),
            Err(Error::Io(path, error)) => return Err(Error::Io(path, error)),
            Err(_) => {}
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn open(path: &Path) -> Result<File, Error> {
    let failed = |error| Error::Io(path.to_owned(), error);
    let dir = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Missing(path.into()));
        }
        dir => dir.map_err(failed)?,
    };
    let filesystem = fstatfs(&dir).map_err(|errno| failed(errno.into()))?;
    if filesystem.filesystem_type() != BTRFS_SUPER_MAGIC {
        return Err(Error::NotBtrfs(path.into()));
    }
    Ok(dir)
}

/// Bytes up to the first NUL, as a path component.
fn c_text(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    OsString::from_vec(bytes[..end].to_vec())
}
