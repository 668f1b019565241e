//! Manifests and pointers: what lies in the bucket.

use bts::manifest::{Invalid, parse, parse_pointer, to_bytes};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::mutate::{plan, recipes};
use crate::parser::{Parser, Refused};
use crate::records::snapshot;

const BACKUP: &str = "subvol/data/full/20260117T220511Z-0a1b2c3d";

fn manifest() -> Value {
    let digests = [[7_u8; 32], [8; 32]];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let chunks: Vec<_> = (0..).zip(&digests).map(|(index, digest)| json!({
        "key": format!("host/{BACKUP}/chunks/part-{index:05}.bin"), "size": 1000 - 500 * index,
        "sha256": hex(digest), "etag": "e", "crc32": "0a1b2c3d", "checksum": "crc32",
    })).collect();
    json!({
        "version": 1, "subvolume": "data", "kind": "full", "created_at": "2026-01-17T22:05:11Z",
        "snapshot": snapshot(), "parent_manifest": null, "chunks": chunks, "total_bytes": 1500,
        "chunk_size": 1000, "s3": { "storage_class": "STANDARD", "sse": "AES256" }, "backup": BACKUP,
        "run_id": "6e1c63c1-1a0e-4f2d-9c52-1d1f0a3f6a11", "format": "btrfs-send", "send_version": 1,
        "hash": "sha256", "stream_sha256": hex(&Sha256::digest(digests.concat())),
        "parts": { "key": format!("host/{BACKUP}/parts.b3"), "part_size": 300, "sha256": hex(&digests[0]) },
        "writer": "bts 0.1",
    })
}

/// What the existing program writes.
fn foreign() -> Value {
    json!({
        "version": 1, "subvolume": "data", "kind": "incremental", "created_at": "20260117T220511Z",
        "snapshot": { "name": "x", "path": "/snap/x", "uuid": null, "parent_uuid": null },
        "parent_manifest": "host/subvol/data/full/manifest-20260110T220511Z.json",
        "chunks": [{ "key": "host/subvol/data/incremental/chunk-20260117T220511Z-0.bin", "size": 3,
            "etag": null, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }],
        "total_bytes": 3, "chunk_size": 3, "s3": { "storage_class": "DEEP_ARCHIVE" },
    })
}

fn pointer() -> Value {
    json!({ "manifest_key": format!("host/{BACKUP}/manifest.json"), "kind": "full",
            "created_at": "2026-01-17T22:05:11Z" })
}

fn samples() -> Vec<Vec<u8>> {
    [manifest(), foreign(), pointer()]
        .iter()
        .flat_map(|value| [value.to_string(), format!("{value:#}\n")])
        .map(String::into_bytes)
        .collect()
}

/// Reads a manifest, or the pointer that it is when it names a manifest. What is
/// accepted is written and read again, and is the same.
pub fn read(input: &[u8]) -> Result<(), Refused> {
    match parse_pointer(input, "pointer") {
        Ok(pointer) => {
            let bytes = to_bytes(&pointer).unwrap();
            assert_eq!(parse_pointer(&bytes, "again").unwrap(), pointer);
            Ok(())
        }
        Err(_) => parsed(input).map_err(|error| Refused::of(&error)),
    }
}

fn parsed(input: &[u8]) -> Result<(), Invalid> {
    let manifest = parse(input, "manifest")?;
    assert!(!manifest.chunks.is_empty());
    let sum: u128 = manifest.chunks.iter().map(|chunk| u128::from(chunk.size)).sum();
    assert_eq!(sum, u128::from(manifest.total_bytes));
    assert!(manifest.chunks.iter().all(|chunk| chunk.digests.one().is_some()));
    let name = manifest.stream_name();
    assert!(!name.is_empty() && !name.contains('/') && name != "." && name != "..");
    let bytes = to_bytes(&manifest).unwrap();
    assert_eq!(parse(&bytes, "again").unwrap(), manifest);
    assert_eq!(to_bytes(&parse(&bytes, "again").unwrap()).unwrap(), bytes);
    Ok(())
}

#[test]
fn the_samples_are_sound() {
    for sample in samples() {
        Parser::Manifest.read(&sample).unwrap();
    }
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn manifests_and_pointers_end_in_a_verdict(recipe in recipes()) {
        let _ = Parser::Manifest.read(&recipe.bytes(&samples()));
    }
}
