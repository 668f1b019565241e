//! A store in a directory: a USB disk, a NAS mount.
//!
//! A key is a path below the directory, to the letter. Objects are written beside
//! their place, synced, renamed, and the directory is synced. What is on its way
//! lies in `.bts-uploads`; every change of the tree happens under a lock there, so
//! that conditions are atomic between processes of one machine (and between
//! machines where the filesystem's `flock` is).
//!
//! An ETag is made of size, modification time and inode. Filesystems without
//! lasting inodes (FAT) change it when they are mounted again: what depended on
//! it is then done again, never wrongly skipped. Metadata is not kept.

mod list;
mod object;
mod tree;
mod upload;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Error, ErrorKind, Get, Key, Meta, Page, PartBody, PartDone, PartSeen, PutOptions, Result,
    Store, ThawRequest, Upload, UploadOptions, UploadSeen, Whole,
};
use tree::Tree;

/// A directory as a [`Store`].
#[derive(Clone, Debug)]
pub struct DirStore(Arc<Tree>);

impl DirStore {
    /// The store in `root`, which must exist when something is done: an unmounted
    /// disk must not be filled silently.
    pub fn new(root: &Path) -> Self {
        Self(Arc::new(Tree::new(root)))
    }

    /// Runs `job` where it may block.
    async fn blocking<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tree) -> Result<T> + Send + 'static,
    {
        let tree = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || job(&tree)).await;
        done.unwrap_or_else(|died| {
            Err(Error::new(ErrorKind::Io, "work in", self.0.locate(""), died.to_string()))
        })
    }
}

#[async_trait]
impl Store for DirStore {
    fn locate(&self, key: &str) -> String {
        self.0.locate(key)
    }

    async fn conditional(&self) -> Result<bool> {
        Ok(true)
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let key = key.clone();
        self.blocking(move |tree| tree.head(&key)).await
    }

    async fn thaw(&self, key: &Key, _: &ThawRequest) -> Result<()> {
        let words = "nothing is ever archived in a directory";
        Err(Error::new(ErrorKind::Unsupported, "thaw", self.locate(key.as_str()), words))
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get> {
        let (wanted, key) = (key.clone(), key.clone());
        let (file, meta) = self.blocking(move |tree| tree.open(&wanted)).await?;
        object::get(file, meta, range, self.locate(key.as_str()))
    }

    async fn put(&self, key: &Key, body: Bytes, options: &PutOptions) -> Result<Meta> {
        let (key, condition) = (key.clone(), options.condition.clone());
        self.blocking(move |tree| tree.put(&key, &body, &condition)).await
    }

    async fn list(&self, prefix: &str, fold: bool, after: Option<&str>) -> Result<Page> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking(move |tree| tree.list(&prefix, fold, after.as_deref())).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let key = key.clone();
        self.blocking(move |tree| tree.delete(&key)).await
    }

    async fn create_upload(&self, key: &Key, options: &UploadOptions) -> Result<Upload> {
        let (key, part_size) = (key.clone(), options.part_size);
        self.blocking(move |tree| tree.create_upload(key, part_size)).await
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: PartBody) -> Result<PartDone> {
        let upload = upload.clone();
        self.blocking(move |tree| tree.put_part(&upload, number, &body)).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta> {
        let (upload, parts, whole) = (upload.clone(), parts.to_vec(), *whole);
        self.blocking(move |tree| tree.complete_upload(&upload, &parts, &whole)).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        let upload = upload.clone();
        self.blocking(move |tree| tree.abort_upload(&upload)).await
    }

    async fn list_parts(&self, upload: &Upload) -> Result<Vec<PartSeen>> {
        let upload = upload.clone();
        self.blocking(move |tree| tree.list_parts(&upload)).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<UploadSeen>> {
        let prefix = prefix.to_owned();
        self.blocking(move |tree| tree.list_uploads(&prefix)).await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::exit::{HasStatus, Status};

    fn store() -> (tempfile::TempDir, DirStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::new(folder.path());
        (folder, store)
    }

    async fn put(store: &DirStore, key: &str, bytes: &'static [u8]) -> Result<Meta> {
        let key = key.parse().unwrap();
        store.put(&key, Bytes::from_static(bytes), &PutOptions::default()).await
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_not_made_and_not_empty() {
        let (folder, _) = store();
        let missing = folder.path().join("not mounted");
        let store = DirStore::new(&missing);
        let key = "k".parse().unwrap();
        let errors = [
            store.head(&key).await.unwrap_err(),
            store.list("", false, None).await.unwrap_err(),
            put(&store, "k", b"x").await.unwrap_err(),
            store.delete(&key).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.status(), Status::Unavailable, "{error}");
        }
        assert!(!missing.exists());
    }

    #[tokio::test]
    async fn keys_that_would_leave_the_directory_or_hide_in_it_are_refused() {
        let (folder, store) = store();
        let long = format!("a/{}", "x".repeat(256));
        for key in
            ["../x", "a/../../x", "/x", "a//x", "a/", ".bts-uploads/x", "a/.bts-tmp-1", &long]
        {
            let error = put(&store, key, b"x").await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{key}");
            assert!(store.head(&key.parse().unwrap()).await.is_err(), "{key}");
        }
        assert_eq!(store.list("../", false, None).await.unwrap(), Page::default());
        assert!(!folder.path().with_file_name("x").exists());
    }

    #[tokio::test]
    async fn what_is_no_object_is_not_listed() {
        let (folder, store) = store();
        put(&store, "a/b", b"x").await.unwrap();
        fs::write(folder.path().join("a/.bts-tmp-left"), b"x").unwrap();
        fs::create_dir_all(folder.path().join("empty/folders")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        let options =
            UploadOptions { storage_class: None, part_size: 10, metadata: Default::default() };
        store.create_upload(&"u".parse().unwrap(), &options).await.unwrap();
        let all = store.list("", false, None).await.unwrap();
        assert_eq!(all.objects.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["a/b"]);
        assert_eq!(store.list("", true, None).await.unwrap().folders, ["a/"]);
    }

    #[tokio::test]
    async fn objects_are_for_their_owner_alone_and_leave_nothing_behind() {
        let (folder, store) = store();
        put(&store, "a/b/c", b"x").await.unwrap();
        let mode = |path| fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
        assert_eq!((mode("a") & 0o777, mode("a/b/c") & 0o777), (0o700, 0o600));
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
        store.delete(&"a/b/c".parse().unwrap()).await.unwrap();
        assert!(!folder.path().join("a").exists());
    }

    #[tokio::test]
    async fn an_upload_leaves_nothing_behind_whether_completed_or_aborted() {
        let (folder, store) = store();
        let options =
            UploadOptions { storage_class: None, part_size: 10, metadata: Default::default() };
        let body = PartBody {
            pieces: vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de")],
            len: 5,
            crc32: crc32fast::hash(b"abcde"),
        };
        let (key, whole) =
            ("k".parse().unwrap(), Whole { size: 5, crc32: body.crc32, if_absent: true });
        let upload = store.create_upload(&key, &options).await.unwrap();
        let done = store.put_part(&upload, 1, body.clone()).await.unwrap();
        store.complete_upload(&upload, &[done], &whole).await.unwrap();
        let upload = store.create_upload(&key, &options).await.unwrap();
        let done = store.put_part(&upload, 1, body.clone()).await.unwrap();
        let error = store.complete_upload(&upload, &[done], &whole).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::PreconditionFailed);
        // The loser's parts are there until they are given up.
        store.put_part(&upload, 1, body).await.unwrap();
        store.abort_upload(&upload).await.unwrap();
        let left = fs::read_dir(folder.path().join(".bts-uploads")).unwrap();
        assert_eq!(left.map(|it| it.unwrap().file_name()).collect::<Vec<_>>(), ["lock"]);
    }

    #[tokio::test]
    async fn parts_that_do_not_make_up_the_object_are_refused() {
        let (_folder, store) = store();
        let options =
            UploadOptions { storage_class: None, part_size: 4, metadata: Default::default() };
        let upload = store.create_upload(&"k".parse().unwrap(), &options).await.unwrap();
        let body = |bytes: &'static [u8]| PartBody {
            pieces: vec![Bytes::from_static(bytes)],
            len: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
        };
        let first = store.put_part(&upload, 1, body(b"abcd")).await.unwrap();
        let second = store.put_part(&upload, 2, body(b"ef")).await.unwrap();
        assert!(store.put_part(&upload, 0, body(b"a")).await.is_err());
        assert!(store.put_part(&upload, 3, body(b"abcde")).await.is_err());
        let whole = Whole { size: 6, crc32: crc32fast::hash(b"abcdef"), if_absent: false };
        let other = PartDone { etag: first.etag.clone(), ..second.clone() };
        for parts in [vec![], vec![first.clone()], vec![second.clone()], vec![first.clone(), other]]
        {
            let error = store.complete_upload(&upload, &parts, &whole).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{parts:?}");
        }
        let forged = Upload { id: "../..".to_owned(), ..upload.clone() };
        assert!(
            store.complete_upload(&forged, std::slice::from_ref(&first), &whole).await.is_err()
        );
        assert_eq!(store.complete_upload(&upload, &[first, second], &whole).await.unwrap().size, 6);
    }
}
