//! A store that hands everything on to a real one, and fails when it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Barrier, Semaphore};

use super::Thaws;
use crate::store::{
    Error, ErrorKind, Get, Key, Meta, Page, PartBody, PartDone, PartSeen, PutOptions, Result,
    Shared, Store, ThawRequest, Upload, UploadOptions, UploadSeen, Whole,
};

/// Whether a call that fails had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The request never arrived.
    Before,
    /// The answer was lost.
    After,
}

/// What happens when an upload is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// It is done, and the answer is lost; a second request is told so.
    AnswerLost,
    /// The parts have been eaten.
    PartsEaten,
}

type Twist = Box<dyn Fn(u32, Result<Get>) -> Result<Get> + Send + Sync>;

/// Hands calls on to `inner`. Every head, get, put and delete is one call.
pub(crate) struct Faulty {
    inner: Shared,
    calls: AtomicU32,
    gets: AtomicU32,
    fail: Option<(u32, When)>,
    twist: Option<Twist>,
    thaws: Option<Arc<Thaws>>,
    parts: AtomicU32,
    parts_max: u32,
    completions: Mutex<Vec<Completion>>,
    gate: Option<Arc<Semaphore>>,
    meet: Option<(Key, Arc<Barrier>)>,
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
        Self::thawing(inner, Arc::new(Thaws::never(key.parse().unwrap())))
    }

    /// Shows objects as archived, by script.
    pub(crate) fn thawing(inner: Shared, thaws: Arc<Thaws>) -> Self {
        Self { thaws: Some(thaws), ..Self::sound(inner) }
    }

    /// Takes this many parts, and is down then.
    pub(crate) fn taking_parts(inner: Shared, parts_max: u32) -> Self {
        Self { parts_max, ..Self::sound(inner) }
    }

    /// Treats the first completions like this.
    pub(crate) fn completing(inner: Shared, completions: &[Completion]) -> Self {
        let completions = Mutex::new(completions.iter().rev().copied().collect());
        Self { completions, ..Self::sound(inner) }
    }

    /// Lets a part in for each permit of `gate`.
    pub(crate) fn gated(inner: Shared, gate: Arc<Semaphore>) -> Self {
        Self { gate: Some(gate), ..Self::sound(inner) }
    }

    /// After reading one object, waits until all who share the barrier have.
    pub(crate) fn meeting(inner: Shared, key: &str, barrier: Arc<Barrier>) -> Self {
        Self { meet: Some((key.parse().unwrap(), barrier)), ..Self::sound(inner) }
    }

    /// Cannot tell which uploads are unfinished, as some servers.
    pub(crate) fn blind(inner: Shared) -> Self {
        Self { blind: true, ..Self::sound(inner) }
    }

    /// Fails nothing.
    pub(crate) fn sound(inner: Shared) -> Self {
        let (calls, gets, parts) = Default::default();
        let (fail, twist, thaws, completions, gate, meet, blind) = Default::default();
        let parts_max = u32::MAX;
        Self {
            inner,
            calls,
            gets,
            fail,
            twist,
            thaws,
            parts,
            parts_max,
            completions,
            gate,
            meet,
            blind,
        }
    }

    /// How many parts came.
    pub(crate) fn parts(&self) -> u32 {
        self.parts.load(Ordering::SeqCst)
    }

    fn down(&self, key: &Key) -> Error {
        let object = self.inner.locate(key.as_str());
        Error::new(ErrorKind::Unavailable, "reach", object, "the line is down")
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
        Err(self.down(key))
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
        if let (Some(thaws), Some(meta)) = (&self.thaws, &mut meta) {
            thaws.head(key, meta);
        }
        Ok(meta)
    }

    async fn thaw(&self, key: &Key, request: &ThawRequest) -> Result<()> {
        match &self.thaws {
            Some(thaws) => thaws.thaw(key, request),
            None => self.inner.thaw(key, request).await,
        }
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get> {
        if let Some(error) = self.thaws.as_ref().and_then(|thaws| thaws.refuses_get(key)) {
            return Err(error);
        }
        let answer = self.call(key, self.inner.get(key, range)).await;
        // Whoever reads it again has lost, and meets nobody.
        if let Some((_, barrier)) = self.meet.as_ref().filter(|(at, _)| at == key)
            && self.gets.load(Ordering::SeqCst) == 0
        {
            barrier.wait().await;
        }
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
        self.call(key, self.inner.delete(key)).await
    }

    async fn create_upload(&self, key: &Key, options: &UploadOptions) -> Result<Upload> {
        self.inner.create_upload(key, options).await
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: PartBody) -> Result<PartDone> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.parts() == self.parts_max {
            return Err(self.down(&upload.key));
        }
        self.parts.fetch_add(1, Ordering::SeqCst);
        self.inner.put_part(upload, number, body).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta> {
        let completion = self.completions.lock().unwrap().pop();
        match completion {
            Some(Completion::AnswerLost) => {
                self.inner.complete_upload(upload, parts, whole).await?;
            }
            Some(Completion::PartsEaten) => self.inner.abort_upload(upload).await?,
            None => {}
        }
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
