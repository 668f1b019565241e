//! Lists of objects, whole and not, and where the digests of parts come from.

use serde_json::{Value, json};

use super::tests::*;
use super::*;
use crate::cli::status_of;
use crate::exit::Status;
use crate::record::{Digest, Hash, Reader};
use crate::testing::{Place, digests};

/// The records of one backup of two objects and their end, as `chain` prints them.
fn records() -> Vec<Value> {
    let sha256 = |index| digests(Hash::Sha256, &content(index)).sha256;
    let object = |index: usize| {
        json!({ "type": "object", "index": index, "key": key(index), "size": SIZES[index],
                "sha256": sha256(index), "etag": null })
    };
    let mut tally = crate::manifest::Tally::new(None);
    for bytes in [content(0), content(1)] {
        tally.add(bytes.len() as u64, &digests(Hash::Sha256, &bytes)).unwrap();
    }
    let backup = json!({
        "type": "backup", "subvolume": "data", "manifest_key": "host/m", "kind": "full",
        "created_at": "2026-01-01T00:00:00Z", "format": "btrfs-send", "chunks": 2,
        "size": SIZES[0] + SIZES[1], "stream_sha256": tally.stream_sha256(),
        "part_size": null, "parts_key": null, "parts_sha256": null, "storage_class": "STANDARD",
        "snapshot": { "name": "x", "path": "/x", "uuid": null, "parent_uuid": null },
    });
    vec![backup, object(0), object(1), json!({ "type": "end", "backups": 1 })]
}

/// The same with the digests of parts in an object of their own.
async fn with_sheet(place: &Place, part_size: usize) -> Vec<Value> {
    let digests = [part_digests(0, part_size), part_digests(1, part_size)].concat();
    let bytes: Vec<u8> = digests.iter().flat_map(|digest| digest.0).collect();
    let mut records = records();
    records[0]["part_size"] = json!(part_size);
    records[0]["parts_key"] = json!("host/parts.b3");
    records[0]["parts_sha256"] = json!(digests_of(&bytes));
    place.put("host/parts.b3", bytes).await;
    records
}

fn digests_of(bytes: &[u8]) -> Option<Digest> {
    digests(Hash::Sha256, bytes).sha256
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_digests_of_a_manifest_are_used() {
    let (place, _) = place(Hash::Sha256).await;
    let records = with_sheet(&place, MIB).await;
    let (got, bytes) = twisted_in(&place, parsed(&records).unwrap(), |number, get| {
        // The first is that of the digests.
        if number == 2 { get.map(flipped) } else { get }
    })
    .await;
    assert_eq!(got.unwrap(), Got { objects: 2, bytes: bytes.len() as u64, again: 1 });
    assert!(bytes == [content(0), content(1)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn part_digests_that_are_lost_or_wrong_are_found_first_and_can_be_done_without() {
    for wrong in [None, Some(vec![7; 5 * 32]), Some(vec![7; 4 * 32])] {
        let (place, _) = place(Hash::Sha256).await;
        let records = with_sheet(&place, MIB).await;
        match wrong {
            Some(bytes) => std::fs::write(place.file("host/parts.b3"), bytes).unwrap(),
            None => std::fs::remove_file(place.file("host/parts.b3")).unwrap(),
        }
        let out = Output::default();
        let wanted = parsed(&records).unwrap();
        let error = download(&place.archive, wanted.clone(), &MANY, out.clone()).await.unwrap_err();
        assert_eq!((status_of(&error), out.bytes().len()), (Status::Data, 0));
        let said = error.to_string();
        assert!(said.contains("parts.b3") && said.contains("--check chunk"), "{said}");
        let options = Options { check: Check::Chunk, ..MANY };
        download(&place.archive, wanted, &options, out.clone()).await.unwrap();
        assert!(out.bytes() == [content(0), content(1)].concat());
    }
}

fn parsed(records: &[Value]) -> anyhow::Result<Wanted> {
    let text: String = records.iter().map(|record| format!("{record}\n")).collect();
    read(&mut Reader::new(text.as_bytes(), "stdin"))
}

#[test]
fn a_list_of_several_backups_is_read_in_order() {
    let one = records();
    let mut two = [&one[..3], &one[..3]].concat();
    two.push(json!({ "type": "end", "backups": 2 }));
    let wanted = parsed(&two).unwrap();
    let keys: Vec<_> = wanted.items.iter().map(|item| item.key.to_string()).collect();
    assert_eq!(keys, [key(0), key(1), key(0), key(1)]);
}

/// Downloads what these records name.
async fn download_records(place: &Place, records: &[u8], out: Output) -> anyhow::Result<Got> {
    let wanted = read(&mut Reader::new(records, "stdin"))?;
    download(&place.archive, wanted, &MANY, out).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_an_upload_bring_its_bytes_back() {
    let place = Place::new();
    let backup = crate::testing::Backup::new(1, None);
    let records = place.upload(&backup).await;
    let out = Output::default();
    download_records(&place, &records, out.clone()).await.unwrap();
    assert_eq!(out.bytes(), backup.bytes());
    let cut = records.iter().rposition(|&byte| byte == b'{').unwrap();
    let error = download_records(&place, &records[..cut], Output::default()).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
}

#[test]
fn lists_that_are_not_whole_are_refused() {
    let good = records();
    let with = |index: usize, field: &str, value: Value| {
        let mut records = good.clone();
        records[index][field] = value;
        records
    };
    let without = |index: usize| {
        let mut records = good.clone();
        records.remove(index);
        records
    };
    let sheet = |part_size: Value, key: &str| {
        let mut records = with(0, "part_size", part_size);
        records[0]["parts_key"] = json!(key);
        records[0]["parts_sha256"] = json!("0".repeat(64));
        records
    };
    let run = json!({ "type": "run" });
    for (records, word) in [
        (vec![], "without an end"),
        (without(3), "without an end"),
        (without(2), "1 objects"),
        (without(1), "chunk 1 where chunk 0"),
        (without(0), "before any backup"),
        (vec![good[3].clone()], "it says 1 backups, and 0 came"),
        (vec![json!({ "type": "end", "backups": 0 })], "without any object"),
        ([good.clone(), good.clone()].concat(), "after the end"),
        ([&good[..3], &[run]].concat(), "a run record within"),
        (with(3, "backups", json!(2)), "2 backups, and 1 came"),
        (with(0, "size", json!(1)), "were announced"),
        (with(0, "stream_sha256", json!("0".repeat(64))), "stream_sha256"),
        (with(1, "size", json!(0)), "no chunk is ever empty"),
        (with(1, "key", json!("a\nb")), "cannot be a key"),
        (with(1, "sha256", json!(null)), "sha256: no digest"),
        (with(1, "index", json!("0")), "record object"),
        (with(0, "part_size", json!(5)), "some are missing"),
        (sheet(json!(0), "host/p"), "part_size: 0 bytes"),
        (sheet(json!(u64::MAX), "host/p"), "S3 takes parts up to"),
        (sheet(json!(5), "a\nb"), "parts_key"),
    ] {
        let error = parsed(&records).unwrap_err();
        assert_eq!(status_of(&error), Status::Data);
        assert!(error.to_string().contains(word), "{error} lacks {word:?}");
    }
    assert!(parsed(&good).is_ok());
    assert!(parsed(&with(0, "stream_sha256", json!(null))).is_ok(), "older archives have none");
}
