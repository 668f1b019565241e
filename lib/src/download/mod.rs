//! Brings the bytes of backups back, in order and checked.
//!
//! Promises that nothing unchecked leaves as a whole: the list of objects is read
//! to its `end` and added up, every object is looked for, before the first byte
//! is asked for; the last MiB of each object is withheld until its digest and
//! size match, so that whoever reads the output never sees the end of a wrong
//! one. Memory does not depend on the objects' sizes.
//!
//! An answer that breaks off is asked for again from where it stopped, while the
//! object stays the same. Which objects make up a backup, and whether they may
//! be trusted, is for [`crate::chain`].

mod fetch;
mod gate;
mod list;
mod look;

pub use list::{Item, Wanted, read};

use std::io::{BufRead, Write};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::record::Reader;
use crate::store::Archive;

/// How many pieces may wait between the network and the output. A piece is what
/// came from a socket or a file at once: at most about 1 MiB.
const WAITING: usize = 4;

/// What was brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// The number of objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reads the records of backups from `input` and writes their bytes to `out`,
/// which is flushed.
///
/// # Errors
/// Those of [`read`] and [`download`].
pub async fn download_records<R, W>(archive: &Archive, input: R, out: W) -> anyhow::Result<Got>
where
    R: BufRead,
    W: Write + Send + 'static,
{
    let wanted = read(&mut Reader::new(input, "stdin"))?;
    let start = Instant::now();
    let got = download(archive, wanted, out).await?;
    let seconds = start.elapsed().as_secs_f64();
    log::debug!("got {} objects, {} bytes in {seconds:.1} s", got.objects, got.bytes);
    Ok(got)
}

/// Writes the bytes of `wanted` to `out`.
///
/// # Errors
/// [`crate::exit::Status::Data`] when an object is missing, changes, or is not
/// what its record says; [`crate::exit::Status::TryLater`] when one must be
/// thawed; those of the store; those of `out`, as [`std::io::Error`].
pub async fn download<W>(archive: &Archive, wanted: Wanted, out: W) -> anyhow::Result<Got>
where
    W: Write + Send + 'static,
{
    look::look(archive, &wanted).await?;
    let (pieces, received) = mpsc::channel(WAITING);
    let (items, store) = (wanted.items.clone(), archive.store.clone());
    let mut writer =
        tokio::task::spawn_blocking(move || gate::write(received, &items, &*store, out));
    tokio::select! {
        biased;
        written = &mut writer => ended(written),
        fetched = fetch_all(archive, &wanted, pieces) => finish(fetched, writer).await,
    }
}

/// Fetches everything into the channel, which closes when this returns. A writer
/// that is gone says itself why.
async fn fetch_all(
    archive: &Archive,
    wanted: &Wanted,
    pieces: mpsc::Sender<Bytes>,
) -> anyhow::Result<()> {
    for item in &wanted.items {
        let mut object = fetch::Fetch::new(&*archive.store, item);
        while let Some(piece) = object.next().await? {
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Waits for the writer. When both sides failed, the fetch did so first: a
/// writer that failed first is reported before the fetch ends.
async fn finish(
    fetched: anyhow::Result<()>,
    writer: JoinHandle<anyhow::Result<Got>>,
) -> anyhow::Result<Got> {
    let written = writer.await;
    fetched?;
    ended(written)
}

/// What the writer gave back; a panic in it is passed on.
fn ended(written: Result<anyhow::Result<Got>, tokio::task::JoinError>) -> anyhow::Result<Got> {
    match written {
        Ok(got) => got,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(anyhow::Error::new(error).context("writing was cancelled")),
        },
    }
}

#[cfg(test)]
mod tests;
