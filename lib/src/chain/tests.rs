//! Chains in a real directory store: ours, and hand-made ones of the existing
//! program.

use serde_json::{Value, json};

use super::*;
use crate::cli::status_of;
use crate::exit::Status;
use crate::names::{Kind, Name};
use crate::record::{self, ListEnd, Object, Reader};
use crate::store::Key;
use crate::testing::{Backup, Place};

const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn data() -> Name {
    "data".parse().unwrap()
}

fn newest() -> Selected {
    Selected::Newest(data())
}

fn key(time: &str, parent: Option<&str>) -> String {
    let kind = if parent.is_some() { "incremental" } else { "full" };
    format!("host/subvol/data/{kind}/manifest-{time}.json")
}

/// A manifest of the existing program: ten chunks without padding in their
/// names, so that the order of the keys is not that of the stream.
fn old(time: &str, parent: Option<&str>) -> Value {
    let kind = if parent.is_some() { "incremental" } else { "full" };
    let chunks: Vec<Value> = (0..11)
        .map(|i| {
            let key = format!("host/subvol/data/{kind}/chunk-{time}-{i}.bin");
            json!({ "sha256": DIGEST, "etag": null, "key": key, "size": 3 })
        })
        .collect();
    json!({
        "s3": { "storage_class": "DEEP_ARCHIVE" }, "chunks": chunks, "total_bytes": 33,
        "chunk_size": 3, "created_at": time, "kind": kind, "version": 1, "subvolume": "data",
        "parent_manifest": parent,
        "snapshot": { "name": "x", "path": format!("/snap/data__{time}__{kind}"),
                      "uuid": null, "parent_uuid": null },
    })
}

/// Puts the manifest and its chunks in place and points at it.
async fn place_old(place: &Place, time: &str, manifest: &Value) -> String {
    let parent = manifest["parent_manifest"].as_str();
    let at = key(time, parent);
    place.put(&at, manifest.to_string()).await;
    for chunk in manifest["chunks"].as_array().unwrap() {
        let key = chunk["key"].as_str().unwrap();
        if key.starts_with("host/") {
            place.put(key, "abc").await;
        }
    }
    let pointer = json!({ "manifest_key": at, "kind": manifest["kind"], "created_at": time });
    place.put("host/subvol/data/current.json", pointer.to_string()).await;
    at
}

/// An archive of the existing program with a full and an incremental.
async fn old_archive() -> (Place, [String; 2]) {
    let place = Place::new();
    let full = place_old(&place, "20260101T020000Z", &old("20260101T020000Z", None)).await;
    let next = old("20260108T020000Z", Some(&full));
    let incremental = place_old(&place, "20260108T020000Z", &next).await;
    (place, [full, incremental])
}

async fn refusal(place: &Place) -> String {
    let error = resolve(&place.archive, &newest(), false).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data, "{error:#}");
    error.to_string()
}

#[tokio::test]
async fn archives_of_the_existing_program_resolve_full_first() {
    let (place, keys) = old_archive().await;
    let links = resolve(&place.archive, &newest(), false).await.unwrap();
    let found: Vec<_> = links.iter().map(|link| link.key.to_string()).collect();
    assert_eq!(found, keys);
    let current = current(&place.archive, &data()).await.unwrap().unwrap();
    assert_eq!(
        (current.chain.length, current.chain.size, current.kind),
        (2, 66, Kind::Incremental)
    );
    assert_eq!(current.snapshot.name, "data__20260108T020000Z__incremental");
    assert_eq!(current.chain.missing, Vec::<String>::new());
}

#[tokio::test]
async fn only_gives_the_selected_backup_alone() {
    let (place, [full, incremental]) = old_archive().await;
    let at = Selected::Manifest(incremental.parse().unwrap());
    std::fs::remove_file(place.file(&full)).unwrap();
    let links = resolve(&place.archive, &at, true).await.unwrap();
    assert_eq!(links.len(), 1);
    assert!(resolve(&place.archive, &at, false).await.is_err(), "its chain is broken");
}

#[tokio::test]
async fn records_follow_the_order_of_the_manifest_and_end_with_a_count() {
    let (place, keys) = old_archive().await;
    let links = resolve(&place.archive, &newest(), false).await.unwrap();
    let mut out = Vec::new();
    write_records(&links, &mut out).unwrap();
    let mut reader = Reader::new(&*out, "chain");
    let (mut backups, mut objects) = (Vec::new(), Vec::new());
    let end = loop {
        let raw = reader.next(&["backup", "object", "end"]).unwrap().unwrap();
        match raw.kind() {
            "backup" => backups.push(raw.decode::<record::Backup>().unwrap()),
            "object" => objects.push(raw.decode::<Object>().unwrap()),
            _ => break raw.decode::<ListEnd>().unwrap(),
        }
    };
    assert_eq!(end, ListEnd { backups: 2 });
    assert_eq!(
        backups.iter().map(|one| &one.manifest_key).collect::<Vec<_>>(),
        [&keys[0], &keys[1]]
    );
    assert_eq!((backups[0].chunks, backups[0].size), (11, 33));
    assert_eq!(objects[10].key, "host/subvol/data/full/chunk-20260101T020000Z-10.bin");
    assert_eq!((objects[10].index, objects[11].index), (10, 0));
    assert!(objects.iter().all(|object| object.storage_class.as_deref() == Some("DEEP_ARCHIVE")));
}

#[tokio::test]
async fn bare_values_are_separated_by_nul_and_empty_where_unknown() {
    let (place, keys) = old_archive().await;
    let links = resolve(&place.archive, &newest(), true).await.unwrap();
    let fields = <Field as clap::ValueEnum>::value_variants();
    let mut out = Vec::new();
    write_fields(&links, fields, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text.split('\0').collect::<Vec<_>>(),
        [
            &*keys[1],
            "data",
            "incremental",
            "2026-01-08T02:00:00Z",
            "data__20260108T020000Z__incremental",
            "",
            "",
            "",
            "33",
            ""
        ]
    );
}

#[tokio::test]
async fn no_pointer_is_no_backup_and_a_pointer_without_manifest_is_an_error() {
    let place = Place::new();
    assert_eq!(current(&place.archive, &data()).await.unwrap(), None);
    assert!(refusal(&place).await.contains("host/subvol/data/current.json: it does not exist"));
    let full = place.publish(&Backup::new(1, None)).await;
    std::fs::remove_file(place.file(&full.manifest_key)).unwrap();
    let error = current(&place.archive, &data()).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
    let said = error.to_string();
    assert!(said.contains("manifest_key") && said.contains(&full.manifest_key), "{said}");
}

#[tokio::test]
async fn what_a_chain_lacks_is_listed() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let next = place.publish(&Backup::new(2, Some(&full))).await;
    let folder = "host/subvol/data/full/20260101T020000Z-00000001";
    std::fs::remove_file(place.file(&format!("{folder}/chunks/part-00002.bin"))).unwrap();
    std::fs::write(place.file(&format!("{folder}/chunks/part-00000.bin")), "short").unwrap();
    std::fs::remove_file(place.file(&format!("{folder}/parts.b3"))).unwrap();
    let found = current(&place.archive, &data()).await.unwrap().unwrap();
    assert_eq!(found.chain.length, 2);
    assert_eq!(
        found.chain.missing,
        ["chunks/part-00000.bin", "chunks/part-00002.bin", "parts.b3"]
            .map(|name| format!("{folder}/{name}"))
    );
    std::fs::remove_file(place.file(&full.manifest_key)).unwrap();
    let found = current(&place.archive, &data()).await.unwrap().unwrap();
    assert_eq!(found.chain.missing, [full.manifest_key]);
    assert_eq!(found.chain.full_manifest_key, next.manifest_key, "the oldest that is there");
}

#[tokio::test]
async fn all_subvolumes_of_the_archive_are_found() {
    let (place, _) = old_archive().await;
    place.put("host/subvol/no name/current.json", "{}").await;
    place.put("host/subvol/unfinished/full/x/chunks/part-00000.bin", "abc").await;
    let mut out = Vec::new();
    write_current(&place.archive, None, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.ends_with("{\"type\":\"end\",\"backups\":1}\n"), "{text}");
    let mut out = Vec::new();
    write_current(&place.archive, Some(vec!["home".parse().unwrap()]), &mut out).await.unwrap();
    assert_eq!(out, b"{\"type\":\"end\",\"backups\":0}\n");
}

#[tokio::test]
async fn chains_that_do_not_belong_together_are_refused_with_object_and_field() {
    type Edit = fn(&mut Value, &mut Value);
    let cases: [(Edit, &str); 13] = [
        (|_, next| next["parent_manifest"] = json!(next["self"]), "parent_manifest: the chain"),
        (|full, _| full["subvolume"] = json!("home"), "is of the subvolume home"),
        (
            |full, next| {
                full["snapshot"]["uuid"] = json!("00000000-0000-0000-0000-000000000001");
                next["snapshot"]["parent_uuid"] = json!("00000000-0000-0000-0000-000000000002");
            },
            "snapshot.parent_uuid: ",
        ),
        (|_, next| next["parent_manifest_sha256"] = json!(DIGEST), "parent_manifest_sha256: "),
        (|full, _| full["chunks"][0]["key"] = json!("other/x"), "chunks[0].key: "),
        (|_, next| next["parent_manifest"] = json!("other/x"), "parent_manifest: "),
        (|full, _| full["total_bytes"] = json!(34), "total_bytes: "),
        (|full, _| full["parent_manifest"] = json!("host/x"), "parent_manifest: a full"),
        (|full, _| full["kind"] = json!("incremental"), "an incremental backup without a parent"),
        (|_, next| next["parent_manifest"] = Value::Null, "an incremental backup without a parent"),
        (|_, next| next["parent_manifest"] = json!("host/none.json"), "parent_manifest: file://"),
        (|full, _| full["snapshot"]["path"] = json!("/snap/a/.."), "snapshot.path: "),
        (
            |full, _| full["parts"] = json!({ "key": "../p", "part_size": 1, "sha256": DIGEST }),
            "parts.key: ",
        ),
    ];
    for (edit, word) in cases {
        let place = Place::new();
        let full_key = key("20260101T020000Z", None);
        let mut full = old("20260101T020000Z", None);
        let mut next = old("20260108T020000Z", Some(&full_key));
        next["self"] = json!(key("20260108T020000Z", Some(&full_key)));
        edit(&mut full, &mut next);
        place_old(&place, "20260108T020000Z", &next).await;
        place.put(&full_key, full.to_string()).await;
        let said = refusal(&place).await;
        assert!(said.contains(word) && said.contains("file://"), "{said:?} lacks {word:?}");
    }
}

#[tokio::test]
async fn a_chain_of_more_bytes_than_can_be_counted_is_refused() {
    let (place, keys) = old_archive().await;
    for key in &keys {
        let mut manifest: Value =
            serde_json::from_slice(&std::fs::read(place.file(key)).unwrap()).unwrap();
        manifest["chunks"] = json!([{ "sha256": DIGEST, "etag": null, "size": u64::MAX,
                                      "key": "host/subvol/data/full/chunk" }]);
        manifest["total_bytes"] = json!(u64::MAX);
        place.put(key, manifest.to_string()).await;
    }
    let error = current(&place.archive, &data()).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
    assert!(error.to_string().contains("total_bytes: the chain adds up to more"), "{error}");
}

#[tokio::test]
async fn a_longer_loop_is_found_too() {
    let place = Place::new();
    let names = ["20260101T020000Z", "20260108T020000Z", "20260115T020000Z"];
    for (i, name) in names.iter().enumerate() {
        let parent = key(names[(i + 1) % 3], Some(""));
        place_old(&place, name, &old(name, Some(&parent))).await;
    }
    assert!(refusal(&place).await.contains("comes back to itself"));
}

#[tokio::test]
async fn pointers_to_foreign_places_are_refused() {
    let (place, [full, _]) = old_archive().await;
    let at = "host/subvol/data/current.json";
    let pointer = |key: &str| {
        json!({ "manifest_key": key, "kind": "full", "created_at": "20260101T020000Z" }).to_string()
    };
    place.put(at, pointer("elsewhere/manifest.json")).await;
    assert!(refusal(&place).await.contains("outside of the archive's prefix"));
    place.put(at, "{").await;
    assert!(refusal(&place).await.contains(at));
    place.put("host/subvol/home/current.json", pointer(&full)).await;
    let home = Selected::Newest("home".parse().unwrap());
    let said = resolve(&place.archive, &home, false).await.unwrap_err().to_string();
    assert!(said.contains("it names a backup of the subvolume data"), "{said}");
}

#[tokio::test]
async fn show_gives_the_bytes_as_they_are_stored_sound_or_not() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let at: Key = full.manifest_key.parse().unwrap();
    std::fs::write(place.file(at.as_str()), "{ not json").unwrap();
    for selected in [newest(), Selected::Manifest(at)] {
        let mut out = Vec::new();
        write_manifest(&place.archive, &selected, &mut out).await.unwrap();
        assert_eq!(out, b"{ not json");
    }
    let missing = Selected::Manifest("host/none.json".parse().unwrap());
    let error = write_manifest(&place.archive, &missing, Vec::new()).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
    let outside = Selected::Manifest("none.json".parse().unwrap());
    let error = write_manifest(&place.archive, &outside, Vec::new()).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Usage);
}

#[test]
fn exactly_one_backup_must_be_named() {
    let key = || Some("k".parse().unwrap());
    assert_eq!(Selected::new(Some(data()), None).unwrap(), newest());
    assert!(Selected::new(None, key()).is_ok());
    assert_eq!(Selected::new(None, None).unwrap_err().status, Status::Usage);
    assert_eq!(Selected::new(Some(data()), key()).unwrap_err().status, Status::Usage);
}
