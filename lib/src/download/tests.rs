//! Downloads from a real directory store, with answers that go wrong on the way.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};

use super::*;
use crate::cli::status_of;
use crate::exit::Status;
use crate::record::{Digest, Hash};
use crate::store::{Error, ErrorKind, Get, Result as StoreResult};
use crate::testing::{Faulty, Place, archive, digests};

pub(super) const MIB: usize = 1 << 20;
pub(super) const SIZES: [usize; 4] = [3 * MIB + 7, 1, MIB, MIB + 1];

/// An output that can be looked at afterwards.
#[derive(Clone, Default)]
pub(super) struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// One range at a time, so that answers have numbers.
const ONE: Options = Options { concurrency: 1, check: Check::Part };
pub(super) const MANY: Options = Options { concurrency: 3, check: Check::Part };

pub(super) fn content(index: usize) -> Vec<u8> {
    (0..SIZES[index]).map(|at| (at / 251 + at + index) as u8).collect()
}

fn everything() -> Vec<u8> {
    (0..SIZES.len()).flat_map(content).collect()
}

pub(super) fn key(index: usize) -> String {
    format!("host/chunk {index}")
}

/// An archive with the four objects, and the list that wants them.
pub(super) async fn place(hash: Hash) -> (Place, Wanted) {
    let place = Place::new();
    let mut items = Vec::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        let bytes = content(index);
        let (hash, digest) = digests(hash, &bytes).one().unwrap();
        place.put(&key(index), bytes).await;
        let (key, size) = (key(index).parse().unwrap(), size as u64);
        items.push(Item { key, size, etag: None, hash, digest, parts: None });
    }
    (place, Wanted { items, sheets: Vec::new() })
}

/// The digests of an object's parts.
pub(super) fn part_digests(index: usize, part_size: usize) -> Vec<Digest> {
    let content = content(index);
    content.chunks(part_size).map(|part| Digest(*blake3::hash(part).as_bytes())).collect()
}

/// The same list with the digests of the objects' parts.
fn in_parts(mut wanted: Wanted, part_size: usize) -> Wanted {
    for (index, item) in wanted.items.iter_mut().enumerate() {
        let digests = part_digests(index, part_size);
        item.parts = Some(Parts::new(part_size as u64, item.size, &digests).unwrap());
    }
    wanted
}

/// What comes out when the answers to gets are changed by `twist`.
async fn twisted(
    twist: impl Fn(u32, StoreResult<Get>) -> StoreResult<Get> + Send + Sync + 'static,
) -> (anyhow::Result<Got>, Vec<u8>) {
    let (place, wanted) = place(Hash::Sha256).await;
    twisted_in(&place, wanted, twist).await
}

pub(super) async fn twisted_in(
    place: &Place,
    wanted: Wanted,
    twist: impl Fn(u32, StoreResult<Get>) -> StoreResult<Get> + Send + Sync + 'static,
) -> (anyhow::Result<Got>, Vec<u8>) {
    let store = Faulty::twisting(place.archive.store.clone(), twist);
    let out = Output::default();
    let got = download(&archive(Arc::new(store)), wanted, &ONE, out.clone()).await;
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
async fn the_bytes_come_back_in_order_under_either_hash_in_parts_or_not() {
    for hash in [Hash::Sha256, Hash::Blake3] {
        for (part_size, check) in [
            (None, Check::Part),
            (Some(700_001), Check::Part),
            (Some(2 * MIB + 5), Check::Chunk),
            (Some(5 * MIB), Check::Part),
            (Some(10_007), Check::Chunk),
        ] {
            let (place, mut wanted) = place(hash).await;
            if let Some(part_size) = part_size {
                wanted = in_parts(wanted, part_size);
            }
            let (out, options) = (Output::default(), Options { check, ..MANY });
            let got = download(&place.archive, wanted, &options, out.clone()).await.unwrap();
            assert_eq!(out.bytes(), everything());
            assert_eq!(got, Got { objects: 4, bytes: everything().len() as u64, again: 0 });
        }
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
        let error = download(&place.archive, wanted, &MANY, out.clone()).await.unwrap_err();
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
        let error = download(&place.archive, wanted, &MANY, out.clone()).await.unwrap_err();
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
    let (got, bytes) = twisted(|_, get| get.map(|get| cut(get, 0))).await;
    let error = got.unwrap_err();
    assert_eq!(status_of(&error), Status::Unavailable);
    let said = error.to_string();
    assert!(said.contains("tried 5 times") && said.contains("bytes 0 to 1048575"), "{said}");
    assert_eq!(bytes, b"");
}

/// An answer with a bit flipped in its first piece.
pub(super) fn flipped(get: Get) -> Get {
    let mut first = true;
    let body = get.body.map(move |piece| {
        let mut piece = piece?.to_vec();
        piece[0] ^= u8::from(std::mem::take(&mut first));
        Ok(Bytes::from(piece))
    });
    Get { body: body.boxed(), ..get }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_arrives_wrong_is_fetched_again() {
    for part_size in [MIB / 2, 2 * MIB] {
        let (place, wanted) = place(Hash::Sha256).await;
        let wanted = in_parts(wanted, part_size);
        let (got, bytes) =
            twisted_in(
                &place,
                wanted,
                |number, get| {
                    if number % 4 == 0 { get.map(flipped) } else { get }
                },
            )
            .await;
        let again = got.unwrap().again;
        assert!(bytes == everything());
        assert!((2..20).contains(&again), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_always_wrong_is_named_and_nothing_of_it_is_written() {
    for (at, part) in [(0, 0), (MIB + 5, 1), (SIZES[0] - 1, 6)] {
        let (place, wanted) = place(Hash::Sha256).await;
        let wanted = in_parts(wanted, MIB / 2);
        let mut bytes = content(0);
        bytes[at] ^= 1;
        std::fs::write(place.file(&key(0)), bytes).unwrap();
        let out = Output::default();
        let error = download(&place.archive, wanted, &MANY, out.clone()).await.unwrap_err();
        assert_eq!(status_of(&error), Status::Data);
        let (said, start) = (error.to_string(), at / (MIB / 2) * (MIB / 2));
        assert!(said.contains(&key(0)) && said.contains(&format!("bytes {start} to")), "{said}");
        assert!(said.contains("(5 times)"), "{said}");
        assert_eq!(out.bytes(), content(0)[..start], "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_parts_are_right_is_checked_as_a_whole_on_request() {
    for (check, sound) in [(Check::Part, true), (Check::Chunk, false)] {
        let (place, wanted) = place(Hash::Sha256).await;
        let mut wanted = in_parts(wanted, MIB / 2);
        wanted.items[0].digest = Digest([7; 32]);
        let (out, options) = (Output::default(), Options { check, ..MANY });
        let got = download(&place.archive, wanted, &options, out.clone()).await;
        assert_eq!(got.is_ok(), sound);
        let written = if sound { everything().len() } else { SIZES[0] - MIB };
        assert_eq!(out.bytes().len(), written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_archive_has_other_etags_and_is_as_good() {
    let (place, mut wanted) = place(Hash::Sha256).await;
    wanted.items[0].etag = Some("of the first place".to_owned());
    download(&place.archive, wanted, &MANY, Output::default()).await.unwrap();
}

/// An output that waits until it may write.
struct Slow(std::sync::mpsc::Receiver<()>, Output);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once nobody holds it back any more, it is fast.
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_network_up() {
    let (place, wanted) = place(Hash::Sha256).await;
    let wanted = in_parts(wanted, MIB / 4);
    let ranges: usize = SIZES.iter().map(|size| size.div_ceil(MIB / 4)).sum();
    let gets = Arc::new(AtomicU32::new(0));
    let count = gets.clone();
    let store = Faulty::twisting(place.archive.store.clone(), move |_, get| {
        count.fetch_add(1, Ordering::SeqCst);
        get
    });
    let (go, wait) = std::sync::mpsc::channel();
    let out = Output::default();
    let slow = Slow(wait, out.clone());
    let archive = archive(Arc::new(store));
    // One part, three on their way, two spare.
    let most = MANY.memory(MIB as u64 / 4) / RANGE_MAX;
    assert_eq!(most, 6);
    let watched = async {
        while gets.load(Ordering::SeqCst) < 6 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let asked = gets.load(Ordering::SeqCst);
        drop(go);
        asked
    };
    let (got, asked) = tokio::join!(download(&archive, wanted, &MANY, slow), watched);
    got.unwrap();
    assert_eq!(asked, 6, "of {ranges}");
    assert!(out.bytes() == everything());
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
    let error = download(&archive(Arc::new(store)), wanted, &MANY, out.clone()).await.unwrap_err();
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
    // After some ranges the network says nothing more.
    let store = Faulty::twisting(place.archive.store.clone(), |number, get| {
        let get = get?;
        let pending = futures::future::pending().into_stream();
        Ok(if number > 2 { Get { body: pending.boxed(), ..get } } else { get })
    });
    let error = download(&archive(Arc::new(store)), wanted, &ONE, Closed).await.unwrap_err();
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::BrokenPipe);
}
