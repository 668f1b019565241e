//! What a server has of objects that are not written yet, on disk.
//!
//! Promises that a server that is killed loses nothing that it acknowledged, and
//! that its objects are there whole or not at all: [`Staging::commit`] is the
//! moment at which a write counts. What was committed and not placed is placed at
//! the next start; what was not committed stays an upload, or never was.
//!
//! One folder an upload: `begun.json`, a file a part, named by its number, MD5 and
//! CRC-32, and `commit.json` from the commit on.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use md5::{Digest, Md5};
use s3s::S3Error;
use s3s::dto::Metadata;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How much of a part is read at a time.
const PIECE: usize = 256 << 10;

const BEGUN: &str = "begun.json";
const COMMIT: &str = "commit.json";

/// The disk failed the server, which then answers InternalError.
#[derive(Debug)]
pub(super) struct DiskError(io::Error);

type Result<T> = std::result::Result<T, DiskError>;

impl From<io::Error> for DiskError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl From<DiskError> for S3Error {
    fn from(error: DiskError) -> Self {
        Self::internal_error(error.0)
    }
}

pub(super) struct Staging {
    root: PathBuf,
    /// Held while parts or the commit of an upload change.
    changing: Mutex<()>,
}

/// How an upload was begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) metadata: Option<Metadata>,
    pub(super) content_type: Option<String>,
    /// The server keeps a CRC-32 of the whole object.
    pub(super) keeps_crc32: bool,
    /// Begun by CreateMultipartUpload; else a PutObject on its way.
    pub(super) multipart: bool,
}

/// An upload that was begun.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    pub(super) id: String,
    pub(super) begun: Begun,
    pub(super) since: SystemTime,
}

/// A part as it lies on disk.
#[derive(Clone, Debug)]
pub(super) struct StagedPart {
    pub(super) number: i32,
    pub(super) size: u64,
    pub(super) md5: String,
    pub(super) crc32: u32,
    pub(super) modified: SystemTime,
    path: PathBuf,
}

/// What the object is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Commit {
    parts: Vec<PathBuf>,
    pub(super) size: u64,
    pub(super) crc32: u32,
}

impl Staging {
    /// Opens the staging area in `root`. What nobody can go on with is removed.
    pub(super) fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root)?;
        let it = Self { root: root.to_owned(), changing: Mutex::new(()) };
        for entry in fs::read_dir(root)? {
            let path = entry?.path();
            let begun = read_json::<Begun>(&path.join(BEGUN));
            let committed = path.join(COMMIT).exists();
            if !begun.is_ok_and(|begun| begun.multipart || committed) {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(it)
    }

    pub(super) fn begin(&self, begun: &Begun) -> Result<String> {
        let id = Uuid::new_v4().to_string();
        let new = self.root.join(format!(".{id}"));
        fs::create_dir(&new)?;
        write_json(&new.join(BEGUN), begun)?;
        fs::rename(new, self.root.join(&id))?;
        Ok(id)
    }

    /// The upload, while it is not committed.
    pub(super) fn get(&self, id: &str) -> Option<Staged> {
        let folder = self.folder(id)?;
        if folder.join(COMMIT).exists() {
            return None;
        }
        let begun = read_json(&folder.join(BEGUN)).ok()?;
        let since = fs::metadata(folder.join(BEGUN)).and_then(|it| it.modified()).ok()?;
        Some(Staged { id: id.to_owned(), begun, since })
    }

    /// All that were begun by CreateMultipartUpload and are not committed.
    pub(super) fn uploads(&self) -> Result<Vec<Staged>> {
        let staged = self.ids()?.into_iter().filter_map(|id| self.get(&id));
        Ok(staged.filter(|staged| staged.begun.multipart).collect())
    }

    /// Those that were committed and are still to be placed.
    pub(super) fn committed(&self) -> Result<Vec<String>> {
        let mut ids = self.ids()?;
        ids.retain(|id| self.root.join(id).join(COMMIT).exists());
        Ok(ids)
    }

    /// Keeps a part; `None` when there is no such upload (any more).
    pub(super) fn put_part(
        &self,
        id: &str,
        number: i32,
        bytes: &[u8],
    ) -> Result<Option<StagedPart>> {
        let Some(folder) = self.folder(id) else { return Ok(None) };
        let (md5, crc32) = (hex(&Md5::digest(bytes)), crc32fast::hash(bytes));
        let new = folder.join(format!(".{}", Uuid::new_v4()));
        if fs::write(&new, bytes).is_err() && !folder.exists() {
            return Ok(None);
        }
        let _changing = self.changing();
        if self.get(id).is_none() {
            return Ok(None);
        }
        let path = folder.join(format!("{number:05}-{md5}-{crc32:08x}"));
        fs::rename(new, &path)?;
        let of_number = format!("{number:05}-");
        for other in fs::read_dir(&folder)? {
            let other = other?;
            let same = other.file_name().to_str().is_some_and(|it| it.starts_with(&of_number));
            if same && other.path() != path {
                fs::remove_file(other.path())?;
            }
        }
        Ok(staged_part(&path))
    }

    /// The parts, in ascending order.
    pub(super) fn parts(&self, id: &str) -> Result<Vec<StagedPart>> {
        let files = fs::read_dir(self.root.join(id))?.collect::<io::Result<Vec<_>>>()?;
        let mut parts: Vec<_> = files.iter().filter_map(|file| staged_part(&file.path())).collect();
        // Killed between writing the new one and removing the old one: the new one.
        parts.sort_by_key(|part| (part.number, std::cmp::Reverse(part.modified)));
        parts.dedup_by_key(|part| part.number);
        Ok(parts)
    }

    /// From here on the object counts as written; `false` when another was faster.
    pub(super) fn commit(&self, id: &str, parts: &[StagedPart]) -> Result<bool> {
        let _changing = self.changing();
        let open = self.get(id).is_some();
        if open {
            write_json(&self.root.join(id).join(COMMIT), &Commit::of(parts))?;
        }
        Ok(open)
    }

    /// What was committed as `id`.
    pub(super) fn placing(&self, id: &str) -> Result<(Begun, Commit)> {
        let folder = self.root.join(id);
        Ok((read_json(&folder.join(BEGUN))?, read_json(&folder.join(COMMIT))?))
    }

    /// Gives an upload up; `false` when it was committed or is gone.
    pub(super) fn abort(&self, id: &str) -> Result<bool> {
        let _changing = self.changing();
        let open = self.get(id).is_some();
        if open {
            self.clear(id)?;
        }
        Ok(open)
    }

    /// Forgets what was placed, or was never to be.
    pub(super) fn remove(&self, id: &str) -> Result<()> {
        let _changing = self.changing();
        self.clear(id)
    }

    fn clear(&self, id: &str) -> Result<()> {
        let Some(folder) = self.folder(id) else { return Ok(()) };
        let gone = self.root.join(format!(".{id}"));
        fs::rename(folder, &gone)?;
        Ok(fs::remove_dir_all(gone)?)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap()
    }

    /// An id comes from a client: it must be one of ours before it is a path.
    fn folder(&self, id: &str) -> Option<PathBuf> {
        let folder = self.root.join(Uuid::parse_str(id).ok()?.to_string());
        folder.exists().then_some(folder)
    }

    fn ids(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.root)?.collect::<io::Result<Vec<_>>>()?;
        let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }
}

impl Commit {
    /// Of these parts, in this order.
    pub(super) fn of(parts: &[StagedPart]) -> Self {
        let mut whole = crc32fast::Hasher::new();
        for part in parts {
            whole.combine(&crc32fast::Hasher::new_with_initial_len(part.crc32, part.size));
        }
        Self {
            parts: parts.iter().map(|part| part.path.clone()).collect(),
            size: parts.iter().map(|part| part.size).sum(),
            crc32: whole.finalize(),
        }
    }

    /// The bytes, in pieces.
    pub(super) fn pieces(&self) -> impl Iterator<Item = io::Result<Bytes>> + Send + Sync + 'static {
        self.parts.clone().into_iter().flat_map(|path| {
            let mut file = File::open(path);
            std::iter::from_fn(move || {
                let file = match &mut file {
                    Ok(file) => file,
                    Err(error) => return Some(Err(io::Error::from(error.kind()))),
                };
                let mut piece = vec![0; PIECE];
                match file.read(&mut piece) {
                    Ok(0) => None,
                    Ok(len) => Some(Ok(Bytes::from(piece).slice(..len))),
                    Err(error) => Some(Err(error)),
                }
            })
        })
    }
}

/// `len` bytes of a file from `start`, in pieces.
pub(super) fn pieces(
    path: &Path,
    start: u64,
    len: u64,
) -> Result<impl Iterator<Item = io::Result<Bytes>> + Send + Sync + use<>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut file = file.take(len);
    Ok(std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE);
        match file.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(Bytes::from(piece))),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// `None` for a file that is no part.
fn staged_part(path: &Path) -> Option<StagedPart> {
    let mut fields = path.file_name()?.to_str()?.split('-');
    let (number, md5, crc32) = (fields.next()?, fields.next()?, fields.next()?);
    let metadata = fs::metadata(path).ok()?;
    Some(StagedPart {
        number: number.parse().ok()?,
        size: metadata.len(),
        md5: md5.to_owned(),
        crc32: u32::from_str_radix(crc32, 16).ok()?,
        modified: metadata.modified().ok()?,
        path: path.to_owned(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whole or not at all. It need not survive a power cut, only a kill.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(value)?)?;
    fs::rename(new, path)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
