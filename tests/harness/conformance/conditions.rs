//! Writes that happen only if.

use bts::store::{Condition, ErrorKind, Key, PutOptions};
use bytes::Bytes;
use futures::future::join_all;

use super::{Subject, noise, part, whole};

/// How many race.
const RACERS: usize = 12;

fn only_if(condition: Condition) -> PutOptions {
    PutOptions { condition, ..PutOptions::default() }
}

/// Lets racers write `key` under one condition; the numbers of those who won.
async fn race(it: &Subject, key: &Key, condition: Condition) -> Vec<usize> {
    let options = only_if(condition);
    let all = join_all((0..RACERS).map(async |racer| {
        let body = Bytes::from(format!("racer {racer}"));
        it.store.put(key, body, &options).await
    }));
    let ended = all.await.into_iter().enumerate();
    let won = ended.filter_map(|(racer, result)| match result {
        Ok(_) => Some(racer),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
            None
        }
    });
    won.collect()
}

async fn is_atomic(it: &Subject) -> bool {
    it.store.conditional().await.unwrap() && !it.lacks.atomic_conditions
}

pub(super) async fn a_create_only_write_replaces_nothing(it: Subject) {
    let (key, create) = (it.key("object"), only_if(Condition::IfAbsent));
    it.store.put(&key, Bytes::from_static(b"first"), &create).await.unwrap();
    let error = it.store.put(&key, Bytes::from_static(b"second"), &create).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
    assert_eq!(it.read(&key).await, b"first");
    it.store.delete(&key).await.unwrap();
    it.store.put(&key, Bytes::from_static(b"third"), &create).await.unwrap();
    assert_eq!(it.read(&key).await, b"third");
}

pub(super) async fn one_of_many_creators_wins(it: Subject) {
    if !is_atomic(&it).await {
        return;
    }
    for round in 0..5 {
        let key = it.key(&format!("object-{round}"));
        let won = race(&it, &key, Condition::IfAbsent).await;
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(it.read(&key).await, format!("racer {}", won[0]).as_bytes());
    }
}

pub(super) async fn a_stale_etag_writes_nothing(it: Subject) {
    let key = it.put("object", b"first").await;
    let first = it.store.head(&key).await.unwrap().unwrap().etag;
    let swap = only_if(Condition::IfMatch(first));
    it.store.put(&key, Bytes::from_static(b"second, longer"), &swap).await.unwrap();
    let error = it.store.put(&key, Bytes::from_static(b"third"), &swap).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
    assert_eq!(it.read(&key).await, b"second, longer");
    let error = it.store.put(&it.key("none"), Bytes::new(), &swap).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
}

pub(super) async fn one_of_many_swappers_wins(it: Subject) {
    if !is_atomic(&it).await {
        return;
    }
    let key = it.put("object", b"start").await;
    for _ in 0..5 {
        let etag = it.store.head(&key).await.unwrap().unwrap().etag;
        let won = race(&it, &key, Condition::IfMatch(etag)).await;
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(it.read(&key).await, format!("racer {}", won[0]).as_bytes());
        // Not the bytes that the next round's winner may write: S3's ETags
        // are digests.
        it.put("object", b"again").await;
    }
}

pub(super) async fn a_create_only_completion_replaces_nothing(it: Subject) {
    let bytes = noise(100_000, 1);
    let key = it.key("object");
    let upload = it.store.create_upload(&key, &it.upload_options()).await.unwrap();
    let done = it.store.put_part(&upload, 1, part(&bytes)).await.unwrap();
    it.put("object", b"taken").await;
    let only = whole(&bytes, true);
    let error = it.store.complete_upload(&upload, &[done], &only).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
    assert_eq!(it.read(&key).await, b"taken");
    it.store.abort_upload(&upload).await.unwrap();
}
