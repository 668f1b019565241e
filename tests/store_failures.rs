//! What a store on an S3 server says when it cannot: the statuses and words that
//! people and scripts act on.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use bts::exit::{HasStatus, Status};
use bts::record::Checksum;
use bts::store::s3::{ChecksumMode, ConditionalWrites};
use bts::store::{Condition, Error, ErrorKind, PutOptions, Shared, UploadOptions};
use bts_tests::s3::{Checks, Conditions, Moto, Op, Options, Reach, S3Server};
use bytes::Bytes;

fn upload_options() -> UploadOptions {
    UploadOptions { storage_class: None, part_size: 5 << 20, metadata: Default::default() }
}

async fn store(reach: &Reach) -> Shared {
    reach.open().await.unwrap().store
}

/// Every kind of first contact, and what it answers.
async fn contacts(store: &Shared) -> Vec<Error> {
    let key = "some/key".parse().unwrap();
    let body = Bytes::from_static(b"x");
    vec![
        store.head(&key).await.unwrap_err(),
        store.get(&key, None).await.unwrap_err(),
        store.list("", false, None).await.unwrap_err(),
        store.put(&key, body, &PutOptions::default()).await.unwrap_err(),
        store.create_upload(&key, &upload_options()).await.unwrap_err(),
        store.conditional().await.unwrap_err(),
        store.delete(&key).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_the_servers_words() {
    let server = S3Server::start();
    let keys = Some((bts_tests::s3::ACCESS_KEY.to_owned(), "wrong secret".to_owned()));
    let store = store(&Reach { keys, ..server.reach().clone() }).await;
    for error in contacts(&store).await {
        assert_eq!((error.status(), error.attempts), (Status::Refused, 1), "{error}");
        let silent = error.action.contains("metadata");
        assert!(silent || error.cause.contains("SignatureDoesNotMatch"), "{error}");
        assert!(!format!("{error:?}").contains("wrong secret"));
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_never_an_empty_one() {
    let (server, moto) = (S3Server::start(), Moto::start());
    for reach in [server.reach(), moto.reach()] {
        let store = store(&Reach { bucket: "no-such-bucket".to_owned(), ..reach.clone() }).await;
        for error in contacts(&store).await {
            assert_eq!((error.status(), error.attempts), (Status::Refused, 1), "{error}");
            assert!(error.cause.contains("NoSuchBucket"), "{error}");
        }
    }
}

#[tokio::test]
async fn nobody_listening_is_tried_until_the_time_is_over() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let server = S3Server::start();
    let reach = Reach { endpoint: Some(endpoint), ..server.reach().clone() };
    let mut settings = reach.settings();
    settings.retry_for = Duration::from_secs(2);
    let store = reach.open_with(&settings).await.unwrap().store;
    let start = Instant::now();
    let error = store.list("", false, None).await.unwrap_err();
    assert_eq!(error.status(), Status::Unavailable, "{error}");
    assert!(error.cause.contains("Connection refused"), "{error}");
    assert!(error.attempts > 1 && start.elapsed() < Duration::from_secs(10), "{error}");
    assert!(error.to_string().contains("times over 2 s"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_at_once() {
    let server = S3Server::with(Options { https: true, ..Options::default() });
    let error = store(server.reach()).await.list("", false, None).await.unwrap_err();
    assert_eq!((error.status(), error.attempts), (Status::Refused, 1), "{error}");
    assert!(error.cause.contains("SSL_CERT_FILE"), "{error}");
}

#[tokio::test]
async fn the_guarantee_that_the_server_gives_is_told() {
    let key = "k".parse().unwrap();
    for (checks, mode, expected) in [
        (Checks::Crc32, ChecksumMode::Auto, Ok(Checksum::Crc32)),
        (Checks::Crc32, ChecksumMode::Crc32, Ok(Checksum::Crc32)),
        (Checks::Crc32, ChecksumMode::Md5, Ok(Checksum::Md5)),
        (Checks::Md5, ChecksumMode::Auto, Ok(Checksum::Md5)),
        (Checks::Md5, ChecksumMode::Crc32, Err(ErrorKind::Unsupported)),
    ] {
        let server = S3Server::with(Options { checks, ..Options::default() });
        let mut settings = server.reach().settings();
        settings.checksum = mode;
        let store = server.reach().open_with(&settings).await.unwrap().store;
        let begun = store.create_upload(&key, &upload_options()).await;
        let found = begun.map(|upload| upload.checksum).map_err(|error| error.kind);
        assert_eq!(found, expected, "{checks:?} {mode:?}");
    }
}

#[tokio::test]
async fn conditional_writes_are_proven_unless_told_otherwise() {
    let server = S3Server::start();
    let mut settings = server.reach().settings();
    for (mode, expected, probes) in [
        (ConditionalWrites::On, true, 0),
        (ConditionalWrites::Off, false, 0),
        // Created, refused to create, refused to swap.
        (ConditionalWrites::Auto, true, 3),
        // The key is there already.
        (ConditionalWrites::Auto, true, 3 + 2),
    ] {
        settings.conditional_writes = mode;
        let store = server.reach().open_with(&settings).await.unwrap().store;
        assert_eq!(store.conditional().await.unwrap(), expected);
        assert_eq!(server.control().count(Op::PutObject).requests, probes, "{mode:?}");
        assert_eq!(server.bucket_dir().join(".bts-probe").exists(), probes > 0, "{mode:?}");
    }
}

#[tokio::test]
async fn a_condition_that_the_server_ignores_is_looked_after() {
    let put = async |store: &Shared, body: &str, condition| {
        let options = PutOptions { condition, ..PutOptions::default() };
        let key = "key".parse().unwrap();
        store.put(&key, body.to_owned().into(), &options).await.map_err(|error| error.kind)
    };
    for conditions in [Conditions::CreateOnly, Conditions::Ignored] {
        let server = S3Server::with(Options { conditions, ..Options::default() });
        let store = store(server.reach()).await;
        assert!(!store.conditional().await.unwrap(), "{conditions:?} is believed");
        let first = put(&store, "first", Condition::IfAbsent).await.unwrap();
        let second = put(&store, "second", Condition::IfMatch(first.etag.clone())).await.unwrap();
        assert_ne!(first.etag, second.etag);
        let stale = put(&store, "third", Condition::IfMatch(first.etag)).await;
        assert_eq!(stale.unwrap_err(), ErrorKind::PreconditionFailed, "{conditions:?}");
        let taken = put(&store, "fourth", Condition::IfAbsent).await;
        assert_eq!(taken.unwrap_err(), ErrorKind::PreconditionFailed, "{conditions:?}");
        let kept = std::fs::read_to_string(server.bucket_dir().join("key")).unwrap();
        assert_eq!(kept, "second", "{conditions:?}");
        // What is honoured is used all the same: that write needs no look.
        let looks = server.control().count(Op::HeadObject).requests;
        let expected = if conditions == Conditions::CreateOnly { 2 } else { 4 };
        assert_eq!(looks, expected, "{conditions:?}");
    }
}

#[tokio::test]
async fn an_archived_object_must_be_thawed_first() {
    let moto = Moto::start();
    let store = store(moto.reach()).await;
    let key = "frozen".parse().unwrap();
    let storage_class = Some("DEEP_ARCHIVE".to_owned());
    let options = PutOptions { storage_class, ..PutOptions::default() };
    store.put(&key, Bytes::from_static(b"ice"), &options).await.unwrap();
    let found = store.head(&key).await.unwrap().unwrap();
    assert_eq!((found.storage_class.as_str(), found.size), ("DEEP_ARCHIVE", 3));
    assert_eq!(found.crc32, Some(crc32fast::hash(b"ice")));
    let error = store.get(&key, None).await.unwrap_err();
    assert_eq!((error.kind, error.status()), (ErrorKind::Archived, Status::TryLater), "{error}");
    let listed = store.list("", false, None).await.unwrap();
    assert_eq!(listed.objects[0].storage_class, "DEEP_ARCHIVE");
}

#[tokio::test]
async fn settings_that_cannot_work_are_told_before_anything_is_sent() {
    let server = S3Server::start();
    let status = async |change: fn(&mut bts::store::Settings)| {
        let mut settings = server.reach().settings();
        change(&mut settings);
        server.reach().open_with(&settings).await.map(drop).unwrap_err().status
    };
    let no_region = |settings: &mut bts::store::Settings| {
        (settings.region, settings.endpoint) = (None, None);
    };
    assert_eq!(status(no_region).await, Status::Config);
    assert_eq!(status(|it| it.endpoint = Some("nonsense".into())).await, Status::Config);
    assert_eq!(status(|it| it.url = "s3://a b/c".parse().unwrap()).await, Status::Config);
}
