use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{ChunkEntry, PartDigests, Storage, Tally};
use super::*;
use crate::names::Kind;
use crate::record::{Checksum, Crc32, Digest, Digests, Format, Hash, Snapshot};

const URL: &str = "s3://bucket/manifest.json";
const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A manifest as the existing program writes them: the contract's fields alone.
fn old() -> Value {
    json!({
        "version": 1, "subvolume": "data", "kind": "full",
        "created_at": "20260117T220511Z",
        "snapshot": {
            "name": "data__20260117T220511Z__full",
            "path": "/srv/snapshots/data__20260117T220511Z__full",
            "uuid": null, "parent_uuid": null
        },
        "parent_manifest": null,
        "chunks": [
            { "key": "host/subvol/data/full/chunk-20260117T220511Z-0.bin", "size": 10,
              "sha256": DIGEST, "etag": null },
            { "key": "host/subvol/data/full/chunk-20260117T220511Z-1.bin", "size": 3,
              "sha256": DIGEST, "etag": "\"0123\"" }
        ],
        "total_bytes": 13, "chunk_size": 10,
        "s3": { "storage_class": "DEEP_ARCHIVE" }
    })
}

fn read(value: &Value) -> Result<Manifest, Invalid> {
    parse(value.to_string().as_bytes(), URL)
}

/// The field that `parse` blames when `pointer` is set to `value`.
fn blamed(pointer: &str, value: Value) -> String {
    let mut manifest = old();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[field.parse::<usize>().unwrap()] = value,
        parent => parent[field] = value,
    }
    let invalid = read(&manifest).expect_err(pointer);
    assert_eq!(invalid.object, URL);
    assert!(invalid.to_string().starts_with(URL), "{invalid}");
    invalid.field
}

#[test]
fn manifests_of_the_existing_program_are_read() {
    let manifest = read(&old()).unwrap();
    assert_eq!(manifest.created_at.to_string(), "2026-01-17T22:05:11Z");
    assert_eq!(manifest.stream_name(), "data__20260117T220511Z__full");
    assert_eq!(manifest.chunks[0].etag, None);
    assert_eq!((manifest.hash, manifest.parts), (None, None));
}

#[test]
fn the_stream_name_is_the_path_s_last_component_whatever_the_name_says() {
    let mut value = old();
    value["snapshot"]["name"] = json!("nightly");
    assert_eq!(read(&value).unwrap().stream_name(), "data__20260117T220511Z__full");
}

#[test]
fn fields_that_this_version_does_not_know_are_ignored_everywhere() {
    let mut value = old();
    for parent in ["", "/snapshot", "/chunks/0", "/s3"] {
        value.pointer_mut(parent).unwrap()["novelty"] = json!({ "deep": [1, { "er": null }] });
    }
    assert_eq!(read(&value).unwrap(), read(&old()).unwrap());
}

/// The fields of one object in the opposite order; serde_json sorts what it
/// prints, so this is written by hand.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .rev()
                .map(|(name, value)| format!("{name:?}: {}", backwards(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(backwards).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let text = backwards(&old());
    assert!(text.find("version").unwrap() < text.find("chunks").unwrap());
    assert_eq!(parse(text.as_bytes(), URL).unwrap(), read(&old()).unwrap());
}

#[test]
fn what_contradicts_itself_is_refused_with_the_field() {
    for (pointer, value, field) in [
        ("/subvolume", json!("../etc"), "subvolume"),
        ("/kind", json!("differential"), "kind"),
        ("/kind", json!("incremental"), "parent_manifest"),
        ("/parent_manifest", json!("host/x/manifest.json"), "parent_manifest"),
        ("/created_at", json!("yesterday"), "created_at"),
        ("/snapshot/name", json!("a/b"), "snapshot.name"),
        ("/snapshot/name", json!(".."), "snapshot.name"),
        ("/snapshot/path", json!("/srv/.."), "snapshot.path"),
        ("/snapshot/path", json!("/srv/"), "snapshot.path"),
        ("/snapshot/path", json!("/srv/a\nb"), "snapshot.path"),
        ("/snapshot/uuid", json!("nonsense"), "snapshot.uuid"),
        ("/chunks", json!([]), "chunks"),
        ("/chunks/1/size", json!(0), "chunks[1].size"),
        ("/chunks/1/size", json!(4), "total_bytes"),
        ("/chunks/0/size", json!(u64::MAX), "chunks[1].size"),
        ("/chunks/0/size", json!(-1), "chunks[0].size"),
        ("/chunks/0/key", json!("a\u{7}"), "chunks[0].key"),
        ("/chunks/0/key", json!(""), "chunks[0].key"),
        ("/chunks/1/sha256", json!(null), "chunks[1].sha256"),
        ("/chunks/1/sha256", json!(DIGEST.to_uppercase()), "chunks[1]"),
        ("/chunks/1/sha256", json!("abc"), "chunks[1]"),
        ("/total_bytes", json!(14), "total_bytes"),
        ("/total_bytes", json!(1e300), "total_bytes"),
        ("/version", json!(2), "version"),
        ("/version", json!("1"), "version"),
        ("/filter", json!([["zstd"]]), "filter"),
        ("/stream_sha256", json!(DIGEST), "stream_sha256"),
        ("/hash", json!("blake3"), "chunks[0].blake3"),
        ("/hash", json!("md5"), "hash"),
        ("/backup", json!("subvol/home/full/20260117T220511Z-0a1b2c3d"), "backup"),
        ("/backup", json!("nonsense"), "backup"),
        ("/parts", json!({"key": "k", "part_size": 0, "sha256": DIGEST}), "parts.part_size"),
        ("/parts", json!({"key": "", "part_size": 1, "sha256": DIGEST}), "parts.key"),
    ] {
        assert_eq!(blamed(pointer, value.clone()), field, "{pointer} = {value}");
    }
}

#[test]
fn every_field_of_the_contract_must_be_there() {
    for field in ["version", "subvolume", "kind", "created_at", "snapshot", "chunks", "s3"] {
        let mut value = old();
        value.as_object_mut().unwrap().remove(field);
        let said = read(&value).unwrap_err().to_string();
        assert!(said.contains(&format!("missing field `{field}`")), "{said}");
    }
}

#[test]
fn what_is_no_json_or_too_much_of_it_is_refused() {
    let nested = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let hidden = format!("{{\"version\":1,\"chunks\":{nested}}}");
    for text in ["", "{", "[]", "{} {}", &nested, &hidden] {
        assert!(parse(text.as_bytes(), URL).is_err(), "{}", &text[..text.len().min(20)]);
    }
    let trailing = format!("{} x", old());
    assert!(parse(trailing.as_bytes(), URL).is_err());
    let huge = vec![b' '; MANIFEST_MAX as usize + 1];
    assert!(parse(&huge, URL).unwrap_err().what.contains("more than"));
}

#[test]
fn pointers_are_read_and_checked() {
    let good = json!({"manifest_key": "a/b", "kind": "full", "created_at": "20260117T220511Z"});
    let pointer = parse_pointer(good.to_string().as_bytes(), URL).unwrap();
    assert_eq!(pointer.manifest_key, "a/b");
    let bad = json!({"manifest_key": "a\nb", "kind": "full", "created_at": "20260117T220511Z"});
    assert_eq!(parse_pointer(bad.to_string().as_bytes(), URL).unwrap_err().field, "manifest_key");
    let huge = vec![b' '; POINTER_MAX as usize + 1];
    assert!(parse_pointer(&huge, URL).is_err());
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn chunk(hash: Hash) -> impl Strategy<Value = ChunkEntry> {
    let key = "[a-z/ %+'\"ü☃]{1,40}";
    let etag = proptest::option::of("[ -~]{0,40}");
    let crc32 = proptest::option::of(any::<u32>().prop_map(Crc32));
    (key, 1..u64::from(u32::MAX), digest(), etag, crc32).prop_map(
        move |(key, size, digest, etag, crc32)| ChunkEntry {
            key,
            size,
            digests: Digests::of(hash, digest),
            etag,
            crc32,
            checksum: crc32.map(|_| Checksum::Crc32),
        },
    )
}

prop_compose! {
    fn manifest()(
        hash in prop_oneof![Just(Hash::Sha256), Just(Hash::Blake3)],
    )(
        chunks in proptest::collection::vec(chunk(hash), 1..5),
        parent in proptest::option::of("[a-z/]{1,20}"),
        parent_sha256 in proptest::option::of(digest()),
        uuid in proptest::option::of(any::<u128>().prop_map(uuid::Uuid::from_u128)),
        seconds in 0..4_000_000_000_i64,
        part_size in proptest::option::of(1..u64::MAX),
        digest in digest(),
        hash in Just(hash),
    ) -> Manifest {
        let mut tally = Tally::new(None);
        for chunk in &chunks {
            tally.add(chunk.size, &chunk.digests).unwrap();
        }
        let time = jiff::Timestamp::from_second(seconds).unwrap();
        let ours = |text: &str| part_size.map(|_| text.to_owned());
        Manifest {
            version: VERSION,
            subvolume: "vm-1.raw".into(),
            kind: if parent.is_some() { Kind::Incremental } else { Kind::Full },
            created_at: crate::time::Time::truncated(time),
            snapshot: Snapshot {
                name: "a b".into(), path: "/snap/a b".into(), uuid, parent_uuid: uuid,
                ctransid: uuid.map(|_| 7), parent_ctransid: None,
            },
            parent_manifest: parent,
            total_bytes: tally.size(),
            chunk_size: chunks[0].size,
            chunks,
            s3: Storage { storage_class: "STANDARD".into(), sse: ours("AES256") },
            parent_manifest_sha256: parent_sha256,
            backup: None,
            run_id: uuid,
            format: Some(Format::BtrfsSend),
            send_version: Some(1),
            hash: Some(hash),
            stream_sha256: Some(tally.stream_sha256()),
            parts: part_size.map(|part_size| PartDigests {
                key: "p".into(), part_size, sha256: digest,
            }),
            filter: Vec::new(),
            writer: ours("test"),
        }
    }
}

proptest! {
    #[test]
    fn manifests_survive_a_round_trip_and_their_bytes_are_stable(manifest in manifest()) {
        let bytes = to_bytes(&manifest).unwrap();
        let read = parse(&bytes, URL).unwrap();
        prop_assert_eq!(&read, &manifest);
        prop_assert_eq!(to_bytes(&read).unwrap(), bytes);
    }

    #[test]
    fn a_cut_or_changed_manifest_never_panics(
        manifest in manifest(), cut in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = to_bytes(&manifest).unwrap();
        let at = cut.index(bytes.len());
        prop_assert!(parse(&bytes[..at.min(bytes.len() - 2)], URL).is_err());
        bytes[at] = byte;
        let _ = parse(&bytes, URL);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse(&bytes, URL).is_err());
        let _ = parse_pointer(&bytes, URL);
    }
}

#[test]
fn nesting_counts_outside_of_texts_alone() {
    let text = |brackets: &str| format!("{{\"x\": \"\\\\\\\"{brackets}\", \"y\": []}}");
    assert!(flat_enough(text(&"[{".repeat(1000)).as_bytes(), "m").is_ok());
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(flat_enough(deep(DEPTH_MAX).repeat(3).as_bytes(), "m").is_ok());
    let error = flat_enough(deep(DEPTH_MAX + 1).as_bytes(), "m").unwrap_err();
    assert_eq!(error.to_string(), "m: nested more than 128 levels deep at byte 129");
}
