//! What the tests of several modules share: archives in temporary directories
//! with backups in them, and a store that fails on purpose.

mod faulty;
mod thaws;

pub(crate) use faulty::{Completion, Faulty, When};
pub(crate) use thaws::Thaws;

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::manifest::Tally;
use crate::names::{BackupId, Kind, Name};
use crate::publish::{self, Finished, publish};
use crate::record::{
    Checksum, Crc32, Current, Digest, Digests, Format, Hash, Object, Reader, Run, Snapshot,
    StreamEnd, Writer,
};
use crate::store::dir::DirStore;
use crate::store::{Archive, Key, PutOptions, Shared, Url};

/// Chunks and parts as small as tests need them, in bytes.
pub(crate) const CHUNK: u64 = 1000;
pub(crate) const PART: u64 = 300;

/// An archive in a directory that goes away with it. Its keys have the prefix
/// `host/`, as they would in a bucket.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) archive: Archive,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(DirStore::new(dir.path()));
        Self { archive: archive(store), dir }
    }

    /// The file behind a key.
    pub(crate) fn file(&self, key: &str) -> PathBuf {
        self.dir.path().join(key)
    }

    pub(crate) async fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        let key: Key = key.parse().unwrap();
        self.archive.store.put(&key, bytes.into(), &PutOptions::default()).await.unwrap();
    }

    /// What the pointer of `data` says, as bytes.
    pub(crate) fn pointer(&self) -> Option<Vec<u8>> {
        std::fs::read(self.file("host/subvol/data/current.json")).ok()
    }

    /// Stores the chunks of a backup and gives back the records that say so, as
    /// an upload would print them.
    pub(crate) async fn upload(&self, backup: &Backup<'_>) -> Vec<u8> {
        let run = backup.run();
        let mut records = Vec::new();
        let mut out = Writer::new(&mut records);
        out.write(&run).unwrap();
        let mut tally = Tally::new(Some(backup.hash));
        for (index, bytes) in (0..).zip(backup.bytes().chunks(CHUNK as usize)) {
            let object = self.object(&run, index, bytes).await;
            tally.add(object.size, &object.digests).unwrap();
            out.write(&object).unwrap();
        }
        let end = StreamEnd {
            chunks: tally.chunks(),
            size: tally.size(),
            stream_sha256: tally.stream_sha256(),
        };
        out.write(&end).unwrap();
        records
    }

    async fn object(&self, run: &Run, index: u64, bytes: &[u8]) -> Object {
        let key: Key =
            self.archive.key(format_args!("{}/chunks/part-{index:05}.bin", run.backup)).unwrap();
        let body = Bytes::copy_from_slice(bytes);
        let meta = self.archive.store.put(&key, body, &PutOptions::default()).await.unwrap();
        let parts = bytes.chunks(run.part_size as usize);
        Object {
            index,
            key: key.to_string(),
            size: bytes.len() as u64,
            digests: digests(run.hash, bytes),
            etag: Some(meta.etag),
            crc32: Some(Crc32(crc32fast::hash(bytes))),
            checksum: Some(Checksum::None),
            storage_class: None,
            parts: parts.map(|part| Digest(*blake3::hash(part).as_bytes())).collect(),
        }
    }

    /// Uploads and publishes.
    pub(crate) async fn publish(&self, backup: &Backup<'_>) -> Current {
        let records = self.upload(backup).await;
        publish(&self.archive, &finished(&records).unwrap(), "STANDARD").await.unwrap()
    }
}

/// An archive under the prefix `host/` of any store.
pub(crate) fn archive(store: Shared) -> Archive {
    Archive { store, url: Url::S3 { bucket: "bucket".into(), prefix: "host".into() } }
}

/// The upload that these records tell of.
pub(crate) fn finished(records: &[u8]) -> anyhow::Result<Finished> {
    publish::read(&mut Reader::new(Cursor::new(records), "stdin"))
}

pub(crate) fn digests(hash: Hash, bytes: &[u8]) -> Digests {
    let digest = match hash {
        Hash::Sha256 => Digest(Sha256::digest(bytes).into()),
        Hash::Blake3 => Digest(*blake3::hash(bytes).as_bytes()),
    };
    Digests::of(hash, digest)
}

/// A backup to be made. Its content and its UUID follow from `number`.
#[derive(Clone, Copy)]
pub(crate) struct Backup<'a> {
    pub(crate) number: u8,
    pub(crate) parent: Option<&'a Current>,
    pub(crate) size: usize,
    pub(crate) hash: Hash,
}

impl<'a> Backup<'a> {
    /// A backup of two and a half chunks: a full without a parent.
    pub(crate) fn new(number: u8, parent: Option<&'a Current>) -> Self {
        Self { number, parent, size: 2500, hash: Hash::Sha256 }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut seed = u32::from(self.number);
        std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .take(self.size)
        .collect()
    }

    fn uuid(number: u8) -> Uuid {
        Uuid::from_u128(u128::from(number) << 64)
    }

    pub(crate) fn run(&self) -> Run {
        let kind = if self.parent.is_some() { Kind::Incremental } else { Kind::Full };
        let time = format!("202601{:02}T020000Z", self.number).parse().unwrap();
        let subvolume: Name = "data".parse().unwrap();
        let name = format!("data__202601{:02}T020000Z__{}", self.number, kind.suffix());
        Run {
            version: 1,
            run_id: Self::uuid(self.number),
            backup: BackupId { subvolume, kind, time, nonce: u32::from(self.number) },
            kind,
            created_at: time,
            store: "s3://bucket/host".into(),
            format: Format::BtrfsSend,
            send_version: Some(1),
            snapshot: Some(Snapshot {
                path: format!("/snap/{name}"),
                name,
                uuid: Some(Self::uuid(self.number)),
                parent_uuid: self.parent.and_then(|parent| parent.snapshot.uuid),
                ctransid: Some(u64::from(self.number)),
                parent_ctransid: self.parent.and_then(|parent| parent.snapshot.ctransid),
            }),
            parent_manifest: self.parent.map(|parent| parent.manifest_key.clone()),
            parent_manifest_sha256: self.parent.map(|parent| parent.manifest_sha256),
            replaces: self.parent.map(|parent| parent.manifest_key.clone()),
            chunk_size: CHUNK,
            part_size: PART,
            hash: self.hash,
            send_args: Vec::new(),
            filter: Vec::new(),
            storage_class: "STANDARD".into(),
            sse: None,
        }
    }
}
