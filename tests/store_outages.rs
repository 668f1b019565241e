//! Lines that break and servers that die, and the store that waits for them.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use bts::exit::{HasStatus, Status};
use bts::store::{
    ErrorKind, Key, PartBody, PartDone, PutOptions, Shared, Upload, UploadOptions, Whole,
};
use bts_tests::s3::{Mark, Op, Reach, Relay, S3Server, ServerProcess, Trouble, Way};
use bytes::Bytes;
use futures::TryStreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The smallest part that S3 takes, in bytes.
const PART: usize = 5 << 20;

/// A store that waits for `retry_for` seconds.
async fn patient(reach: &Reach, retry_for: u64) -> Shared {
    let mut settings = reach.settings();
    settings.retry_for = Duration::from_secs(retry_for);
    reach.open_with(&settings).await.unwrap().store
}

fn key(name: &str) -> Key {
    name.parse().unwrap()
}

fn part(bytes: &[u8]) -> PartBody {
    let crc32 = crc32fast::hash(bytes);
    PartBody { pieces: vec![Bytes::copy_from_slice(bytes)], len: bytes.len() as u64, crc32 }
}

fn bytes(parts: usize) -> Vec<u8> {
    (0..parts * PART).map(|at| (at / 1000 % 251) as u8).collect()
}

async fn begin(store: &Shared, name: &str) -> Upload {
    let metadata = [("run".to_owned(), "0b1c".to_owned())].into();
    let options = UploadOptions { storage_class: None, part_size: PART as u64, metadata };
    store.create_upload(&key(name), &options).await.unwrap()
}

async fn complete(store: &Shared, upload: &Upload, parts: &[PartDone], bytes: &[u8]) {
    let (size, crc32) = (bytes.len() as u64, crc32fast::hash(bytes));
    let whole = Whole { size, crc32, if_absent: true };
    let made = store.complete_upload(upload, parts, &whole).await.unwrap();
    assert_eq!(made.size, size);
}

async fn read(store: &Shared, name: &str) -> Vec<u8> {
    let got = store.get(&key(name), None).await.unwrap();
    got.body.try_collect::<Vec<_>>().await.unwrap().concat()
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_tried_until_the_time_is_over() {
    let server = S3Server::start();
    let endpoint = Some("http://no-such-host.invalid".to_owned());
    let store = patient(&Reach { endpoint, ..server.reach().clone() }, 2).await;
    let error = store.list("", false, None).await.unwrap_err();
    assert_eq!(error.status(), Status::Unavailable, "{error}");
    assert!(error.attempts > 1 && error.elapsed >= Duration::from_secs(2), "{error}");
    assert!(error.to_string().contains("dns error"), "{error}");
}

#[tokio::test]
async fn a_line_that_comes_back_within_the_time_is_waited_for() {
    let server = S3Server::start();
    let relay = Relay::to(server.reach());
    let store = patient(&relay.reach(server.reach()), 60).await;
    store.put(&key("before"), Bytes::new(), &PutOptions::default()).await.unwrap();
    relay.down();
    let back = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(3));
        relay.up();
        relay
    });
    let (start, body) = (Instant::now(), Bytes::from_static(b"after all"));
    store.put(&key("during"), body, &PutOptions::default()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(3), "the line was not down");
    assert_eq!(read(&store, "during").await, b"after all");
    drop(back.join().unwrap());
}

#[tokio::test]
async fn a_line_that_stays_down_is_given_up_with_how_often_and_how_long() {
    let server = S3Server::start();
    let relay = Relay::to(server.reach());
    let store = patient(&relay.reach(server.reach()), 3).await;
    relay.down();
    let error = store.head(&key("any")).await.unwrap_err();
    assert_eq!(error.status(), Status::Unavailable, "{error}");
    let said = error.to_string();
    assert!(said.contains("Connection refused") && said.contains("times over 3 s"), "{said}");
}

#[tokio::test]
async fn a_part_whose_line_is_cut_anywhere_arrives_once() {
    let server = S3Server::start();
    let relay = Relay::to(server.reach());
    let store = patient(&relay.reach(server.reach()), 60).await;
    let (bytes, upload) = (bytes(1), begin(&store, "object").await);
    for (number, (way, at)) in
        (1..).zip([(Way::Up, 10), (Way::Up, 3 << 20), (Way::Up, 5 << 20), (Way::Down, 20)])
    {
        relay.cut_after(way, at);
        store.put_part(&upload, number, part(&bytes)).await.unwrap();
    }
    let numbers = store.list_parts(&upload).await.unwrap().into_iter().map(|part| part.number);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4]);
    let count = server.control().count(Op::UploadPart);
    // Cut within its head, it never got there; cut at its answer, it was done twice.
    assert_eq!((count.requests, count.done), (7, 5), "{count:?}");
    assert!(count.bytes >= (6 * PART + (2 << 20)) as u64, "{count:?}");
}

#[tokio::test]
async fn a_slow_line_is_as_slow_as_it_is_told() {
    let server = S3Server::start();
    let relay = Relay::to(server.reach());
    let store = patient(&relay.reach(server.reach()), 5).await;
    relay.limit(2 << 20);
    let (start, bytes) = (Instant::now(), bytes(1));
    store.put(&key("object"), bytes.clone().into(), &PutOptions::default()).await.unwrap();
    // 5 MiB at 2 MiB/s; the last piece is not waited for.
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
    relay.limit(u64::MAX);
    assert!(relay.carried(Way::Up) > PART as u64);
    assert!(read(&store, "object").await == bytes);
    assert!(relay.carried(Way::Down) > PART as u64);
}

#[tokio::test]
async fn a_killed_server_has_what_it_acknowledged() {
    let mut server = ServerProcess::start(Trouble::default());
    let store = patient(&server.reach(), 30).await;
    let words = Bytes::from_static(b"small");
    let metadata = [("run".to_owned(), "0b1c".to_owned())].into();
    let options = PutOptions { metadata, ..PutOptions::default() };
    store.put(&key("small"), words, &options).await.unwrap();
    let (before, bytes) = (store.head(&key("small")).await.unwrap(), bytes(2));
    let upload = begin(&store, "large").await;
    let first = store.put_part(&upload, 1, part(&bytes[..PART])).await.unwrap();

    server.restart(Trouble::default());
    assert_eq!(store.head(&key("small")).await.unwrap(), before);
    assert_eq!(store.list_uploads("").await.unwrap()[0].id, upload.id);
    assert_eq!(store.list_parts(&upload).await.unwrap()[0].etag, first.etag);
    let second = store.put_part(&upload, 2, part(&bytes[PART..])).await.unwrap();
    complete(&store, &upload, &[first, second], &bytes).await;

    server.restart(Trouble::default());
    let found = store.head(&key("large")).await.unwrap().unwrap();
    assert_eq!(found.crc32, Some(crc32fast::hash(&bytes)));
    assert_eq!(found.metadata, before.unwrap().metadata);
    assert!(read(&store, "large").await == bytes);
    let error = store.list_parts(&upload).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoSuchUpload, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_at_any_request_costs_nothing_but_time() {
    // Create, two parts, complete; the head of a part, or the end of one.
    let deaths = [Mark::Requests(1), Mark::Requests(2), Mark::Uploaded(PART as u64)];
    for death in deaths.into_iter().chain([Mark::Requests(4)]) {
        let mut server = ServerProcess::start(Trouble { death: Some(death), chance: None });
        let mut settings = server.reach().settings();
        settings.retry_for = Duration::from_secs(60);
        settings.conditional_writes = bts::store::s3::ConditionalWrites::On;
        let store = server.reach().open_with(&settings).await.unwrap().store;
        let reviver = std::thread::spawn(move || {
            while server.lives() {
                std::thread::sleep(Duration::from_millis(20));
            }
            server.restart(Trouble::default());
            server
        });
        let (bytes, upload) = (bytes(2), begin(&store, "object").await);
        let mut done = Vec::new();
        for (number, piece) in (1..).zip(bytes.chunks(PART)) {
            done.push(store.put_part(&upload, number, part(piece)).await.unwrap());
        }
        complete(&store, &upload, &done, &bytes).await;
        assert!(read(&store, "object").await == bytes, "{death:?}");
        drop(reviver.join().unwrap());
    }
}

/// Writes the key again and again, each time with its number as bytes and as
/// metadata, until the server is gone.
async fn overwrite(store: Shared, name: String) {
    for number in 0.. {
        let metadata = [("number".to_owned(), number.to_string())].into();
        let options = PutOptions { metadata, ..PutOptions::default() };
        if store.put(&key(&name), number.to_string().into(), &options).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_killed_server_are_whole() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut server = ServerProcess::start(Trouble::default());
    for _ in 0..12 {
        let store = patient(&server.reach(), 0).await;
        let names = (0..4).map(|number| format!("object-{number}"));
        let writers: Vec<_> =
            names.clone().map(|it| tokio::spawn(overwrite(Shared::clone(&store), it))).collect();
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..200))).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        server.restart(Trouble::default());
        for name in names {
            let found = store.head(&key(&name)).await.unwrap().unwrap();
            let read = read(&store, &name).await;
            assert_eq!(found.metadata["number"].as_bytes(), read, "{name}");
            assert_eq!(found.crc32, Some(crc32fast::hash(&read)), "{name}");
        }
    }
}
