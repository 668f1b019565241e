//! From the records of a run to the bytes that are published. Bytes depend on
//! the run alone, so that a second attempt makes the same ones.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::finished::Finished;
use super::key_of;
use crate::chain::{Chain, Link};
use crate::exit::Failure;
use crate::manifest::{ChunkEntry, Manifest, PartDigests, Pointer, Storage, parse, to_bytes};
use crate::names::BackupId;
use crate::record::{Digest, Object};
use crate::recovery;
use crate::store::{Archive, BadKey, Key, Url};

/// Who wrote a manifest. It is no version of the program: an upgrade between a
/// crash and the rerun must not change a manifest's bytes. It changes when what
/// manifests say does.
const WRITER: &str = "bts 0.1";

/// The object with the part digests.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// Its whole key.
    pub(super) key: Key,
    /// Its bytes.
    pub(super) bytes: Bytes,
    entry: PartDigests,
}

/// What is written when the chunks prove right.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The manifest as a reader would find it.
    pub(super) link: Link,
    /// The manifest's bytes.
    pub(super) manifest: Bytes,
    /// The pointer's bytes.
    pub(super) pointer: Bytes,
}

/// The whole key of a backup's manifest, in the archive at `url`.
///
/// # Errors
/// When it is too long for a key.
pub fn manifest_key(url: &Url, backup: &BackupId) -> Result<Key, BadKey> {
    url.key(format_args!("{backup}/manifest.json"))
}

/// The part digests, where the upload kept them.
pub(super) fn parts(archive: &Archive, finished: &Finished) -> Result<Option<Parts>, Failure> {
    if finished.parts.is_empty() {
        return Ok(None);
    }
    let key = key_of(archive, format_args!("{}/parts.b3", finished.run.backup))?;
    let entry = PartDigests {
        key: key.to_string(),
        part_size: finished.run.part_size,
        sha256: Digest(Sha256::digest(&finished.parts).into()),
    };
    Ok(Some(Parts { key, bytes: finished.parts.clone().into(), entry }))
}

/// The manifest and the pointer. `class` is the chunks' storage class.
///
/// # Errors
/// [`crate::manifest::Invalid`] when the manifest would not be one that a reader accepts.
pub(super) fn manifest(
    archive: &Archive,
    finished: &Finished,
    parts: Option<&Parts>,
    class: String,
) -> anyhow::Result<Made> {
    let key = manifest_key(&archive.url, &finished.run.backup)?;
    let manifest = fields(finished, parts, class);
    let bytes = to_bytes(&manifest)?;
    parse(&bytes, &archive.store.locate(key.as_str()))?;
    let pointer = Pointer {
        manifest_key: key.to_string(),
        kind: manifest.kind,
        created_at: manifest.created_at,
    };
    let link = Link {
        key,
        sha256: Digest(Sha256::digest(&bytes).into()),
        subvolume: finished.run.backup.subvolume.clone(),
        manifest,
    };
    Ok(Made { link, manifest: bytes.into(), pointer: to_bytes(&pointer)?.into() })
}

/// `RESTORE.txt`, and its key. It names the archive as the run did: a second
/// attempt may reach it by another path.
pub(super) fn instructions(
    archive: &Archive,
    finished: &Finished,
    chain: &Chain,
) -> Result<(Key, Bytes), Failure> {
    let run = &finished.run;
    let key = key_of(archive, format_args!("{}/{}", run.backup, recovery::FILE))?;
    let store: Url = run
        .store
        .parse()
        .map_err(|bad: Failure| Failure::data(format!("the run's store: {}", bad.message)))?;
    let text = recovery::text(&store, &chain.links)
        .ok_or_else(|| Failure::data(format!("the chain of {} has no digests", run.backup)))?;
    Ok((key, text.into()))
}

fn fields(finished: &Finished, parts: Option<&Parts>, class: String) -> Manifest {
    let run = &finished.run;
    Manifest {
        version: crate::record::VERSION,
        subvolume: run.backup.subvolume.to_string(),
        kind: run.kind,
        created_at: run.created_at,
        snapshot: finished.snapshot.clone(),
        parent_manifest: run.parent_manifest.clone(),
        chunks: finished.objects.iter().map(entry).collect(),
        total_bytes: finished.end.size,
        chunk_size: run.chunk_size,
        s3: Storage { storage_class: class, sse: run.sse.clone() },
        parent_manifest_sha256: run.parent_manifest_sha256,
        backup: Some(run.backup.to_string()),
        run_id: Some(run.run_id),
        format: Some(run.format),
        send_version: run.send_version,
        hash: Some(run.hash),
        stream_sha256: Some(finished.end.stream_sha256),
        parts: parts.map(|parts| parts.entry.clone()),
        filter: Vec::new(),
        writer: Some(WRITER.to_owned()),
    }
}

fn entry(object: &Object) -> ChunkEntry {
    ChunkEntry {
        key: object.key.clone(),
        size: object.size,
        digests: object.digests,
        etag: object.etag.clone(),
        crc32: object.crc32,
        checksum: object.checksum,
    }
}
