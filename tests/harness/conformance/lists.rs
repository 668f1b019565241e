//! Lists.

use bts::store::list_all;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::Subject;

/// More than a page, which is 1,000 on every server.
const MANY: usize = 1_003;

async fn keys(it: &Subject, below: &str, after: Option<&str>) -> Vec<String> {
    let prefix = format!("{}{below}", it.prefix);
    let after = after.map(|name| it.key(name).to_string());
    let page = it.store.list(&prefix, false, after.as_deref()).await.unwrap();
    assert!(page.folders.is_empty() && page.next.is_none());
    let names = page.objects.iter().map(|object| object.key[it.prefix.len()..].to_owned());
    names.collect()
}

pub(super) async fn lists_are_in_the_order_of_bytes(it: Subject) {
    let names = ["B", "a-b", "a/c", "a/d/e", "a0", "b", "b1", "é", "\u{ffee}", "😀"];
    for name in names.iter().rev() {
        it.put(name, name.as_bytes()).await;
    }
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(keys(&it, "", None).await, expected);
    assert_eq!(keys(&it, "a/", None).await, ["a/c", "a/d/e"]);
    assert_eq!(keys(&it, "a", None).await, ["a-b", "a/c", "a/d/e", "a0"]);
    assert_eq!(keys(&it, "", Some("a/c")).await, expected[3..]);
    assert_eq!(keys(&it, "", Some("a/cc")).await, expected[3..]);
    assert_eq!(keys(&it, "nothing/", None).await, [""; 0]);

    let page = it.store.list(&it.prefix, false, None).await.unwrap();
    for (object, name) in page.objects.iter().zip(&expected) {
        assert_eq!(object.size, name.len() as u64);
        assert_eq!(object.storage_class, "STANDARD");
        let found = it.store.head(&it.key(name)).await.unwrap().unwrap();
        assert!(object.etag.is_empty() || object.etag == found.etag);
    }
}

pub(super) async fn folders_are_folded(it: Subject) {
    for name in ["a", "b/1", "b/2/3", "c-d", "c/1", "d"] {
        it.put(name, b"x").await;
    }
    let page = it.store.list(&it.prefix, true, None).await.unwrap();
    let short = |key: &String| key[it.prefix.len()..].to_owned();
    let objects: Vec<_> = page.objects.iter().map(|object| short(&object.key)).collect();
    assert_eq!(objects, ["a", "c-d", "d"]);
    assert_eq!(page.folders.iter().map(short).collect::<Vec<_>>(), ["b/", "c/"]);
    assert_eq!(page.next, None);

    let after = it.key("b/").to_string();
    let page = it.store.list(&it.prefix, true, Some(&after)).await.unwrap();
    assert_eq!(page.folders.iter().map(short).collect::<Vec<_>>(), ["c/"]);
    assert_eq!(page.objects.len(), 2);
}

pub(super) async fn a_long_list_comes_in_pages(it: Subject) {
    let write = |number: usize| {
        let (it, key) = (&it, it.key(&format!("{number:04}/object")));
        async move { it.store.put(&key, Bytes::new(), &Default::default()).await.unwrap() }
    };
    stream::iter(0..MANY).map(write).buffer_unordered(32).collect::<Vec<_>>().await;

    for fold in [false, true] {
        let first = it.store.list(&it.prefix, fold, None).await.unwrap();
        assert!(first.next.is_some(), "{MANY} keys on one page");
        let all = list_all(it.store.as_ref(), &it.prefix, fold).await.unwrap();
        let found = if fold {
            all.folders
        } else {
            all.objects.into_iter().map(|object| object.key).collect()
        };
        let end = if fold { "" } else { "object" };
        let expected: Vec<_> =
            (0..MANY).map(|number| it.key(&format!("{number:04}/{end}")).to_string()).collect();
        assert!(found == expected, "fold {fold}: {} keys", found.len());
    }
}
