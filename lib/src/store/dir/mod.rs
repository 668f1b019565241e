//! A store in a directory: a USB disk, a NAS mount, a test.
//!
//! Keys are paths below the directory, taken literally. Everything is written in
//! the reserved folder `.bts-uploads`, synced, renamed to its place, and the
//! place's directory synced: what has a key is whole and durable. Conditions hold
//! among all processes that share the directory, as far as its filesystem does
//! `flock` and atomic renames for them.
//!
//! The directory itself is never made: where a disk is not mounted, its mount
//! point must not be filled instead.

mod files;
mod list;
mod parts;

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use super::{
    Condition, Error, ErrorKind, Get, Key, Meta, Page, PartBody, PartDone, PutOptions, Result,
    Store, Upload, UploadOptions, Whole,
};
use files::Files;

/// How much of an object is read at a time, in bytes.
const PIECE: u64 = 256 << 10;

/// A store in a directory.
#[derive(Debug, Clone)]
pub struct DirStore {
    files: Arc<Files>,
}

impl DirStore {
    /// A store in `root`, which must exist by the time it is used.
    pub fn new(root: &Path) -> Self {
        Self { files: Arc::new(Files::new(root)) }
    }

    /// Runs `work` where blocking is allowed, and says of its error what was
    /// being done to which object.
    async fn blocking<T: Send + 'static>(
        &self,
        action: impl Into<String>,
        key: &str,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let files = self.files.clone();
        let done = tokio::task::spawn_blocking(move || {
            files.check_root()?;
            work(&files)
        });
        let error = match done.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        Err(Error::new(kind_of(&error), action, self.locate(key), error.to_string()))
    }
}

/// What callers can decide on. The kinds of [`io::Error`] that `files` and
/// `parts` choose stand for one kind of ours each.
fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::PreconditionFailed,
        io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied => ErrorKind::Refused,
        io::ErrorKind::NotADirectory => ErrorKind::Refused,
        io::ErrorKind::InvalidData => ErrorKind::BadAnswer,
        io::ErrorKind::StaleNetworkFileHandle => ErrorKind::NoSuchUpload,
        _ => ErrorKind::Io,
    }
}

#[async_trait]
impl Store for DirStore {
    fn locate(&self, key: &str) -> String {
        format!("file://{}/{key}", self.files.root().display())
    }

    async fn conditional(&self) -> Result<bool> {
        Ok(true)
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let path = key.clone();
        self.blocking("look at", key.as_str(), move |files| files.meta(&path)).await
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get> {
        let path = key.clone();
        let (file, meta) =
            self.blocking("read", key.as_str(), move |files| files.open(&path)).await?;
        let range = range.unwrap_or(0..meta.size);
        if range.end > meta.size || range.start > range.end {
            let cause = format!("bytes {range:?} were asked for, it has {}", meta.size);
            return Err(Error::new(ErrorKind::BadAnswer, "read", self.locate(key.as_str()), cause));
        }
        let (store, key, file) = (self.clone(), key.clone(), Arc::new(file));
        let body = futures::stream::try_unfold(range, move |left| {
            let (store, key, file) = (store.clone(), key.clone(), file.clone());
            async move {
                if left.is_empty() {
                    return Ok(None);
                }
                let end = left.end.min(left.start + PIECE);
                let (piece, rest) = (left.start..end, end..left.end);
                let bytes =
                    store.blocking("read", key.as_str(), move |_| read_at(&file, piece)).await?;
                Ok(Some((bytes, rest)))
            }
        });
        Ok(Get { size: meta.size, etag: meta.etag, body: body.boxed() })
    }

    async fn put(&self, key: &Key, body: Bytes, options: &PutOptions) -> Result<Meta> {
        let (path, condition) = (key.clone(), options.condition.clone());
        let write = move |files: &Files| match condition {
            Condition::Always => files.write(&path, &body, true),
            Condition::IfAbsent => files.write(&path, &body, false),
            Condition::IfMatch(etag) => files.replace(&path, &body, &etag),
        };
        self.blocking("write", key.as_str(), write).await
    }

    async fn list(&self, prefix: &str, fold: bool, after: Option<&str>) -> Result<Page> {
        let (start, after) = (prefix.to_owned(), after.map(str::to_owned));
        let list = move |files: &Files| list::page(files.root(), &start, fold, after.as_deref());
        self.blocking("list", prefix, list).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let path = key.clone();
        self.blocking("delete", key.as_str(), move |files| files.delete(&path)).await
    }

    async fn create_upload(&self, key: &Key, options: &UploadOptions) -> Result<Upload> {
        let (path, part_size) = (key.clone(), options.part_size);
        let create = move |files: &Files| parts::create(files, &path, part_size);
        self.blocking("begin the upload of", key.as_str(), create).await
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: PartBody) -> Result<PartDone> {
        let at = upload.clone();
        let put = move |files: &Files| parts::put(files, &at, number, &body);
        self.blocking(format!("write part {number} of"), upload.key.as_str(), put).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta> {
        let (at, done, whole) = (upload.clone(), parts.to_vec(), *whole);
        let complete = move |files: &Files| parts::complete(files, &at, &done, &whole);
        self.blocking("complete the upload of", upload.key.as_str(), complete).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        let at = upload.clone();
        let abort = move |files: &Files| parts::abort(files, &at);
        self.blocking("abort the upload of", upload.key.as_str(), abort).await
    }
}

fn read_at(file: &std::fs::File, range: Range<u64>) -> io::Result<Bytes> {
    // At most PIECE, so it fits a usize.
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
