//! What is told of uploads that are not finished.

use bts::store::{ErrorKind, PartDone, PartSeen, Upload};
use futures::{StreamExt, stream};

use super::{PART, Subject, noise, part, whole};

/// More than a page, which is 1,000 on every server.
const MANY: u32 = 1_003;

fn seen(done: &[PartDone]) -> Vec<PartSeen> {
    let seen = |it: &PartDone| PartSeen { number: it.number, size: it.size, etag: it.etag.clone() };
    done.iter().map(seen).collect()
}

async fn begin(it: &Subject, name: &str) -> Upload {
    it.store.create_upload(&it.key(name), &it.upload_options()).await.unwrap()
}

/// The names and ids of the uploads below `below`, in the order of the names.
async fn unfinished(it: &Subject, below: &str) -> Vec<(String, String)> {
    let prefix = format!("{}{below}", it.prefix);
    let uploads = it.store.list_uploads(&prefix).await.unwrap();
    assert!(uploads.iter().all(|upload| upload.begun.is_some()), "{uploads:?}");
    let name = |key: &str| key.strip_prefix(&it.prefix).unwrap().to_owned();
    let mut all: Vec<_> = uploads.into_iter().map(|it| (name(&it.key), it.id)).collect();
    all.sort();
    all
}

pub(super) async fn parts_are_listed_as_they_were_acknowledged(it: Subject) {
    let upload = begin(&it, "object").await;
    assert_eq!(it.store.list_parts(&upload).await.unwrap(), []);
    let bytes = noise(2 * PART + 9, 21);
    let mut done = Vec::new();
    // 10 comes before 9 where names are compared.
    for (number, bytes) in [10, 2, 9].into_iter().zip(bytes.chunks(PART)) {
        done.push(it.store.put_part(&upload, number, part(bytes)).await.unwrap());
    }
    done.sort_by_key(|part| part.number);
    assert_eq!(it.store.list_parts(&upload).await.unwrap(), seen(&done));
    it.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn a_replaced_part_is_listed_as_its_successor(it: Subject) {
    let upload = begin(&it, "object").await;
    let first = it.store.put_part(&upload, 1, part(&noise(2000, 1))).await.unwrap();
    let second = it.store.put_part(&upload, 1, part(&noise(1000, 2))).await.unwrap();
    assert_ne!(first.etag, second.etag);
    assert_eq!(it.store.list_parts(&upload).await.unwrap(), seen(&[second]));
    it.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn an_upload_that_ended_has_no_parts_to_list(it: Subject) {
    let bytes = noise(1000, 3);
    let (completed, aborted) = (begin(&it, "completed").await, begin(&it, "aborted").await);
    for upload in [&completed, &aborted] {
        let done = it.store.put_part(upload, 1, part(&bytes)).await.unwrap();
        if upload == &completed {
            it.store.complete_upload(upload, &[done], &whole(&bytes, true)).await.unwrap();
        } else {
            it.store.abort_upload(upload).await.unwrap();
        }
        let error = it.store.list_parts(upload).await.unwrap_err();
        let said = error.kind == ErrorKind::NoSuchUpload;
        assert!(said || it.lacks.unknown_uploads, "{error}");
    }
}

pub(super) async fn uploads_are_listed_until_they_end(it: Subject) {
    assert_eq!(unfinished(&it, "").await, []);
    let bytes = noise(1000, 4);
    let mut begun = Vec::new();
    for name in ["a/1", "a/2", "a/2", "ab", "c"] {
        begun.push((name.to_owned(), begin(&it, name).await));
    }
    let listed = |names: &[(String, Upload)]| {
        let mut all: Vec<_> =
            names.iter().map(|(name, it)| (name.clone(), it.id.clone())).collect();
        all.sort();
        all
    };
    assert_eq!(unfinished(&it, "").await, listed(&begun));
    assert_eq!(unfinished(&it, "a/").await, listed(&begun[..3]));
    assert_eq!(unfinished(&it, "a").await, listed(&begun[..4]));
    assert_eq!(unfinished(&it, "b").await, []);

    let (_, completed) = begun.pop().unwrap();
    let done = it.store.put_part(&completed, 1, part(&bytes)).await.unwrap();
    it.store.complete_upload(&completed, &[done], &whole(&bytes, false)).await.unwrap();
    let (_, aborted) = begun.remove(1);
    it.store.abort_upload(&aborted).await.unwrap();
    assert_eq!(unfinished(&it, "").await, listed(&begun));
    for (_, upload) in begun {
        it.store.abort_upload(&upload).await.unwrap();
    }
    assert_eq!(unfinished(&it, "").await, []);
}

pub(super) async fn many_parts_are_all_listed(it: Subject) {
    let upload = begin(&it, "object").await;
    let send = |number: u32| {
        let (it, upload) = (&it, &upload);
        async move { it.store.put_part(upload, number, part(&number.to_le_bytes())).await.unwrap() }
    };
    let mut done: Vec<_> = stream::iter(1..=MANY).map(send).buffer_unordered(32).collect().await;
    done.sort_by_key(|part| part.number);
    let listed = it.store.list_parts(&upload).await.unwrap();
    assert!(listed == seen(&done), "{} of {MANY} parts", listed.len());
    it.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn many_uploads_are_all_listed(it: Subject) {
    let send = |number: u32| {
        let it = &it;
        async move { begin(it, &format!("{:03}", number / 2)).await }
    };
    let begun: Vec<_> = stream::iter(0..MANY).map(send).buffer_unordered(32).collect().await;
    let mut ids: Vec<_> = begun.iter().map(|upload| upload.id.clone()).collect();
    let mut listed: Vec<_> = unfinished(&it, "").await.into_iter().map(|(_, id)| id).collect();
    ids.sort();
    listed.sort();
    assert!(listed == ids, "{} of {MANY} uploads", listed.len());
    let end = |upload: Upload| {
        let it = &it;
        async move { it.store.abort_upload(&upload).await.unwrap() }
    };
    stream::iter(begun).map(end).buffer_unordered(32).collect::<Vec<_>>().await;
}
