//! Multipart uploads: parts go straight to their place in a file that becomes
//! the object by a rename.
//!
//! `.bts-uploads/<id>/` holds `key`, `data`, and in `parts/<number>` what is
//! known of each part that is complete in `data`. An error of kind
//! `StaleNetworkFileHandle` means that the upload is gone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::{Key, Meta, PartBody, PartDone, Upload, Whole};
use super::files::{Files, is_absent};
use crate::record::{Checksum, Crc32};

pub(super) fn create(files: &Files, key: &Key, part_size: u64) -> io::Result<Upload> {
    files.path(key)?;
    let id = uuid::Uuid::new_v4().to_string();
    let dir = files.reserved()?.join(&id);
    files.make_dirs(&dir.join("parts"))?;
    fs::write(dir.join("key"), key.as_str())?;
    File::create_new(dir.join("data"))?;
    Ok(Upload { key: key.clone(), id, checksum: Checksum::None, part_size })
}

pub(super) fn put(
    files: &Files,
    upload: &Upload,
    number: u32,
    body: &PartBody,
) -> io::Result<PartDone> {
    if number == 0 || body.len > upload.part_size {
        let why = format!("part {number} of {} bytes does not fit this upload", body.len);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let dir = dir_of(files, upload)?;
    let known = dir.join("parts").join(number.to_string());
    // Until the new bytes are complete, nothing vouches for this place.
    remove_if_there(&known)?;
    write_data(&dir, upload.part_size * u64::from(number - 1), body)?;
    let etag = etag_of(body.len, body.crc32);
    let draft = dir.join(format!("part-{number}"));
    fs::write(&draft, &etag)?;
    fs::rename(&draft, &known)?;
    Ok(PartDone { number, size: body.len, etag, crc32: body.crc32 })
}

fn write_data(dir: &Path, start: u64, body: &PartBody) -> io::Result<()> {
    let data = File::options().write(true).open(dir.join("data"))?;
    let (mut at, mut crc32) = (start, crc32fast::Hasher::new());
    for piece in &body.pieces {
        data.write_all_at(piece, at)?;
        crc32.update(piece);
        at += piece.len() as u64;
    }
    if at - start != body.len || crc32.finalize() != body.crc32 {
        return Err(invalid("the part is not what its size and CRC-32 say"));
    }
    Ok(())
}

pub(super) fn complete(
    files: &Files,
    upload: &Upload,
    parts: &[PartDone],
    whole: &Whole,
) -> io::Result<Meta> {
    let dir = dir_of(files, upload)?;
    check_parts(&dir, upload, parts, whole)?;
    let data = File::options().write(true).open(dir.join("data"))?;
    // A part that was sent and not listed is no part of the object.
    data.set_len(whole.size)?;
    data.sync_all()?;
    let path = tempfile::TempPath::try_from_path(dir.join("data"))?;
    let file = tempfile::NamedTempFile::from_parts(data, path);
    let placed =
        files.path(&upload.key).and_then(|path| files.place(file, &path, !whole.if_absent));
    // A failed attempt took the data with it, so the upload goes either way.
    abort(files, upload)?;
    placed
}

fn check_parts(dir: &Path, upload: &Upload, parts: &[PartDone], whole: &Whole) -> io::Result<()> {
    let (mut size, mut crc32) = (0, crc32fast::Hasher::new());
    for (expected, part) in (1..).zip(parts) {
        let last = expected as usize == parts.len();
        if part.number != expected || (part.size != upload.part_size && !last) {
            return Err(invalid(format!("part {} is out of place", part.number)));
        }
        let known = fs::read_to_string(dir.join("parts").join(part.number.to_string()));
        if known.ok().as_deref() != Some(&part.etag) || part.etag != etag_of(part.size, part.crc32)
        {
            return Err(invalid(format!("part {} is not the one that was sent", part.number)));
        }
        size += part.size;
        crc32.combine(&crc32fast::Hasher::new_with_initial_len(part.crc32, part.size));
    }
    if size != whole.size || crc32.finalize() != whole.crc32 {
        return Err(invalid("the parts do not make the object that was announced"));
    }
    Ok(())
}

pub(super) fn abort(files: &Files, upload: &Upload) -> io::Result<()> {
    let dir = match dir_of(files, upload) {
        Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => return Ok(()),
        dir => dir?,
    };
    // A part that is still being written finds its folder gone at once, and
    // cannot put anything into it while it is emptied.
    let gone = dir.with_extension("gone");
    fs::rename(&dir, &gone)?;
    fs::remove_dir_all(gone)
}

/// The upload's folder. Ids come back from journals: one that is no id of ours
/// must not lead anywhere else.
fn dir_of(files: &Files, upload: &Upload) -> io::Result<PathBuf> {
    let gone = || {
        let why = format!("there is no upload {}: it was completed, aborted or lost", upload.id);
        io::Error::new(io::ErrorKind::StaleNetworkFileHandle, why)
    };
    let id: uuid::Uuid = upload.id.parse().map_err(|_| gone())?;
    let dir = files.reserved()?.join(id.to_string());
    match fs::read_to_string(dir.join("key")) {
        Ok(key) if key == upload.key.as_str() => Ok(dir),
        Err(error) if !is_absent(&error) => Err(error),
        _ => Err(gone()),
    }
}

fn etag_of(size: u64, crc32: u32) -> String {
    format!("{size:x}-{}", Crc32(crc32))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
