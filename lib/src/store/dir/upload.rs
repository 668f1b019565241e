//! Multipart uploads: `.bts-uploads/<id>/` holds `key`, `data`, into which every
//! part is written at its place, and a small file for each part that is there.
//!
//! A part is synced before its file appears, so that after a power cut as well a
//! part that is known is a part that is whole.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::tree::{Tree, UPLOADS, is_absent, meta, private_dir, sync_dir};
use crate::record::Checksum;
use crate::store::limits::PARTS_MAX;
use crate::store::{
    Condition, Error, ErrorKind, Key, Meta, PartBody, PartDone, PartSeen, Result, Upload,
    UploadSeen, Whole,
};

/// The file that holds an upload's key.
const KEY: &str = "key";
/// The file that becomes the object.
const DATA: &str = "data";

impl Tree {
    pub(super) fn create_upload(&self, key: Key, part_size: u64) -> Result<Upload> {
        self.path(&key)?;
        let id = Uuid::new_v4().to_string();
        let folder = self.uploads()?.join(&id);
        let create = || {
            private_dir(&folder)?;
            fs::write(folder.join(KEY), key.as_str())?;
            let data = folder.join(DATA);
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(data)
        };
        create().map_err(|error| self.error("begin to upload", key.as_str(), &error))?;
        Ok(Upload { key, id, checksum: Checksum::None, part_size })
    }

    pub(super) fn put_part(
        &self,
        upload: &Upload,
        number: u32,
        body: &PartBody,
    ) -> Result<PartDone> {
        let action = format!("write part {number} of");
        let refused = |cause: String| {
            Error::new(ErrorKind::Refused, &action, self.locate(upload.key.as_str()), cause)
        };
        if !(1..=PARTS_MAX).contains(&number) {
            return Err(refused(format!("parts are numbered 1 to {PARTS_MAX}")));
        }
        if body.len > upload.part_size {
            return Err(refused(format!("{} bytes are too many for a part", body.len)));
        }
        let folder = self.folder_of(upload)?;
        let offset = u64::from(number - 1) * upload.part_size;
        let (len, crc32) = write_part(&folder, number, offset, body)
            .map_err(|error| self.upload_error(&action, upload, &error))?;
        if (len, crc32) != (body.len, body.crc32) {
            return Err(refused("its bytes changed in this machine's memory".to_owned()));
        }
        let done = PartDone { number, size: len, etag: etag(len, crc32), crc32 };
        know_part(&folder, &done).map_err(|error| self.upload_error(&action, upload, &error))?;
        Ok(done)
    }

    pub(super) fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta> {
        let error = |error: &io::Error| self.upload_error("complete", upload, error);
        let folder = self.folder_of(upload)?;
        let data = folder.join(DATA);
        let file = OpenOptions::new().write(true).open(&data).map_err(|failed| error(&failed))?;
        self.check_parts(upload, &folder, parts, whole)?;
        file.set_len(whole.size).and_then(|()| file.sync_all()).map_err(|failed| error(&failed))?;
        // Makes the folders above, and keeps them.
        let _beside = self.temporary(&upload.key)?;
        let condition = if whole.if_absent { Condition::IfAbsent } else { Condition::Always };
        let meta = self.place(&data, &upload.key, &condition)?;
        remove(&folder).map_err(|failed| error(&failed))?;
        Ok(meta)
    }

    /// Refuses parts that are not there, not those that were sent, or do not make
    /// up the object.
    fn check_parts(
        &self,
        upload: &Upload,
        folder: &Path,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<()> {
        let refused = |cause: String| {
            Error::new(ErrorKind::Refused, "complete", self.locate(upload.key.as_str()), cause)
        };
        let mut crc32 = crc32fast::Hasher::new();
        let mut size = 0;
        for (number, part) in (1..).zip(parts) {
            let there = known_part(&part_path(folder, part.number))
                .map_err(|error| self.upload_error("complete", upload, &error))?;
            let last = usize::try_from(number) == Ok(parts.len());
            if part.number != number || there.as_deref() != Some(part.etag.as_str()) {
                return Err(refused(format!("part {number} is not the one that was sent")));
            }
            if part.etag != etag(part.size, part.crc32) || !last && part.size != upload.part_size {
                return Err(refused(format!("part {number} has a wrong size or CRC-32")));
            }
            crc32.combine(&crc32fast::Hasher::new_with_initial_len(part.crc32, part.size));
            size += part.size;
        }
        if parts.is_empty() || (size, crc32.finalize()) != (whole.size, whole.crc32) {
            return Err(refused("the parts do not make up the object".to_owned()));
        }
        Ok(())
    }

    pub(super) fn abort_upload(&self, upload: &Upload) -> Result<()> {
        let gone = self.folder_of(upload).and_then(|folder| {
            remove(&folder).map_err(|error| self.upload_error("abort", upload, &error))
        });
        match gone {
            Err(error) if error.kind == ErrorKind::NoSuchUpload => Ok(()),
            other => other,
        }
    }

    pub(super) fn list_parts(&self, upload: &Upload) -> Result<Vec<PartSeen>> {
        let folder = self.folder_of(upload)?;
        let read = || {
            // Once its data became the object, what is left is no upload.
            fs::metadata(folder.join(DATA))?;
            let mut parts = Vec::new();
            for entry in fs::read_dir(&folder)? {
                parts.extend(part_seen(&entry?.path())?);
            }
            parts.sort_by_key(|part: &PartSeen| part.number);
            Ok(parts)
        };
        read().map_err(|error: io::Error| self.upload_error("list the parts of", upload, &error))
    }

    pub(super) fn list_uploads(&self, prefix: &str) -> Result<Vec<UploadSeen>> {
        let folder = self.uploads()?;
        let read = || {
            let mut uploads = Vec::new();
            for entry in fs::read_dir(&folder)? {
                let seen = upload_seen(&entry?.path())?;
                uploads.extend(seen.filter(|seen| seen.key.starts_with(prefix)));
            }
            Ok(uploads)
        };
        read().map_err(|error: io::Error| self.error("list the uploads in", UPLOADS, &error))
    }

    /// The folder of an upload; its id comes from records, and is checked.
    fn folder_of(&self, upload: &Upload) -> Result<PathBuf> {
        self.path(&upload.key)?;
        let gone = |cause| {
            let object = self.locate(upload.key.as_str());
            Error::new(ErrorKind::NoSuchUpload, "find the upload of", object, cause)
        };
        let id = Uuid::parse_str(&upload.id).map_err(|_| gone("its id is none of ours"))?;
        Ok(self.uploads()?.join(id.to_string()))
    }

    fn upload_error(&self, action: &str, upload: &Upload, error: &io::Error) -> Error {
        if is_absent(error) {
            let object = self.locate(upload.key.as_str());
            let cause = "the upload is gone: completed or aborted";
            return Error::new(ErrorKind::NoSuchUpload, action, object, cause);
        }
        self.error(action, upload.key.as_str(), error)
    }
}

fn part_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("part-{number:05}"))
}

/// The part that the file at `path` tells of, if it is such a file.
fn part_seen(path: &Path) -> io::Result<Option<PartSeen>> {
    let name = path.file_name().and_then(OsStr::to_str);
    let number = name.and_then(|name| name.strip_prefix("part-")).and_then(|n| n.parse().ok());
    let Some(number) = number else { return Ok(None) };
    let Some(etag) = known_part(path)? else { return Ok(None) };
    let size = etag.split_once('-').and_then(|(size, _)| u64::from_str_radix(size, 16).ok());
    Ok(size.map(|size| PartSeen { number, size, etag }))
}

/// The upload in `folder`, if it is one and is not on its way out.
fn upload_seen(folder: &Path) -> io::Result<Option<UploadSeen>> {
    let name = folder.file_name().and_then(OsStr::to_str);
    let Some(id) = name.filter(|name| Uuid::parse_str(name).is_ok()) else { return Ok(None) };
    let read = || {
        let found = fs::metadata(folder.join(KEY))?;
        Ok((fs::read_to_string(folder.join(KEY))?, meta(&found).modified))
    };
    match read() {
        Ok((key, begun)) => Ok(Some(UploadSeen { key, id: id.to_owned(), begun })),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn etag(size: u64, crc32: u32) -> String {
    format!("{size:x}-{crc32:08x}")
}

/// Writes a part at its place; what was there is unknown from the first byte on.
fn write_part(folder: &Path, number: u32, offset: u64, body: &PartBody) -> io::Result<(u64, u32)> {
    let file = OpenOptions::new().write(true).open(folder.join(DATA))?;
    match fs::remove_file(part_path(folder, number)) {
        Err(error) if !is_absent(&error) => return Err(error),
        Err(_) => {}
        Ok(()) => sync_dir(folder)?,
    }
    let (mut len, mut crc32) = (0, crc32fast::Hasher::new());
    for piece in &body.pieces {
        file.write_all_at(piece, offset + len)?;
        crc32.update(piece);
        len += piece.len() as u64;
    }
    file.sync_data()?;
    Ok((len, crc32.finalize()))
}

/// Notes that a part is there: its name appears whole or not at all.
fn know_part(folder: &Path, part: &PartDone) -> io::Result<()> {
    let note = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(note.path(), &part.etag)?;
    note.as_file().sync_all()?;
    note.persist(part_path(folder, part.number))?;
    Ok(())
}

/// The ETag of the part whose note is at `path`, if it is there.
fn known_part(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(etag) => Ok(Some(etag)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes an upload's folder. A part that is still being written finds it gone
/// at once, and cannot put anything into it while it is emptied.
fn remove(folder: &Path) -> io::Result<()> {
    let gone = folder.with_extension("gone");
    match fs::rename(folder, &gone).and_then(|()| fs::remove_dir_all(gone)) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}
