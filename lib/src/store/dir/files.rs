//! Whole files below the root: read, written durably, replaced atomically.
//!
//! The kind of an [`io::Error`] that comes out of here means: `NotFound` no such
//! object, `AlreadyExists` the condition does not hold, `InvalidInput` no such
//! key can be here.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::{Key, Meta};
use crate::time::Time;

/// The folder below the root where everything is written first. No key may lie
/// in it.
pub(super) const RESERVED: &str = ".bts-uploads";

/// The longest path component of Linux filesystems, in bytes.
const COMPONENT_MAX: usize = 255;

/// The files of one store.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Without a root, every object would look absent.
    pub(super) fn check_root(&self) -> io::Result<()> {
        if self.root.is_dir() {
            return Ok(());
        }
        let root = self.root.display();
        Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{root} is no directory: is the disk mounted? (it is never made)"),
        ))
    }

    /// Where `key`'s object lies.
    pub(super) fn path(&self, key: &Key) -> io::Result<PathBuf> {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        let mut path = self.root.clone();
        for (depth, part) in key.as_str().split('/').enumerate() {
            match part {
                "" | "." | ".." => return refuse("a key here has no empty, . or .. component"),
                RESERVED if depth == 0 => return refuse("this folder is reserved for uploads"),
                _ if part.len() > COMPONENT_MAX => {
                    return refuse("a key here has no component above 255 bytes");
                }
                _ => path.push(part),
            }
        }
        Ok(path)
    }

    pub(super) fn meta(&self, key: &Key) -> io::Result<Option<Meta>> {
        match fs::metadata(self.path(key)?) {
            Ok(metadata) if metadata.is_file() => Ok(Some(meta_of(&metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn open(&self, key: &Key) -> io::Result<(File, Meta)> {
        let absent = || io::Error::new(io::ErrorKind::NotFound, "there is no such object");
        let file = match File::open(self.path(key)?) {
            Err(error) if is_absent(&error) => return Err(absent()),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(absent());
        }
        Ok((file, meta_of(&metadata)))
    }

    /// Writes an object, over another one only where `replace` says so.
    pub(super) fn write(&self, key: &Key, body: &[u8], replace: bool) -> io::Result<Meta> {
        let path = self.path(key)?;
        let mut temporary = tempfile::NamedTempFile::new_in(self.reserved()?)?;
        temporary.write_all(body)?;
        temporary.as_file().sync_all()?;
        self.place(temporary, &path, replace)
    }

    /// Writes an object over the one with this ETag.
    pub(super) fn replace(&self, key: &Key, body: &[u8], etag: &str) -> io::Result<Meta> {
        let lock = File::create(self.reserved()?.join("lock"))?;
        lock.lock()?;
        match self.meta(key)? {
            Some(meta) if meta.etag == etag => self.write(key, body, true),
            _ => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "another process wrote it since it was read",
            )),
        }
    }

    pub(super) fn delete(&self, key: &Key) -> io::Result<()> {
        let path = self.path(key)?;
        match fs::remove_file(&path) {
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_dir(path.parent().unwrap_or(&self.root)),
        }
    }

    /// Gives a synced file its place, durably.
    pub(super) fn place(
        &self,
        file: tempfile::NamedTempFile,
        path: &Path,
        replace: bool,
    ) -> io::Result<Meta> {
        let parent = path.parent().unwrap_or(&self.root);
        self.make_dirs(parent)?;
        let placed = match replace {
            true => file.persist(path),
            false => file.persist_noclobber(path),
        };
        let file = placed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => {
                io::Error::new(io::ErrorKind::AlreadyExists, "it exists already")
            }
            _ => error.error,
        })?;
        sync_dir(parent)?;
        Ok(meta_of(&file.metadata()?))
    }

    /// The reserved folder, made if need be.
    pub(super) fn reserved(&self) -> io::Result<PathBuf> {
        let path = self.root.join(RESERVED);
        self.make_dirs(&path)?;
        Ok(path)
    }

    /// Makes `dir` and what leads to it from the root, durably.
    pub(super) fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() || dir == self.root {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(&self.root);
        self.make_dirs(parent)?;
        match fs::create_dir(dir) {
            Ok(()) => sync_dir(parent),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether the error says that there is no such file: a folder on the way may be
/// a file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// An object is only ever renamed into place, so that its inode, its time and
/// its size tell it from the one before.
pub(super) fn meta_of(metadata: &fs::Metadata) -> Meta {
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    Meta {
        size: metadata.len(),
        etag: format!("{:x}-{seconds:x}.{nanos:x}-{:x}", metadata.len(), metadata.ino()),
        storage_class: "STANDARD".to_owned(),
        modified: jiff::Timestamp::from_second(seconds).ok().map(Time::truncated),
        ..Meta::default()
    }
}
