//! Multipart uploads.

use bts::record::Checksum;
use bts::store::{ErrorKind, PartDone, Upload, Whole};
use futures::future::join_all;

use super::{PART, Subject, noise, part, whole};

/// Begins an upload of `bytes` to `name` and sends its parts, the last ones first.
async fn send(it: &Subject, name: &str, bytes: &[u8]) -> (Upload, Vec<PartDone>) {
    let upload = it.store.create_upload(&it.key(name), &it.upload_options()).await.unwrap();
    let parts: Vec<_> = (1_u32..).zip(bytes.chunks(PART)).collect();
    let sending =
        parts.iter().rev().map(|(number, bytes)| it.store.put_part(&upload, *number, part(bytes)));
    let mut done: Vec<_> = join_all(sending).await.into_iter().map(Result::unwrap).collect();
    done.sort_by_key(|part| part.number);
    (upload, done)
}

pub(super) async fn parts_in_any_order_make_the_object(it: Subject) {
    let bytes = noise(2 * PART + 12_345, 11);
    let (upload, parts) = send(&it, "object", &bytes).await;
    let sizes: Vec<_> = parts.iter().map(|part| part.size).collect();
    assert_eq!(sizes, [PART as u64, PART as u64, 12_345]);
    assert!(parts.iter().all(|part| !part.etag.is_empty()));

    let whole = whole(&bytes, true);
    let made = it.store.complete_upload(&upload, &parts, &whole).await.unwrap();
    let found = it.store.head(&upload.key).await.unwrap().unwrap();
    assert_eq!((made.size, found.size), (whole.size, whole.size));
    assert_eq!(made.etag, found.etag);
    if upload.checksum == Checksum::Crc32 {
        assert_eq!(found.crc32, Some(whole.crc32), "claimed, and not kept");
    }
    let metadata =
        if it.lacks.metadata { Default::default() } else { it.upload_options().metadata };
    assert_eq!(found.metadata, metadata);
    assert!(it.read(&upload.key).await == bytes, "the object differs from its parts");
    let across = PART as u64 - 10..PART as u64 + 10;
    let got = it.store.get(&upload.key, Some(across.clone())).await.unwrap();
    let got = super::collect(got).await;
    assert_eq!(got, &bytes[across.start as usize..across.end as usize]);
}

pub(super) async fn an_unfinished_upload_is_no_object(it: Subject) {
    let (upload, _) = send(&it, "object", &noise(PART + 1, 5)).await;
    assert_eq!(it.store.head(&upload.key).await.unwrap(), None);
    let error = it.store.get(&upload.key, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(it.store.list(&it.prefix, false, None).await.unwrap().objects.is_empty());

    it.put("other", b"there").await;
    let (upload, _) = send(&it, "other", &noise(10, 5)).await;
    assert_eq!(it.read(&upload.key).await, b"there");
    it.store.abort_upload(&upload).await.unwrap();
    assert_eq!(it.read(&upload.key).await, b"there");
}

pub(super) async fn a_part_can_be_replaced(it: Subject) {
    let mut bytes = noise(PART + 1000, 2);
    let (upload, mut parts) = send(&it, "object", &bytes).await;
    bytes[..PART].copy_from_slice(&noise(PART, 99));
    bytes.truncate(PART + 10);
    parts[0] = it.store.put_part(&upload, 1, part(&bytes[..PART])).await.unwrap();
    parts[1] = it.store.put_part(&upload, 2, part(&bytes[PART..])).await.unwrap();
    it.store.complete_upload(&upload, &parts, &whole(&bytes, false)).await.unwrap();
    assert!(it.read(&upload.key).await == bytes, "the object holds a replaced part");
}

pub(super) async fn an_aborted_upload_is_gone(it: Subject) {
    let bytes = noise(1000, 4);
    let (upload, parts) = send(&it, "object", &bytes).await;
    it.store.abort_upload(&upload).await.unwrap();
    it.store.abort_upload(&upload).await.unwrap();
    if !it.lacks.unknown_uploads {
        let error = it.store.put_part(&upload, 1, part(&bytes)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoSuchUpload, "{error}");
    }
    let complete = it.store.complete_upload(&upload, &parts, &whole(&bytes, false)).await;
    let error = complete.unwrap_err();
    assert!(it.lacks.unknown_uploads || error.kind == ErrorKind::NoSuchUpload, "{error}");
    assert_eq!(it.store.head(&upload.key).await.unwrap(), None);
}

pub(super) async fn completing_twice_is_noticed_or_harmless(it: Subject) {
    let bytes = noise(1000, 6);
    let (upload, parts) = send(&it, "object", &bytes).await;
    let whole = whole(&bytes, false);
    let first = it.store.complete_upload(&upload, &parts, &whole).await.unwrap();
    match it.store.complete_upload(&upload, &parts, &whole).await {
        Ok(second) => assert_eq!(second, first),
        Err(error) => assert_eq!(error.kind, ErrorKind::NoSuchUpload, "{error}"),
    }
    assert_eq!(it.read(&upload.key).await, bytes);
}

pub(super) async fn an_upload_goes_on_in_another_process(it: Subject) {
    let bytes = noise(PART + 77, 8);
    let (upload, parts) = send(&it, "object", &bytes[..PART]).await;
    // All that a journal keeps.
    let Upload { key, id, checksum, part_size } = upload;
    let later = Upload { key: key.as_str().parse().unwrap(), id, checksum, part_size };
    let last = it.store.put_part(&later, 2, part(&bytes[PART..])).await.unwrap();
    let parts = [parts[0].clone(), last];
    it.store.complete_upload(&later, &parts, &whole(&bytes, true)).await.unwrap();
    assert!(it.read(&later.key).await == bytes, "the object differs");
}

pub(super) async fn a_damaged_part_is_refused(it: Subject) {
    let upload = it.store.create_upload(&it.key("object"), &it.upload_options()).await.unwrap();
    if upload.checksum == Checksum::Crc32 && it.lacks.checks {
        return;
    }
    let mut body = part(&noise(1000, 9));
    body.crc32 ^= 1;
    let error = it.store.put_part(&upload, 1, body).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::BadAnswer | ErrorKind::Refused), "{error}");
    it.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn a_wrong_whole_is_noticed(it: Subject) {
    let bytes = noise(1000, 10);
    let right = whole(&bytes, false);
    let wrong_crc = Whole { crc32: right.crc32 ^ 1, ..right };
    let wrong_size = Whole { size: right.size + 1, ..right };
    for (name, wrong) in [("crc", wrong_crc), ("size", wrong_size)] {
        let (upload, parts) = send(&it, name, &bytes).await;
        if name == "crc" && upload.checksum == Checksum::Md5 {
            continue;
        }
        assert!(it.store.complete_upload(&upload, &parts, &wrong).await.is_err(), "{name}");
    }
}
