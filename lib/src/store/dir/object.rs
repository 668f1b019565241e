//! Whole objects: head, get, put, delete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;

use super::tree::{Tree, is_absent, meta, sync_dir};
use crate::store::{Condition, Error, ErrorKind, Get, Key, Meta, Result};

/// Bodies come in pieces of this size, in bytes.
const PIECE: usize = 256 << 10;

impl Tree {
    pub(super) fn head(&self, key: &Key) -> Result<Option<Meta>> {
        match fs::metadata(self.path(key)?) {
            Ok(found) => Ok(found.is_file().then(|| meta(&found))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.error("read the metadata of", key.as_str(), &error)),
        }
    }

    pub(super) fn open(&self, key: &Key) -> Result<(File, Meta)> {
        let open = |path| {
            let file = File::open(path)?;
            let found = file.metadata()?;
            // A folder can be opened, and is no object.
            if found.is_file() {
                Ok((file, meta(&found)))
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        };
        open(self.path(key)?).map_err(|error| {
            let kind = if is_absent(&error) { ErrorKind::NotFound } else { ErrorKind::Io };
            Error::new(kind, "read", self.locate(key.as_str()), error.to_string())
        })
    }

    pub(super) fn put(&self, key: &Key, body: &[u8], condition: &Condition) -> Result<Meta> {
        let mut file = self.temporary(key)?;
        file.write_all(body)
            .and_then(|()| file.as_file().sync_all())
            .map_err(|error| self.error("write", key.as_str(), &error))?;
        let file = file.into_temp_path();
        let meta = self.place(&file, key, condition)?;
        // It has another name now: there is nothing left to remove.
        file.keep().map_err(|failed| self.error("write", key.as_str(), &failed.error))?;
        Ok(meta)
    }

    pub(super) fn delete(&self, key: &Key) -> Result<()> {
        let path = self.path(key)?;
        let _lock = self.lock()?;
        let removed = match fs::remove_file(&path) {
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => Err(error),
            Ok(()) => path.parent().map_or(Ok(()), sync_dir),
        };
        self.remove_empty_folders(&path);
        removed.map_err(|error| self.error("delete", key.as_str(), &error))
    }
}

/// The bytes of an open file.
pub(super) fn get(
    file: File,
    meta: Meta,
    range: Option<Range<u64>>,
    object: String,
) -> Result<Get> {
    let range = range.unwrap_or(0..meta.size);
    if range.start > range.end || range.end > meta.size {
        let cause = format!("{range:?} is not within its {} bytes", meta.size);
        return Err(Error::new(ErrorKind::BadAnswer, "read", object, cause));
    }
    let file = Arc::new(file);
    let pieces = futures::stream::try_unfold(range, move |left| {
        let (file, object) = (Arc::clone(&file), object.clone());
        async move {
            if left.is_empty() {
                return Ok(None);
            }
            let start = left.start;
            let piece = tokio::task::spawn_blocking(move || read(&file, left));
            let piece = piece.await.unwrap_or_else(|died| Err(io::Error::other(died)));
            let (piece, left) = piece.map_err(|error| {
                Error::new(ErrorKind::Io, "read", object, format!("at byte {start}: {error}"))
            })?;
            Ok(Some((piece, left)))
        }
    });
    Ok(Get { size: meta.size, etag: meta.etag, body: pieces.boxed() })
}

fn read(file: &File, left: Range<u64>) -> io::Result<(Bytes, Range<u64>)> {
    let len = usize::try_from(left.end - left.start).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; len];
    file.read_exact_at(&mut piece, left.start)?;
    Ok((piece.into(), left.start + len as u64..left.end))
}
