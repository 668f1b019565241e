//! Downloads from a real directory store, with answers that go wrong on the way.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use super::*;
use crate::cli::status_of;
use crate::exit::Status;
use crate::record::Hash;
use crate::store::{Error, ErrorKind, Get, Result as StoreResult};
use crate::testing::{Faulty, Place, archive, digests};

const MIB: usize = 1 << 20;
const SIZES: [usize; 4] = [3 * MIB + 7, 1, MIB, MIB + 1];

/// An output that can be looked at afterwards.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

fn content(index: usize) -> Vec<u8> {
    (0..SIZES[index]).map(|at| (at / 251 + at + index) as u8).collect()
}

fn everything() -> Vec<u8> {
    (0..SIZES.len()).flat_map(content).collect()
}

fn key(index: usize) -> String {
    format!("host/chunk {index}")
}

/// An archive with the four objects, and the list that wants them.
async fn place(hash: Hash) -> (Place, Wanted) {
    let place = Place::new();
    let mut items = Vec::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        let bytes = content(index);
        let (hash, digest) = digests(hash, &bytes).one().unwrap();
        place.put(&key(index), bytes).await;
        items.push(Item { key: key(index).parse().unwrap(), size: size as u64, hash, digest });
    }
    (place, Wanted { items })
}

/// What comes out when the answers to gets are changed by `twist`.
async fn twisted(
    twist: impl Fn(u32, StoreResult<Get>) -> StoreResult<Get> + Send + Sync + 'static,
) -> (anyhow::Result<Got>, Vec<u8>) {
    let (place, wanted) = place(Hash::Sha256).await;
    let store = Faulty::twisting(place.archive.store.clone(), twist);
    let out = Output::default();
    let got = download(&archive(Arc::new(store)), wanted, out.clone()).await;
    (got, out.bytes())
}

fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, "read", "the object", "connection reset")
}

/// The first `pieces` pieces of an answer, then an error.
fn cut(get: Get, pieces: usize) -> Get {
    let body = get.body.take(pieces).chain(stream::iter([Err(broken())])).boxed();
    Get { body, ..get }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_come_back_in_order_under_either_hash() {
    for hash in [Hash::Sha256, Hash::Blake3] {
        let (place, wanted) = place(hash).await;
        let out = Output::default();
        let got = download(&place.archive, wanted, out.clone()).await.unwrap();
        assert_eq!(out.bytes(), everything());
        assert_eq!(got, Got { objects: 4, bytes: everything().len() as u64 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_corrupt_object_is_never_written() {
    for (index, at) in [(0, 0), (0, SIZES[0] - 1), (1, 0), (2, 5), (3, MIB)] {
        let (place, wanted) = place(Hash::Sha256).await;
        let mut bytes = content(index);
        bytes[at] ^= 1;
        std::fs::write(place.file(&key(index)), bytes).unwrap();
        let out = Output::default();
        let error = download(&place.archive, wanted, out.clone()).await.unwrap_err();
        assert_eq!(status_of(&error), Status::Data);
        let said = error.to_string();
        assert!(said.contains(&key(index)) && said.contains("sha256"), "{said}");
        let whole: usize = SIZES[..index].iter().sum();
        assert_eq!(out.bytes().len(), whole + SIZES[index].saturating_sub(MIB));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_resized_object_is_found_before_the_first_byte() {
    for resized in [false, true] {
        let (place, wanted) = place(Hash::Sha256).await;
        match resized {
            true => std::fs::write(place.file(&key(3)), b"short").unwrap(),
            false => std::fs::remove_file(place.file(&key(3))).unwrap(),
        }
        let out = Output::default();
        let error = download(&place.archive, wanted, out.clone()).await.unwrap_err();
        assert_eq!(status_of(&error), Status::Data);
        assert!(error.to_string().contains(&key(3)), "{error}");
        assert_eq!(out.bytes(), b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_off_are_asked_for_again_from_there() {
    // Every answer brings one piece, every third ends without an error.
    let (got, bytes) = twisted(|number, get| {
        let get = cut(get?, 1);
        Ok(if number % 3 == 0 { Get { body: get.body.take(1).boxed(), ..get } } else { get })
    })
    .await;
    got.unwrap();
    assert_eq!(bytes, everything());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_byte_are_asked_for_a_bounded_number_of_times() {
    let gets = Arc::new(AtomicU32::new(0));
    let count = gets.clone();
    let (got, bytes) = twisted(move |_, get| {
        count.fetch_add(1, Ordering::SeqCst);
        get.map(|get| cut(get, 0))
    })
    .await;
    let error = got.unwrap_err();
    assert_eq!(status_of(&error), Status::Unavailable);
    assert!(error.to_string().contains("tried 5 times"), "{error}");
    assert_eq!((gets.load(Ordering::SeqCst), bytes), (5, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_while_it_is_fetched_is_refused() {
    let (got, bytes) = twisted(|number, get| {
        let get = cut(get?, 1);
        Ok(Get { etag: format!("version {number}"), ..get })
    })
    .await;
    let error = got.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
    assert!(error.to_string().contains("changed while"), "{error}");
    assert_eq!(bytes, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_the_object_has_are_refused() {
    let (got, bytes) = twisted(|_, get| {
        let get = get?;
        let more = stream::iter([Ok(Bytes::from(vec![0; 4 * MIB]))]);
        Ok(Get { body: more.boxed(), ..get })
    })
    .await;
    assert_eq!(status_of(&got.unwrap_err()), Status::Data);
    assert_eq!(bytes, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_must_be_thawed_is_found_before_the_first_byte() {
    let (place, wanted) = place(Hash::Sha256).await;
    let store = Faulty::freezing(place.archive.store.clone(), &key(3));
    let out = Output::default();
    let error = download(&archive(Arc::new(store)), wanted, out.clone()).await.unwrap_err();
    assert_eq!(status_of(&error), Status::TryLater);
    let said = error.to_string();
    assert!(said.contains(&key(3)) && said.contains("thaw"), "{said}");
    assert_eq!(out.bytes(), b"");
}

/// A pipe whose reader is gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_left_is_told_apart_and_ends_a_stalled_download() {
    let (place, wanted) = place(Hash::Sha256).await;
    // After some pieces the network says nothing more.
    let store = Faulty::twisting(place.archive.store.clone(), |_, get| {
        let get = get?;
        let body = get.body.take(5).chain(futures::future::pending().into_stream()).boxed();
        Ok(Get { body, ..get })
    });
    let error = download(&archive(Arc::new(store)), wanted, Closed).await.unwrap_err();
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::BrokenPipe);
}

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

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_an_upload_bring_its_bytes_back() {
    let place = Place::new();
    let backup = crate::testing::Backup::new(1, None);
    let records = place.upload(&backup).await;
    let out = Output::default();
    download_records(&place.archive, &*records, out.clone()).await.unwrap();
    assert_eq!(out.bytes(), backup.bytes());
    let cut = records.iter().rposition(|&byte| byte == b'{').unwrap();
    let error =
        download_records(&place.archive, &records[..cut], Output::default()).await.unwrap_err();
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
    ] {
        let error = parsed(&records).unwrap_err();
        assert_eq!(status_of(&error), Status::Data);
        assert!(error.to_string().contains(word), "{error} lacks {word:?}");
    }
    assert!(parsed(&good).is_ok());
    assert!(parsed(&with(0, "stream_sha256", json!(null))).is_ok(), "older archives have none");
}
