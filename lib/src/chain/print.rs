//! Chains as records, or as bare values for a shell.

use std::io::{self, Write};

use clap::ValueEnum;

use super::current::snapshot;
use super::load::Link;
use crate::record::{Backup, Format, ListEnd, Object, Writer};

/// A value of a backup that `bts-manifest chain --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Field {
    /// The whole key of the manifest
    ManifestKey,
    /// The subvolume's name
    Subvolume,
    /// full or incremental
    Kind,
    /// The snapshot's time, RFC 3339
    CreatedAt,
    /// The snapshot's name in the stream
    Snapshot,
    /// The snapshot's UUID in the stream; empty where unknown
    Uuid,
    /// The parent's UUID in the stream; empty where there is none
    ParentUuid,
    /// The snapshot's ctransid in the stream; empty where unknown
    Ctransid,
    /// The sum of the chunks' sizes, in bytes
    Size,
}

impl Field {
    fn of(self, link: &Link) -> String {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        let manifest = &link.manifest;
        match self {
            Self::ManifestKey => link.key.to_string(),
            Self::Subvolume => link.subvolume.to_string(),
            Self::Kind => manifest.kind.word().to_owned(),
            Self::CreatedAt => manifest.created_at.to_string(),
            Self::Snapshot => manifest.stream_name().to_owned(),
            Self::Uuid => text(manifest.snapshot.uuid),
            Self::ParentUuid => text(manifest.snapshot.parent_uuid),
            Self::Ctransid => text(manifest.snapshot.ctransid),
            Self::Size => manifest.total_bytes.to_string(),
        }
    }
}

/// Writes the fields of each backup in turn, a NUL byte after each value. No
/// value can hold one: a manifest with control characters is not sound.
///
/// # Errors
/// Those of `out`.
pub fn write_fields<W: Write>(links: &[Link], fields: &[Field], mut out: W) -> io::Result<()> {
    for link in links {
        for field in fields {
            write!(out, "{}\0", field.of(link))?;
        }
    }
    out.flush()
}

/// Writes a `backup` record and its `object` records for each backup in turn,
/// then `end`.
///
/// # Errors
/// Those of `out`.
pub fn write_records<W: Write>(links: &[Link], out: W) -> io::Result<()> {
    let mut out = Writer::new(out);
    for link in links {
        out.write(&backup(link))?;
        for object in objects(link) {
            out.write(&object)?;
        }
    }
    out.write(&ListEnd { backups: links.len() as u64 })?;
    out.flush()
}

fn backup(link: &Link) -> Backup {
    let manifest = &link.manifest;
    let parts = manifest.parts.as_ref();
    Backup {
        subvolume: link.subvolume.clone(),
        manifest_key: link.key.to_string(),
        kind: manifest.kind,
        created_at: manifest.created_at,
        snapshot: snapshot(manifest),
        format: manifest.format.unwrap_or(Format::BtrfsSend),
        chunks: manifest.chunks.len() as u64,
        size: manifest.total_bytes,
        stream_sha256: manifest.stream_sha256,
        part_size: parts.map(|parts| parts.part_size),
        parts_key: parts.map(|parts| parts.key.clone()),
        parts_sha256: parts.map(|parts| parts.sha256),
        storage_class: manifest.s3.storage_class.clone(),
    }
}

fn objects(link: &Link) -> impl Iterator<Item = Object> + '_ {
    let manifest = &link.manifest;
    (0..).zip(&manifest.chunks).map(|(index, chunk)| Object {
        index,
        key: chunk.key.clone(),
        size: chunk.size,
        digests: chunk.digests,
        etag: chunk.etag.clone(),
        crc32: chunk.crc32,
        checksum: chunk.checksum,
        storage_class: Some(manifest.s3.storage_class.clone()),
        parts: Vec::new(),
    })
}
