//! The tree of files: which path a key has, and how the tree changes safely.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use tempfile::{NamedTempFile, TempPath};

use crate::store::{Condition, Error, ErrorKind, Key, Meta, Result};
use crate::time::Time;

/// The folder for what is on its way.
pub(super) const UPLOADS: &str = ".bts-uploads";
/// How the names of files begin that are being written.
pub(super) const TEMPORARY: &str = ".bts-tmp-";
/// The longest name of a file, in bytes (path_resolution(7), NAME_MAX).
const NAME_MAX: usize = 255;

/// A directory with objects in it.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn locate(&self, key: &str) -> String {
        format!("file://{}/{key}", self.root.display())
    }

    /// The directory, which must be there.
    pub(super) fn root(&self) -> Result<&Path> {
        if self.root.is_dir() {
            return Ok(&self.root);
        }
        let cause = "there is no such directory: mount the disk, or make the directory";
        Err(Error::new(ErrorKind::Unavailable, "use", self.locate(""), cause))
    }

    pub(super) fn error(&self, action: &str, key: &str, error: &io::Error) -> Error {
        Error::new(kind_of(error), action, self.locate(key), error.to_string())
    }

    /// The path of `key`.
    pub(super) fn path(&self, key: &Key) -> Result<PathBuf> {
        let root = self.root()?;
        if let Some(cause) = key.as_str().split('/').find_map(refuse_name) {
            let cause = format!("{cause}, and a directory cannot hold it");
            return Err(Error::new(ErrorKind::Refused, "use", self.locate(key.as_str()), cause));
        }
        Ok(root.join(key.as_str()))
    }

    /// The folder for uploads, made if need be.
    pub(super) fn uploads(&self) -> Result<PathBuf> {
        let path = self.root()?.join(UPLOADS);
        match private_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(self.error("make", UPLOADS, &error))
            }
            _ => Ok(path),
        }
    }

    /// The lock that is held over every change of the tree.
    pub(super) fn lock(&self) -> Result<Flock<File>> {
        let path = self.uploads()?.join("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(|error| self.error("lock", UPLOADS, &error))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| self.error("lock", UPLOADS, &errno.into()))
    }

    /// An empty file that will take the place of `key`, in the same folder.
    pub(super) fn temporary(&self, key: &Key) -> Result<NamedTempFile> {
        let path = self.path(key)?;
        // Nobody removes the folder as empty between making it and using it.
        let _lock = self.lock()?;
        let folder = path.parent().unwrap_or(&self.root);
        self.make_folders(folder)
            .and_then(|()| tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder))
            .map_err(|error| self.error("write", key.as_str(), &error))
    }

    /// Makes `folder` and those above it, each synced into the one above.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || folder.is_dir() {
            return Ok(());
        }
        let above = folder.parent().unwrap_or(&self.root);
        self.make_folders(above)?;
        private_dir(folder)?;
        sync_dir(above)
    }

    /// Puts the synced file `from` in the place of `key`, if `condition` holds;
    /// otherwise it stays where it is.
    pub(super) fn place(&self, from: &Path, key: &Key, condition: &Condition) -> Result<Meta> {
        let path = self.path(key)?;
        let _lock = self.lock()?;
        self.check(key, &path, condition)?;
        let place = || {
            rename(from, &path, condition)?;
            sync_dir(path.parent().unwrap_or(&self.root))?;
            fs::metadata(&path)
        };
        match place() {
            Ok(found) => Ok(meta(&found)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(self.unmet(key, "the key is taken"))
            }
            Err(error) => Err(self.error("write", key.as_str(), &error)),
        }
    }

    /// Whether `condition` holds; the lock must be held.
    fn check(&self, key: &Key, path: &Path, condition: &Condition) -> Result<()> {
        let there = match fs::metadata(path) {
            Ok(found) => Some(meta(&found)),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(self.error("write", key.as_str(), &error)),
        };
        let unmet = match (condition, there) {
            (Condition::IfAbsent, Some(_)) => "the key is taken",
            (Condition::IfMatch(_), None) => "the object is gone",
            (Condition::IfMatch(etag), Some(meta)) if meta.etag != *etag => {
                "the object was replaced"
            }
            _ => return Ok(()),
        };
        Err(self.unmet(key, unmet))
    }

    fn unmet(&self, key: &Key, cause: &str) -> Error {
        Error::new(ErrorKind::PreconditionFailed, "write", self.locate(key.as_str()), cause)
    }

    /// Removes the folders above `path` that hold nothing; the lock must be held.
    pub(super) fn remove_empty_folders(&self, path: &Path) {
        let above = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
        for folder in above {
            // The first one that holds something ends it.
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

/// Why a file or folder cannot have this name, if it cannot.
pub(super) fn refuse_name(name: &str) -> Option<String> {
    let reserved = name == UPLOADS || name.starts_with(TEMPORARY);
    match name {
        "" => Some("it has an empty component".to_owned()),
        "." | ".." => Some(format!("it has a component {name:?}")),
        _ if reserved => Some(format!("{name:?} is reserved")),
        _ if name.len() > NAME_MAX => {
            Some(format!("it has a component of more than {NAME_MAX} bytes"))
        }
        _ => None,
    }
}

/// What is told of a file.
pub(super) fn meta(found: &fs::Metadata) -> Meta {
    let (size, seconds, nanos) = (found.size(), found.mtime(), found.mtime_nsec());
    Meta {
        size,
        etag: format!("{size:x}-{seconds:x}.{nanos:x}-{:x}", found.ino()),
        crc32: None,
        storage_class: "STANDARD".to_owned(),
        archived: None,
        modified: jiff::Timestamp::from_second(seconds).ok().map(Time::truncated),
        metadata: Default::default(),
    }
}

/// Renames; create-only even against those who do not know our lock.
fn rename(from: &Path, to: &Path, condition: &Condition) -> io::Result<()> {
    if *condition != Condition::IfAbsent {
        return fs::rename(from, to);
    }
    let Err(failed) = TempPath::try_from_path(from)?.persist_noclobber(to) else { return Ok(()) };
    // What could not be renamed is the caller's, not to be removed here.
    failed.path.keep()?;
    Err(failed.error)
}

/// Whether the error says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    }
}

/// Makes a folder that only its owner may enter: archives hold everybody's files.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
