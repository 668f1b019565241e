//! Whole objects.

use bts::store::{ErrorKind, PutOptions};
use bytes::Bytes;

use super::{Subject, collect, noise};

pub(super) async fn what_was_written_is_read(it: Subject) {
    for (name, len) in [("empty", 0), ("one", 1), ("small", 70_000), ("large", 6 << 20)] {
        let bytes = noise(len, 7);
        let key = it.key(name);
        let written =
            it.store.put(&key, bytes.clone().into(), &PutOptions::default()).await.unwrap();
        assert_eq!(it.read(&key).await, bytes, "{name}");

        let found = it.store.head(&key).await.unwrap().unwrap();
        let got = it.store.get(&key, None).await.unwrap();
        assert_eq!((found.size, got.size, written.size), (len as u64, len as u64, len as u64));
        assert_eq!((&found.etag, &got.etag), (&written.etag, &written.etag));
        assert!(!found.etag.is_empty());
        assert_eq!(found.storage_class, "STANDARD");
        assert!(found.modified.is_some());
        assert!(found.crc32.is_none_or(|crc| crc == crc32fast::hash(&bytes)));
    }
}

pub(super) async fn ranges_are_read_to_the_byte(it: Subject) {
    let bytes = noise(1_000_000, 3);
    let key = it.put("object", &bytes).await;
    for range in [0..1, 0..1_000_000, 999_999..1_000_000, 123_456..654_321, 5..5, 0..0] {
        let got = it.store.get(&key, Some(range.clone())).await.unwrap();
        assert_eq!(got.size, 1_000_000);
        let wanted = &bytes[range.start as usize..range.end as usize];
        assert_eq!(collect(got).await, wanted, "{range:?}");
    }
    assert!(it.store.get(&key, Some(0..1_000_001)).await.is_err());
    assert!(it.store.get(&key, Some(1_000_000..1_000_001)).await.is_err());
}

pub(super) async fn what_is_not_there_is_not_found(it: Subject) {
    let missing = it.key("missing");
    assert_eq!(it.store.head(&missing).await.unwrap(), None);
    assert_eq!(it.store.get(&missing, None).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(it.store.get(&missing, Some(0..1)).await.unwrap_err().kind, ErrorKind::NotFound);
    it.store.delete(&missing).await.unwrap();

    let key = it.put("folder/there", b"x").await;
    assert_eq!(it.store.head(&it.key("folder")).await.unwrap(), None);
    it.store.delete(&key).await.unwrap();
    assert_eq!(it.store.head(&key).await.unwrap(), None);
    it.store.delete(&key).await.unwrap();
    assert_eq!(it.store.list(&it.prefix, true, None).await.unwrap(), Default::default());
}

pub(super) async fn the_last_writer_wins(it: Subject) {
    let key = it.put("object", b"first").await;
    let first = it.store.head(&key).await.unwrap().unwrap();
    it.put("object", b"other").await;
    let second = it.store.head(&key).await.unwrap().unwrap();
    assert_eq!(it.read(&key).await, b"other");
    assert_ne!(first.etag, second.etag);
}

pub(super) async fn strange_keys_are_kept_to_the_letter(it: Subject) {
    let names = [
        "with space",
        "plus+plus",
        "per%cent%20%2F",
        "quotes'\"`",
        "&amp;<tag>",
        "hash#query?a=b&c",
        "*()!~@$,:;=[]{}|^",
        "back\\slash",
        "ünïcode ☃ 😀/ÿ",
        "...",
    ];
    for name in names {
        it.put(name, name.as_bytes()).await;
    }
    let page = it.store.list(&it.prefix, false, None).await.unwrap();
    let listed: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
    let mut expected: Vec<_> = names.iter().map(|name| it.key(name).to_string()).collect();
    expected.sort();
    assert_eq!(listed, expected);
    for name in names {
        let key = it.key(name);
        assert_eq!(it.read(&key).await, name.as_bytes());
        assert_eq!(it.store.head(&key).await.unwrap().unwrap().size, name.len() as u64);
        it.store.delete(&key).await.unwrap();
        assert_eq!(it.store.head(&key).await.unwrap(), None, "{name}");
    }
}

pub(super) async fn keys_that_look_like_paths_are_kept_or_refused(it: Subject) {
    for name in ["a//b", "./c", "d/../e", "f/", " g "] {
        let key = it.key(name);
        let body = Bytes::from_static(b"bytes");
        match it.store.put(&key, body, &PutOptions::default()).await {
            Ok(_) => {
                assert_eq!(it.read(&key).await, b"bytes", "{name}");
                it.store.delete(&key).await.unwrap();
            }
            Err(error) => assert_eq!(error.kind, ErrorKind::Refused, "{name}: {error}"),
        }
    }
}

pub(super) async fn metadata_is_kept(it: Subject) {
    let key = it.key("object");
    let metadata = [("run".to_owned(), "0b1c 2d".to_owned())].into();
    let options = PutOptions { metadata, ..PutOptions::default() };
    it.store.put(&key, Bytes::from_static(b"x"), &options).await.unwrap();
    let found = it.store.head(&key).await.unwrap().unwrap().metadata;
    let expected = if it.lacks.metadata { Default::default() } else { options.metadata };
    assert_eq!(found, expected);
}
