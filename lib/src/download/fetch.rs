//! One range of one object, fetched until it is there.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Semaphore;

use super::list::Item;
use super::look::explain;
use super::pool::Buffer;
use crate::manifest::Invalid;
use crate::retry::Policy;
use crate::store::{Error, ErrorKind, Get, Shared};

/// What all fetches share.
#[derive(Debug)]
pub(super) struct Line {
    store: Shared,
    /// How many answers may be on their way.
    flights: Semaphore,
    policy: Policy,
    again: AtomicU64,
    copied: AtomicBool,
}

impl Line {
    /// At most `concurrency` answers at a time.
    pub(super) fn new(store: Shared, concurrency: usize) -> Self {
        // The store waits for a line that is down; here, attempts are counted.
        let mut policy = Policy::new(Duration::ZERO);
        if cfg!(test) {
            policy.first_wait = Duration::ZERO;
        }
        let (again, copied) = Default::default();
        Self { store, flights: Semaphore::new(concurrency), policy, again, copied }
    }

    /// How many ranges were fetched again so far.
    pub(super) fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Counts `ranges` that are fetched again, and waits before that; `false`
    /// after the last of [`Policy::attempts`].
    pub(super) async fn wait(&self, failures: u32, ranges: u64) -> bool {
        if failures >= self.policy.attempts {
            return false;
        }
        self.again.fetch_add(ranges, Ordering::Relaxed);
        tokio::time::sleep(self.policy.wait(failures)).await;
        true
    }
}

/// An object whose ranges are on their way.
#[derive(Debug)]
pub(super) struct Object {
    /// What its record says.
    pub(super) item: Item,
    /// How messages name it.
    pub(super) url: String,
    /// The ETag of the first answer: all others must show the same.
    etag: OnceLock<String>,
}

impl Object {
    pub(super) fn new(item: Item, line: &Line) -> Arc<Self> {
        let url = line.store.locate(item.key.as_str());
        Arc::new(Self { item, url, etag: OnceLock::new() })
    }

    /// Whether this is still the object that the first answer was of.
    fn same(&self, get: &Get, line: &Line) -> Result<(), Invalid> {
        let first = self.etag.get_or_init(|| get.etag.clone());
        if *first != get.etag || get.size != self.item.size {
            return Err(Invalid::new(&self.url, "", "it changed while it was being fetched"));
        }
        // A copy of an archive has other ETags, and the same digests.
        if let Some(recorded) = self.item.etag.as_ref().filter(|recorded| *recorded != first)
            && !line.copied.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "{}: its ETag is {first}, and {recorded} was recorded: it was copied or replaced \
                 since; the digests decide (said once, of the first such object)",
                self.url
            );
        }
        Ok(())
    }
}

/// A range of an object, and where its bytes go.
#[derive(Debug)]
pub(super) struct Fetch<'a> {
    pub(super) line: &'a Line,
    pub(super) object: &'a Object,
    pub(super) range: Range<u64>,
}

/// Why an attempt ended without all of the range.
enum Stopped {
    /// It may go better the next time.
    Broken(Error),
    /// It will not.
    Final(anyhow::Error),
}

impl Fetch<'_> {
    /// Fills the empty `buffer`. An answer that breaks off is asked for again
    /// from where it stopped.
    ///
    /// # Errors
    /// [`Invalid`] when the object changed; that of the last attempt when
    /// [`Policy::attempts`] in a row brought not one byte.
    pub(super) async fn fill(&self, buffer: &mut Buffer) -> anyhow::Result<()> {
        // Nobody closes the semaphore.
        let _flight = self.line.flights.acquire().await?;
        let mut failures = 0;
        loop {
            let before = buffer.filled();
            let error = match self.attempt(buffer).await {
                Ok(()) => return Ok(()),
                Err(Stopped::Final(error)) => return Err(error),
                Err(Stopped::Broken(error)) => error,
            };
            if error.kind == ErrorKind::BadAnswer {
                // What came with it is not to be relied upon.
                buffer.truncate(before);
            }
            failures = if buffer.filled() > before { 1 } else { failures + 1 };
            log::warn!("{error}");
            if !self.line.wait(failures, 1).await {
                return Err(Error { attempts: failures, ..error }.into());
            }
        }
    }

    async fn attempt(&self, buffer: &mut Buffer) -> Result<(), Stopped> {
        let Range { start, end } = self.range;
        let from = start + buffer.filled() as u64;
        let get = self.line.store.get(&self.object.item.key, Some(from..end)).await;
        let mut get = get.map_err(|error| match error.kind {
            ErrorKind::BadAnswer => Stopped::Broken(error),
            _ => Stopped::Final(explain(error, &self.object.url)),
        })?;
        self.object.same(&get, self.line).map_err(|error| Stopped::Final(error.into()))?;
        let wanted = (end - start) as usize;
        while buffer.filled() < wanted
            && let Some(piece) = get.body.next().await
        {
            if !buffer.push(&piece.map_err(|error| self.broken(error.kind, error.cause))?) {
                let cause = "more bytes came than were asked for";
                return Err(self.broken(ErrorKind::BadAnswer, cause));
            }
        }
        match end - start - buffer.filled() as u64 {
            0 => Ok(()),
            left => {
                let cause = format!("the answer ended {left} bytes early");
                Err(self.broken(ErrorKind::Unavailable, cause))
            }
        }
    }

    fn broken(&self, kind: ErrorKind, cause: impl Into<String>) -> Stopped {
        let Range { start, end } = self.range;
        let action = format!("download bytes {start} to {} of", end - 1);
        Stopped::Broken(Error::new(kind, action, &self.object.url, cause))
    }
}
