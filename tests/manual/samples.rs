//! One value of each record, with every optional field there.

use std::collections::BTreeSet;

use bts::intent::Intent;
use bts::manifest::{ChunkEntry, Manifest, PartDigests, Pointer, Storage};
use bts::names::{BackupId, Kind, Name};
use bts::record::*;
use bts::time::Time;
use serde_json::Value;
use uuid::Uuid;

/// Fields whose value is described in a subsection of its own.
const ELSEWHERE: [(&str, &str); 8] = [
    ("stream", "plan"),
    ("plan", "run"),
    ("run", "snapshot"),
    ("current", "snapshot"),
    ("backup", "snapshot"),
    ("manifest.json", "snapshot"),
    ("run", "filter"),
    ("manifest.json", "filter"),
];

/// Something that bts-records(5) describes.
pub struct Sample {
    /// The title of its subsection.
    pub title: &'static str,
    /// The record's type, where it is a record.
    pub record: Option<&'static str>,
    /// Its fields: `chain.length`, `chunks[].key`.
    pub fields: BTreeSet<String>,
}

/// All of them.
pub fn samples() -> Vec<Sample> {
    vec![
        record("stream", &stream()),
        record("chunk", &Chunk { index: 0 }),
        record("data", &Data { len: 1, crc32: Crc32(1) }),
        record("chunk_end", &ChunkEnd { index: 0, size: 1, digests: digests() }),
        record("end", &StreamEnd { chunks: 1, size: 1, stream_sha256: digest() }),
        record("run", &run()),
        record("object", &object()),
        plain("snapshot", &snapshot()),
        record("current", &current()),
        record("backup", &backup()),
        record("restore_point", &restore_point()),
        record("list end", &ListEnd { backups: 1 }),
        record("orphan", &orphan()),
        record("orphans end", &OrphansEnd { uploads: 1, objects: 1, size: 1, deleted: true }),
        record("plan", &plan()),
        record("prune", &prune()),
        record("error", &error()),
        plain("manifest.json", &manifest()),
        plain("current.json", &pointer()),
        plain("intent.json", &intent()),
        record("upload", &upload()),
        record("attempt", &Attempt { at: time() }),
        record("lost", &Lost { index: 1, upload_id: Some("id".into()) }),
        record("part", &part()),
        record("abandoned", &Abandoned { reason: "why".into() }),
    ]
}

fn record<T: serde::Serialize + Typed>(title: &'static str, value: &T) -> Sample {
    let line = to_line(value).expect("every record can be said in JSON");
    let mut value: Value = serde_json::from_str(&line).unwrap();
    let kind = value.as_object_mut().unwrap().remove("type");
    assert_eq!(kind, Some(T::TYPE.into()));
    Sample { record: Some(T::TYPE), ..sample(title, &value) }
}

fn plain<T: serde::Serialize>(title: &'static str, value: &T) -> Sample {
    sample(title, &serde_json::to_value(value).unwrap())
}

fn sample(title: &'static str, value: &Value) -> Sample {
    let mut fields = BTreeSet::new();
    collect(title, "", value, &mut fields);
    Sample { title, record: None, fields }
}

/// Adds the paths of all leaves of `value`. A null would hide what is below it.
fn collect(title: &str, path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    assert!(!value.is_null(), "the sample {title} leaves {path} out");
    match value {
        Value::Object(map) if !ELSEWHERE.contains(&(title, path)) => {
            for (name, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                collect(title, &format!("{path}{dot}{name}"), value, fields);
            }
        }
        Value::Array(array) if array.first().is_some_and(Value::is_object) => {
            collect(title, &format!("{path}[]"), &array[0], fields);
        }
        _ => {
            fields.insert(path.to_owned());
        }
    }
}

fn text() -> String {
    "text".to_owned()
}

fn uuid() -> Uuid {
    Uuid::from_u128(1)
}

fn digest() -> Digest {
    Digest([1; 32])
}

fn digests() -> Digests {
    Digests { sha256: Some(digest()), blake3: Some(digest()) }
}

fn time() -> Time {
    "2026-01-17T22:05:11Z".parse().unwrap()
}

fn name() -> Name {
    "data".parse().unwrap()
}

fn backup_id() -> BackupId {
    BackupId { subvolume: name(), kind: Kind::Full, time: time(), nonce: 1 }
}

fn snapshot() -> Snapshot {
    Snapshot {
        name: text(),
        path: text(),
        uuid: Some(uuid()),
        parent_uuid: Some(uuid()),
        ctransid: Some(1),
        parent_ctransid: Some(1),
    }
}

fn stream() -> Stream {
    Stream {
        version: VERSION,
        format: Format::BtrfsSend,
        send_version: Some(1),
        chunk_size: 1,
        hash: Hash::Sha256,
        snapshot_name: Some(text()),
        uuid: Some(uuid()),
        ctransid: Some(1),
        parent_uuid: Some(uuid()),
        parent_ctransid: Some(1),
        plan: Some(Box::new(plan())),
    }
}

fn run() -> Run {
    Run {
        version: VERSION,
        run_id: uuid(),
        backup: backup_id(),
        kind: Kind::Full,
        created_at: time(),
        store: text(),
        format: Format::BtrfsSend,
        send_version: Some(1),
        snapshot: Some(snapshot()),
        parent_manifest: Some(text()),
        parent_manifest_sha256: Some(digest()),
        replaces: Some("key".into()),
        chunk_size: 1,
        part_size: 1,
        hash: Hash::Sha256,
        send_args: vec![text()],
        filter: vec![vec![text()]],
        storage_class: text(),
        sse: Some(text()),
    }
}

fn object() -> Object {
    Object {
        index: 0,
        key: text(),
        size: 1,
        digests: digests(),
        etag: Some(text()),
        crc32: Some(Crc32(1)),
        checksum: Some(Checksum::Crc32),
        storage_class: Some(text()),
        parts: vec![digest()],
    }
}

fn current() -> Current {
    Current {
        subvolume: name(),
        manifest_key: text(),
        manifest_sha256: digest(),
        kind: Kind::Full,
        created_at: time(),
        snapshot: snapshot(),
        chain: ChainSummary {
            length: 1,
            full_manifest_key: text(),
            full_created_at: time(),
            size: 1,
            missing: vec![text()],
        },
    }
}

fn restore_point() -> RestorePoint {
    RestorePoint {
        subvolume: Some(name()),
        manifest_key: text(),
        kind: Some(Kind::Full),
        created_at: Some(time()),
        size: Some(1),
        storage_class: Some(text()),
        current: true,
        chain_length: Some(1),
        chain_size: Some(1),
        complete: true,
        missing: vec![text()],
        problem: Some(text()),
    }
}

fn backup() -> Backup {
    Backup {
        subvolume: name(),
        manifest_key: text(),
        kind: Kind::Full,
        created_at: time(),
        snapshot: snapshot(),
        format: Format::BtrfsSend,
        chunks: 1,
        size: 1,
        stream_sha256: Some(digest()),
        part_size: Some(1),
        parts_key: Some(text()),
        parts_sha256: Some(digest()),
        storage_class: text(),
    }
}

fn orphan() -> Orphan {
    Orphan {
        kind: OrphanKind::Upload,
        key: text(),
        upload_id: Some(text()),
        size: Some(1),
        modified: Some(time()),
        begun: Some(time()),
        reason: text(),
        deleted: true,
    }
}

fn place() -> SnapshotPlace {
    SnapshotPlace { name: text(), path: text() }
}

fn plan() -> Plan {
    Plan {
        version: VERSION,
        subvolume: name(),
        path: text(),
        action: Action::Incremental,
        reason: text(),
        backup: Some(backup_id()),
        kind: Some(Kind::Incremental),
        created_at: Some(time()),
        snapshot: Some(place()),
        parent: Some(Parent {
            name: text(),
            path: text(),
            uuid: uuid(),
            manifest_key: text(),
            manifest_sha256: digest(),
        }),
        replaces: Some("key".into()),
        send_args: vec![text()],
        run: Some(Box::new(run())),
        nested: vec![text()],
    }
}

fn prune() -> Prune {
    Prune { subvolume: name(), snapshot: place(), reason: text() }
}

fn error() -> ErrorRecord {
    ErrorRecord { program: text(), status: 65, code: text(), message: text() }
}

fn manifest() -> Manifest {
    Manifest {
        version: VERSION,
        subvolume: text(),
        kind: Kind::Full,
        created_at: time(),
        snapshot: snapshot(),
        parent_manifest: Some(text()),
        chunks: vec![ChunkEntry {
            key: text(),
            size: 1,
            digests: digests(),
            etag: Some(text()),
            crc32: Some(Crc32(1)),
            checksum: Some(Checksum::Crc32),
        }],
        total_bytes: 1,
        chunk_size: 1,
        s3: Storage { storage_class: text(), sse: Some(text()) },
        parent_manifest_sha256: Some(digest()),
        backup: Some(text()),
        run_id: Some(uuid()),
        format: Some(Format::BtrfsSend),
        send_version: Some(1),
        hash: Some(Hash::Sha256),
        stream_sha256: Some(digest()),
        parts: Some(PartDigests { key: text(), part_size: 1, sha256: digest() }),
        filter: vec![vec![text()]],
        writer: Some(text()),
    }
}

fn intent() -> Intent {
    Intent { run_id: uuid(), backup: backup_id(), host: Some(text()), renewed_at: time() }
}

fn pointer() -> Pointer {
    Pointer { manifest_key: text(), kind: Kind::Full, created_at: time() }
}

fn upload() -> Upload {
    Upload { index: 0, key: text(), upload_id: text(), checksum: Checksum::Crc32, part_size: 1 }
}

fn part() -> Part {
    Part { index: 0, number: 1, size: 1, etag: text(), crc32: Crc32(1), blake3: digest() }
}
