//! Reads pointers and manifests, one at a time.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::exit::Failure;
use crate::manifest::{
    Invalid, MANIFEST_MAX, Manifest, POINTER_MAX, Pointer, parse, parse_pointer,
};
use crate::names::Name;
use crate::record::Digest;
use crate::store::{Archive, Key, read_small};

/// One backup of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The whole key of its manifest.
    pub key: Key,
    /// SHA-256 of the manifest's bytes.
    pub sha256: Digest,
    /// The subvolume's name.
    pub subvolume: Name,
    /// The manifest.
    pub manifest: Manifest,
}

/// A pointer as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointed {
    /// What it says.
    pub pointer: Pointer,
    /// The manifest's key.
    pub key: Key,
    /// The pointer's own bytes.
    pub bytes: Bytes,
    /// The pointer's ETag, for [`crate::store::Condition::IfMatch`].
    pub etag: String,
}

/// The whole key of a subvolume's pointer.
///
/// # Errors
/// When the prefix is so long that no key is left.
pub fn pointer_key(archive: &Archive, name: &Name) -> Result<Key, Failure> {
    archive
        .key(format_args!("subvol/{name}/current.json"))
        .map_err(|bad| Failure::config(bad.to_string()))
}

/// A subvolume's pointer, or `None` when it has none.
///
/// # Errors
/// [`Invalid`] when it is no pointer or points out of the archive; those of the
/// store.
pub async fn pointer(archive: &Archive, name: &Name) -> anyhow::Result<Option<Pointed>> {
    let key = pointer_key(archive, name)?;
    let Some(small) = read_small(&*archive.store, &key, POINTER_MAX).await? else {
        return Ok(None);
    };
    let object = archive.store.locate(key.as_str());
    let pointer = parse_pointer(&small.bytes, &object)?;
    let key = inside(archive, &pointer.manifest_key, &object, "manifest_key")?;
    Ok(Some(Pointed { pointer, key, bytes: small.bytes, etag: small.etag }))
}

/// The manifest with this key, or `None` when there is none.
///
/// # Errors
/// [`Invalid`] when it is no sound manifest, or names keys outside the archive;
/// those of the store.
pub async fn load(archive: &Archive, key: &Key) -> anyhow::Result<Option<Link>> {
    let Some(small) = read_small(&*archive.store, key, MANIFEST_MAX).await? else {
        return Ok(None);
    };
    let object = archive.store.locate(key.as_str());
    let manifest = parse(&small.bytes, &object)?;
    check_keys(archive, &manifest, &object)?;
    let subvolume = manifest
        .subvolume
        .parse()
        .map_err(|bad| Invalid::new(&object, "subvolume", format!("{bad}")))?;
    let sha256 = Digest(Sha256::digest(&small.bytes).into());
    Ok(Some(Link { key: key.clone(), sha256, subvolume, manifest }))
}

/// The manifest that the subvolume's pointer names, or `None` when there is no
/// pointer.
///
/// # Errors
/// Those of [`pointer`] and [`load`]; [`Invalid`] when the pointer names a
/// manifest that is not there or another subvolume's.
pub async fn find(archive: &Archive, name: &Name) -> anyhow::Result<Option<Link>> {
    let Some(pointed) = pointer(archive, name).await? else { return Ok(None) };
    let object = archive.store.locate(pointer_key(archive, name)?.as_str());
    let Some(link) = load(archive, &pointed.key).await? else {
        let named = archive.store.locate(pointed.key.as_str());
        let what = format!("it names {named}, which does not exist");
        return Err(Invalid::new(object, "manifest_key", what).into());
    };
    if link.subvolume != *name {
        let what = format!("it names a backup of the subvolume {}", link.subvolume);
        return Err(Invalid::new(object, "manifest_key", what).into());
    }
    Ok(Some(link))
}

fn check_keys(archive: &Archive, manifest: &Manifest, object: &str) -> Result<(), Invalid> {
    for (index, chunk) in manifest.chunks.iter().enumerate() {
        inside(archive, &chunk.key, object, &format!("chunks[{index}].key"))?;
    }
    if let Some(parts) = &manifest.parts {
        inside(archive, &parts.key, object, "parts.key")?;
    }
    if let Some(parent) = &manifest.parent_manifest {
        inside(archive, parent, object, "parent_manifest")?;
    }
    Ok(())
}

/// `text` as a key of this archive: one that begins with its prefix, so that a
/// manifest cannot make a reader with wider permissions fetch something else.
pub(super) fn inside(
    archive: &Archive,
    text: &str,
    object: &str,
    field: &str,
) -> Result<Key, Invalid> {
    let prefix = archive.prefix();
    if !text.starts_with(&prefix) {
        let what = format!("{text:?} lies outside of the archive's prefix {prefix:?}");
        return Err(Invalid::new(object, field, what));
    }
    text.parse().map_err(|bad| Invalid::new(object, field, format!("{bad}")))
}
