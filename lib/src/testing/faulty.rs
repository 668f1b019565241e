//! A store that hands everything on to a real one, and fails when it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::store::{
    Error, ErrorKind, Get, Key, Meta, Page, PartBody, PartDone, PartSeen, PutOptions, Result,
    Shared, Store, Upload, UploadOptions, UploadSeen, Whole,
};

/// Whether a call that fails had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The request never arrived.
    Before,
    /// The answer was lost.
    After,
}

type Twist = Box<dyn Fn(u32, Result<Get>) -> Result<Get> + Send + Sync>;

/// Hands calls on to `inner`. Every head, get and put is one call.
pub(crate) struct Faulty {
    inner: Shared,
    calls: AtomicU32,
    gets: AtomicU32,
    fail: Option<(u32, When)>,
    twist: Option<Twist>,
    frozen: Option<Key>,
    blind: bool,
}

impl Faulty {
    /// Fails the call with this number, counted from 0.
    pub(crate) fn failing(inner: Shared, call: u32, when: When) -> Self {
        Self { fail: Some((call, when)), ..Self::sound(inner) }
    }

    /// Changes the answer of each get; `twist` is told its number, from 0.
    pub(crate) fn twisting(
        inner: Shared,
        twist: impl Fn(u32, Result<Get>) -> Result<Get> + Send + Sync + 'static,
    ) -> Self {
        let twist: Twist = Box::new(twist);
        Self { twist: Some(twist), ..Self::sound(inner) }
    }

    /// Shows one object as archived and not thawed.
    pub(crate) fn freezing(inner: Shared, key: &str) -> Self {
        Self { frozen: Some(key.parse().unwrap()), ..Self::sound(inner) }
    }

    /// Cannot tell which uploads are unfinished, as some servers.
    pub(crate) fn blind(inner: Shared) -> Self {
        Self { blind: true, ..Self::sound(inner) }
    }

    fn sound(inner: Shared) -> Self {
        let (calls, gets) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { inner, calls, gets, fail: None, twist: None, frozen: None, blind: false }
    }

    async fn call<T>(&self, key: &Key, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let when = self.fail.filter(|(fail, _)| *fail == number).map(|(_, when)| when);
        if when != Some(When::Before) {
            let answer = call.await;
            if when.is_none() {
                return answer;
            }
        }
        let object = self.inner.locate(key.as_str());
        Err(Error::new(ErrorKind::Unavailable, "reach", object, "the line is down"))
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("fail", &self.fail).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Faulty {
    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }

    async fn conditional(&self) -> Result<bool> {
        self.inner.conditional().await
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let mut meta = self.call(key, self.inner.head(key)).await?;
        if let Some(meta) = meta.as_mut().filter(|_| self.frozen.as_ref() == Some(key)) {
            meta.storage_class = "DEEP_ARCHIVE".into();
        }
        Ok(meta)
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get> {
        if self.frozen.as_ref() == Some(key) {
            let (url, cause) = (self.locate(key.as_str()), "InvalidObjectState");
            return Err(Error::new(ErrorKind::Archived, "read", url, cause));
        }
        let answer = self.call(key, self.inner.get(key, range)).await;
        let number = self.gets.fetch_add(1, Ordering::SeqCst);
        match &self.twist {
            Some(twist) => twist(number, answer),
            None => answer,
        }
    }

    async fn put(&self, key: &Key, body: Bytes, options: &PutOptions) -> Result<Meta> {
        self.call(key, self.inner.put(key, body, options)).await
    }

    async fn list(&self, prefix: &str, fold: bool, after: Option<&str>) -> Result<Page> {
        self.inner.list(prefix, fold, after).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(key).await
    }

    async fn create_upload(&self, key: &Key, options: &UploadOptions) -> Result<Upload> {
        self.inner.create_upload(key, options).await
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: PartBody) -> Result<PartDone> {
        self.inner.put_part(upload, number, body).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta> {
        self.inner.complete_upload(upload, parts, whole).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.inner.abort_upload(upload).await
    }

    async fn list_parts(&self, upload: &Upload) -> Result<Vec<PartSeen>> {
        self.inner.list_parts(upload).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<UploadSeen>> {
        if self.blind {
            let (url, cause) = (self.locate(prefix), "NotImplemented");
            return Err(Error::new(ErrorKind::Unsupported, "list the uploads in", url, cause));
        }
        self.inner.list_uploads(prefix).await
    }
}
