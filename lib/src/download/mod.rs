//! Brings the bytes of backups back, in order and checked.
//!
//! Promises that nothing unchecked leaves as a whole: the list of objects is read
//! to its `end` and added up, every object is looked for, before the first byte
//! is asked for. Where the archive has digests of parts, no byte leaves before
//! its part was checked; elsewhere the last MiB of each object is withheld until
//! its digest and size match, so that whoever reads the output never sees the end
//! of a wrong one.
//!
//! Ranges come over several connections at a time, into a fixed number of
//! buffers: a reader that is slow makes the network wait, and memory does not
//! depend on the objects' sizes ([`Options::memory`]). An answer that breaks off
//! is asked for again from where it stopped, a part that is wrong from its start.
//!
//! Which objects make up a backup, and whether they may be trusted, is for
//! [`crate::chain`].

mod block;
mod fetch;
mod gate;
mod list;
mod look;
mod parts;
mod pool;

pub use list::{Item, Sheet, Wanted, read};
pub use parts::Parts;

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use self::block::{Block, RANGE_MAX, ranges_in};
use self::fetch::{Fetch, Line, Object};
use self::pool::Pool;
use crate::store::Archive;

/// Buffers beyond those that are being filled: what is checked, and what is
/// written.
const SPARE: u64 = 2;

/// How to download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many ranges are fetched at a time; at least 1.
    pub concurrency: usize,
    /// What is checked.
    pub check: Check,
}

/// What is checked where an archive has digests of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// Each part, before it is written
    #[default]
    Part,
    /// The digest of each chunk, too
    Chunk,
}

impl Options {
    /// How many bytes wait in buffers at most, where parts have `part_size`
    /// bytes: enough for one part, for what is on its way, and a little more.
    pub fn memory(&self, part_size: u64) -> u64 {
        (ranges_in(part_size.max(1)) + self.concurrency as u64 + SPARE) * RANGE_MAX
    }

    fn buffers(&self, wanted: &Wanted) -> usize {
        let longest = |item: &Item| match &item.parts {
            Some(parts) => parts.part_size.min(item.size),
            None => 1,
        };
        let part_size = wanted.items.iter().map(longest).max().unwrap_or(1);
        usize::try_from(self.memory(part_size) / RANGE_MAX).unwrap_or(usize::MAX)
    }
}

/// What was brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// The number of objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many ranges were fetched again.
    pub again: u64,
}

/// Writes the bytes of `wanted` to `out`.
///
/// # Errors
/// [`crate::exit::Status::Data`] when an object is missing, changes, or is not
/// what its record says; [`crate::exit::Status::TryLater`] when one must be
/// thawed; those of the store; those of `out`, as [`std::io::Error`].
pub async fn download<W>(
    archive: &Archive,
    wanted: Wanted,
    options: &Options,
    out: W,
) -> anyhow::Result<Got>
where
    W: Write + Send + 'static,
{
    let start = Instant::now();
    let got = bring(archive, wanted, options, out).await?;
    let (Got { objects, bytes, again }, seconds) = (got, start.elapsed().as_secs_f64());
    log::info!(
        "got {objects} objects, {bytes} bytes in {seconds:.1} s; {again} ranges were fetched again"
    );
    Ok(got)
}

/// Looks at everything, then brings it.
async fn bring<W>(
    archive: &Archive,
    mut wanted: Wanted,
    options: &Options,
    out: W,
) -> anyhow::Result<Got>
where
    W: Write + Send + 'static,
{
    parts::load(archive, &mut wanted, options).await?;
    look::look(archive, &wanted).await?;
    let pool = Pool::new(options.buffers(&wanted));
    let line = Arc::new(Line::new(archive.store.clone(), options.concurrency));
    let (blocks, received) = mpsc::unbounded_channel();
    let (items, store, check) = (wanted.items.clone(), archive.store.clone(), options.check);
    let writing = move || gate::write(received, &items, check, &*store, out);
    let mut writer = tokio::task::spawn_blocking(writing);
    let got = tokio::select! {
        biased;
        written = &mut writer => ended(written),
        fetched = fetch_all(&line, wanted, &pool, blocks) => match fetched {
            Ok(()) => ended(writer.await),
            Err(error) => Err(error),
        },
    };
    Ok(Got { again: line.again(), ..got? })
}

type Blocks = mpsc::UnboundedSender<oneshot::Receiver<anyhow::Result<Vec<bytes::Bytes>>>>;

/// Sets out for all blocks, in order, as far as there are buffers, and announces
/// each to the writer: what fails is in the block, and the writer's to report.
///
/// # Errors
/// When a task of its own was cancelled.
async fn fetch_all(
    line: &Arc<Line>,
    wanted: Wanted,
    pool: &Pool,
    blocks: Blocks,
) -> anyhow::Result<()> {
    // They end with this function, whatever ends it.
    let mut tasks = JoinSet::new();
    for item in wanted.items {
        let object = Object::new(item, line);
        for block in Block::all(&object) {
            let mut coming = Vec::new();
            for range in block.ranges() {
                coming.push(set_out(&mut tasks, line, &object, range, pool).await);
            }
            let (done, announced) = oneshot::channel();
            let line = Arc::clone(line);
            // Whoever does not wait any more says why.
            tasks.spawn(async move { drop(done.send(block.whole(&line, coming).await)) });
            if blocks.send(announced).is_err() {
                return Ok(());
            }
            while let Some(task) = tasks.try_join_next() {
                ended(task.map(Ok))?;
            }
        }
    }
    drop(blocks);
    while let Some(task) = tasks.join_next().await {
        ended(task.map(Ok))?;
    }
    Ok(())
}

/// Begins to fetch a range as soon as there is a buffer for it.
async fn set_out(
    tasks: &mut JoinSet<()>,
    line: &Arc<Line>,
    object: &Arc<Object>,
    range: std::ops::Range<u64>,
    pool: &Pool,
) -> oneshot::Receiver<anyhow::Result<pool::Buffer>> {
    // At most RANGE_MAX, so it fits a usize.
    let mut buffer = pool.take((range.end - range.start) as usize).await;
    let (line, object) = (Arc::clone(line), Arc::clone(object));
    let (done, coming) = oneshot::channel();
    tasks.spawn(async move {
        let fetch = Fetch { line: &line, object: &object, range };
        let fetched = fetch.fill(&mut buffer).await;
        drop(done.send(fetched.map(|()| buffer)));
    });
    coming
}

/// What a task gave back; a panic in it is passed on.
fn ended<T>(task: Result<anyhow::Result<T>, JoinError>) -> anyhow::Result<T> {
    match task {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(anyhow::Error::new(error).context("the download was cancelled")),
        },
    }
}

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;
