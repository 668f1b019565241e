//! Whether one manifest agrees with itself.

use super::{Invalid, Manifest, PartDigests, Tally};
use crate::names::{BackupId, Kind, Name};
use crate::store::Key;

/// Checks everything that a manifest can say wrong by itself.
pub(super) fn check(manifest: &Manifest, object: &str) -> Result<(), Invalid> {
    identity(manifest, object)?;
    snapshot(manifest, object)?;
    chunks(manifest, object)?;
    parts(manifest, object)
}

/// Checks that `text` can be a key.
pub(super) fn key(text: &str, object: &str, field: &str) -> Result<(), Invalid> {
    match text.parse::<Key>() {
        Ok(_) => Ok(()),
        Err(bad) => Err(Invalid::new(object, field, bad.to_string())),
    }
}

fn identity(manifest: &Manifest, object: &str) -> Result<(), Invalid> {
    let invalid = |field: &str, what: String| Err(Invalid::new(object, field, what));
    let name: Name = match manifest.subvolume.parse() {
        Ok(name) => name,
        Err(bad) => return invalid("subvolume", format!("{bad}")),
    };
    match (manifest.kind, &manifest.parent_manifest) {
        (Kind::Full, None) => {}
        (Kind::Incremental, Some(parent)) => key(parent, object, "parent_manifest")?,
        (Kind::Full, Some(_)) => {
            return invalid("parent_manifest", "a full backup that names a parent".into());
        }
        (Kind::Incremental, None) => {
            return invalid("parent_manifest", "an incremental backup without a parent".into());
        }
    }
    let Some(backup) = &manifest.backup else { return Ok(()) };
    match backup.parse::<BackupId>() {
        Ok(id) if id.subvolume == name && id.kind == manifest.kind => Ok(()),
        Ok(_) => invalid("backup", format!("{backup:?} is not of this subvolume and kind")),
        Err(bad) => invalid("backup", format!("{bad}")),
    }
}

/// Both names end up as a path below the directory that a restore receives
/// into: neither may leave it.
fn snapshot(manifest: &Manifest, object: &str) -> Result<(), Invalid> {
    let snapshot = &manifest.snapshot;
    let names =
        [("snapshot.name", snapshot.name.as_str()), ("snapshot.path", manifest.stream_name())];
    for (field, name) in names {
        if !is_component(name) {
            let what = format!("{name:?} cannot be the name of a snapshot");
            return Err(Invalid::new(object, field, what));
        }
    }
    Ok(())
}

/// Whether this is one component of a path that a directory entry can hold.
/// NAME_MAX of Linux is 255 bytes.
pub(crate) fn is_component(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.contains('/')
        && !name.chars().any(char::is_control)
        && !matches!(name, "." | "..")
}

fn chunks(manifest: &Manifest, object: &str) -> Result<(), Invalid> {
    if manifest.chunks.is_empty() {
        return Err(Invalid::new(object, "chunks", "the list is empty"));
    }
    let mut tally = Tally::new(manifest.hash);
    for (index, chunk) in manifest.chunks.iter().enumerate() {
        key(&chunk.key, object, &format!("chunks[{index}].key"))?;
        tally.add(chunk.size, &chunk.digests).map_err(|wrong| {
            Invalid::new(object, format!("chunks[{index}].{}", wrong.field), wrong.what)
        })?;
    }
    let (said, sum) = (manifest.total_bytes, tally.size());
    if said != sum {
        let what = format!("it says {said} bytes, and the chunks add up to {sum}");
        return Err(Invalid::new(object, "total_bytes", what));
    }
    if manifest.stream_sha256.is_some_and(|said| said != tally.stream_sha256()) {
        let what = "it is not the digest of the chunks' digests";
        return Err(Invalid::new(object, "stream_sha256", what));
    }
    Ok(())
}

fn parts(manifest: &Manifest, object: &str) -> Result<(), Invalid> {
    let Some(parts) = &manifest.parts else { return Ok(()) };
    key(&parts.key, object, "parts.key")?;
    let sizes = manifest.chunks.iter().map(|chunk| chunk.size);
    match PartDigests::expected(parts.part_size, sizes) {
        Some(_) => Ok(()),
        None => Err(Invalid::new(object, "parts.part_size", "no size of a part")),
    }
}
