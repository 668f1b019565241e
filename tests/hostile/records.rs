//! Records, one by one, of every type that there is.

use bts::record::*;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mutate::{plan, recipes};
use crate::parser::{Parser, Refused};

const DIGEST: &str = "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3";
const UUID: &str = "6e1c63c1-1a0e-4f2d-9c52-1d1f0a3f6a11";
const BACKUP: &str = "subvol/data/full/20260117T220511Z-0a1b2c3d";

/// The record of a run, which opens a journal too.
pub fn run() -> Value {
    json!({
        "type": "run", "version": 1, "run_id": UUID, "backup": BACKUP, "kind": "full",
        "created_at": "2026-01-17T22:05:11Z", "store": "s3://bucket/host", "format": "btrfs-send",
        "send_version": 1, "snapshot": snapshot(), "parent_manifest": null,
        "parent_manifest_sha256": null, "chunk_size": 1000, "part_size": 300, "hash": "sha256",
        "send_args": ["--proto", "2"], "filter": [], "storage_class": "STANDARD", "sse": "AES256",
    })
}

/// The value of `snapshot`.
pub fn snapshot() -> Value {
    json!({ "name": "data__20260117T220511Z__full", "path": "/s/data__20260117T220511Z__full",
            "uuid": UUID, "parent_uuid": null, "ctransid": 7, "parent_ctransid": null })
}

/// A stored chunk.
pub fn object(index: u64, size: u64) -> Value {
    json!({ "type": "object", "index": index, "key": format!("host/{BACKUP}/chunks/part-{index:05}.bin"),
            "size": size, "sha256": DIGEST, "etag": "\"e\"", "crc32": "0a1b2c3d", "checksum": "crc32",
            "storage_class": "STANDARD", "parts": [DIGEST] })
}

fn all() -> Vec<Value> {
    let plan = json!({
        "version": 1, "subvolume": "data", "path": "/data", "action": "incremental", "reason": "due",
        "backup": BACKUP, "kind": "full", "created_at": "20260117T220511Z", "nested": ["x"],
        "snapshot": { "name": "n", "path": "/s/n" }, "send_args": [],
        "parent": { "name": "p", "path": "/s/p", "uuid": UUID, "manifest_key": "k", "manifest_sha256": DIGEST },
    });
    let mut typed = plan.clone();
    typed["type"] = json!("plan");
    vec![
        json!({ "type": "stream", "version": 1, "format": "btrfs-send", "send_version": 1,
                "chunk_size": 4, "hash": "blake3", "snapshot_name": "n", "uuid": UUID, "ctransid": 1,
                "parent_uuid": null, "parent_ctransid": null, "plan": plan }),
        json!({ "type": "chunk", "index": 0 }),
        json!({ "type": "chunk_end", "index": 0, "size": 4, "sha256": DIGEST }),
        json!({ "type": "end", "chunks": 1, "size": 4, "stream_sha256": DIGEST }),
        json!({ "type": "end", "backups": 1 }),
        json!({ "type": "end", "uploads": 1, "objects": 2, "size": 3, "deleted": false }),
        json!({ "type": "orphan", "kind": "upload", "key": "k", "upload_id": "u",
                "begun": "2026-01-17T22:05:11Z", "reason": "why", "deleted": false }),
        run(),
        object(0, 4),
        typed,
        json!({ "type": "prune", "subvolume": "data", "snapshot": { "name": "n", "path": "/n" }, "reason": "old" }),
        json!({ "type": "current", "subvolume": "data", "manifest_key": "k", "manifest_sha256": DIGEST,
                "kind": "full", "created_at": "2026-01-17T22:05:11Z", "snapshot": snapshot(),
                "chain": { "length": 1, "full_manifest_key": "k", "full_created_at": "2026-01-17T22:05:11Z",
                           "size": 4, "missing": ["m"] } }),
        json!({ "type": "backup", "subvolume": "data", "manifest_key": "k", "kind": "incremental",
                "created_at": "2026-01-17T22:05:11Z", "snapshot": snapshot(), "format": "btrfs-send",
                "chunks": 1, "size": 4, "stream_sha256": DIGEST, "part_size": 4, "parts_key": "p",
                "parts_sha256": DIGEST, "storage_class": "DEEP_ARCHIVE" }),
        json!({ "type": "attempt", "at": "2026-01-17T22:05:11Z" }),
        json!({ "type": "upload", "index": 0, "key": "k", "upload_id": "u", "checksum": "md5", "part_size": 300 }),
        json!({ "type": "part", "index": 0, "number": 1, "size": 300, "etag": "e", "crc32": "0a1b2c3d", "blake3": DIGEST }),
        json!({ "type": "lost", "index": 0, "upload_id": "u" }),
        json!({ "type": "abandoned", "reason": "why" }),
        json!({ "type": "novel", "anything": [1, 2.5, null] }),
    ]
}

fn samples() -> Vec<Vec<u8>> {
    let lines: Vec<_> = all().iter().map(|record| format!("{record}\n")).collect();
    let mut samples = vec![
        lines.concat().into_bytes(),
        b"{\"type\":\"data\",\"len\":3,\"crc32\":\"352441c2\"}\nabc\n".to_vec(),
    ];
    samples.extend(lines.into_iter().map(String::into_bytes));
    samples
}

/// Reads all records as what they say they are. What is accepted is written and
/// read again, and is the same.
pub fn read(input: &[u8]) -> Result<(), Refused> {
    let mut reader = Reader::new(input, "stdin");
    while let Some(raw) = reader.next(TYPES).map_err(|error| Refused::of(&error))? {
        decoded(&mut reader, raw).map_err(|error| Refused::of(&error))?;
    }
    Ok(())
}

fn decoded(reader: &mut Reader<&[u8]>, raw: Raw) -> Result<(), Error> {
    match raw.kind() {
        Data::TYPE => {
            again::<Data>(raw)?;
            let payload = reader.payload()?;
            assert!(payload.len() as u64 <= PAYLOAD_MAX);
            Ok(())
        }
        <StreamEnd as Typed>::TYPE => again::<StreamEnd>(raw.clone())
            .or_else(|_| again::<OrphansEnd>(raw.clone()))
            .or_else(|_| again::<ListEnd>(raw)),
        Stream::TYPE => again::<Stream>(raw),
        Chunk::TYPE => again::<Chunk>(raw),
        ChunkEnd::TYPE => again::<ChunkEnd>(raw),
        Orphan::TYPE => again::<Orphan>(raw),
        Run::TYPE => again::<Run>(raw),
        Object::TYPE => again::<Object>(raw),
        Plan::TYPE => again::<Plan>(raw),
        Prune::TYPE => again::<Prune>(raw),
        Current::TYPE => again::<Current>(raw),
        Backup::TYPE => again::<Backup>(raw),
        Attempt::TYPE => again::<Attempt>(raw),
        Upload::TYPE => again::<Upload>(raw),
        Part::TYPE => again::<Part>(raw),
        Lost::TYPE => again::<Lost>(raw),
        Abandoned::TYPE => again::<Abandoned>(raw),
        other => panic!("no case reads a record of type {other}"),
    }
}

fn again<T: Serialize + DeserializeOwned + Typed + PartialEq + std::fmt::Debug>(
    raw: Raw,
) -> Result<(), Error> {
    let value: T = raw.decode()?;
    let line = to_line(&value).unwrap() + "\n";
    let raw = Reader::new(line.as_bytes(), "again").next(&[T::TYPE]).unwrap().unwrap();
    assert_eq!(raw.decode::<T>().unwrap(), value);
    Ok(())
}

#[test]
fn the_samples_are_sound() {
    for sample in samples() {
        Parser::Records.read(&sample).unwrap();
    }
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn records_end_in_a_verdict(recipe in recipes()) {
        let _ = Parser::Records.read(&recipe.bytes(&samples()));
    }
}
