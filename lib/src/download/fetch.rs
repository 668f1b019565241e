//! One object's bytes, in order, over as many connections as it takes.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::list::Item;
use super::look::explain;
use crate::manifest::Invalid;
use crate::store::{Error, ErrorKind, Result as StoreResult, Store};

/// How often in a row an answer may break off without a single byte.
const ATTEMPTS: u32 = 5;

/// The wait before the second of these attempts; it doubles with each.
const FIRST_WAIT: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(1) };

/// An object on its way.
pub(super) struct Fetch<'a> {
    store: &'a dyn Store,
    item: &'a Item,
    /// The ETag of the first answer: later ones must show the same.
    etag: Option<String>,
    offset: u64,
    body: Option<BoxStream<'static, StoreResult<Bytes>>>,
    failures: u32,
}

impl<'a> Fetch<'a> {
    /// Asks for nothing yet.
    pub(super) fn new(store: &'a dyn Store, item: &'a Item) -> Self {
        Self { store, item, etag: None, offset: 0, body: None, failures: 0 }
    }

    /// The next bytes, or `None` when all have come.
    ///
    /// # Errors
    /// [`Invalid`] when the object changed or sends more than its size; that of
    /// the store when no more bytes come.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        while self.offset < self.item.size {
            let mut body = match self.body.take() {
                Some(body) => body,
                None => self.open().await?,
            };
            match body.next().await {
                Some(Ok(piece)) if piece.is_empty() => self.body = Some(body),
                Some(Ok(piece)) => {
                    self.body = Some(body);
                    return self.accept(piece).map(Some);
                }
                Some(Err(error)) => self.broken(error).await?,
                None => self.broken(self.short()).await?,
            }
        }
        Ok(None)
    }

    async fn open(&mut self) -> anyhow::Result<BoxStream<'static, StoreResult<Bytes>>> {
        let range = (self.offset > 0).then_some(self.offset..self.item.size);
        let url = self.url();
        let get = self.store.get(&self.item.key, range).await;
        let get = get.map_err(|error| explain(error, &url))?;
        let same = self.etag.as_ref().is_none_or(|etag| *etag == get.etag);
        if !same || get.size != self.item.size {
            return Err(Invalid::new(url, "", "it changed while it was being fetched").into());
        }
        self.etag = Some(get.etag);
        Ok(get.body)
    }

    fn accept(&mut self, piece: Bytes) -> anyhow::Result<Bytes> {
        self.offset += piece.len() as u64;
        self.failures = 0;
        if self.offset > self.item.size {
            let what = format!("more bytes came than its {}", self.item.size);
            return Err(Invalid::new(self.url(), "size", what).into());
        }
        Ok(piece)
    }

    /// Waits before the next attempt, or gives up.
    async fn broken(&mut self, error: Error) -> StoreResult<()> {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return Err(Error { attempts: self.failures, ..error });
        }
        log::warn!("{error}; asking again from byte {}", self.offset);
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(self.failures - 1)).await;
        Ok(())
    }

    fn short(&self) -> Error {
        let cause = format!("the answer ended after {} of {} bytes", self.offset, self.item.size);
        Error::new(ErrorKind::Unavailable, "read", self.url(), cause)
    }

    fn url(&self) -> String {
        self.store.locate(self.item.key.as_str())
    }
}
