//! Finds what dead runs left in an archive, and removes it when it is told to.
//!
//! Promises that nothing is named, let alone removed, that
//!
//! * a manifest reaches, also one that no pointer leads to any more;
//! * a run on this machine can still go on with (its journal), or a run on any
//!   machine that said lately that it is alive ([`crate::intent`]);
//! * is younger than asked for, or whose age the store does not tell: of all that
//!   one run left, the youngest decides;
//! * has a name that neither this program nor the existing one gives.
//!
//! What cannot be understood stops it before anything is removed, because it
//! might be what holds on to the rest.
//!
//! # Others meanwhile
//! Another machine may publish while this one looks. Objects are listed first
//! and manifests are read after: a list comes in ascending order, so a backup
//! whose manifest is not in it was not published when its chunks were listed.
//! Before anything is removed the store is asked again, for the intent and then
//! for the manifest: a run that publishes writes its manifest before it takes its
//! intent back, so that one of the two is always there. A run that was silent for
//! 30 days and comes back between that question and the removal finds a chunk
//! gone when it publishes, and publishes nothing.
//!
//! A crash in the middle leaves fewer orphans and nothing else: what is removed
//! was reached by nothing.

mod alive;
mod owner;
mod reach;
mod remove;
mod search;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::catalog::search::objects;
use crate::record::{Orphan, OrphanKind, OrphansEnd, Writer};
use crate::size::human;
use crate::store::Archive;
use crate::time::Time;
use alive::Alive;
use reach::Reached;
use remove::Remover;
use search::Found;

/// How many calls are on their way to the store at the same time.
const CALLS: usize = 8;

/// What to look for, and what to do with it.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Only what is older than this.
    pub older_than: Duration,
    /// Remove it, rather than only name it.
    pub delete: bool,
    /// The state file: the journals of this machine's runs lie beside it.
    pub state: &'a Path,
}

/// Writes an `orphan` record for each thing that no backup needs, and `end`.
/// With [`Options::delete`] a record is written when its thing is gone.
///
/// # Errors
/// [`crate::exit::Status::Data`] when a manifest or a pointer cannot be understood
/// or leads nowhere; [`crate::exit::Status::Io`] when a journal cannot be read;
/// those of the store, and of `out`.
pub async fn gc<W: Write>(archive: &Archive, options: &Options<'_>, out: W) -> anyhow::Result<()> {
    let mut alive = Alive::on_this_machine(options.state)?;
    let uploads = search::uploads(archive).await?;
    let listed = objects(archive, None).await?;
    alive.add_intents(archive, &listed);
    let reached = Reached::read(archive, &listed).await?;
    let found = search::orphans(archive, &alive, &reached, listed, uploads);
    let found = old_enough(found, options.older_than);

    let mut out = Writer::new(out);
    let mut end = OrphansEnd { deleted: options.delete, ..OrphansEnd::default() };
    let remover = Remover::new(archive, &reached);
    for (owner, mut orphans) in found {
        orphans.sort_by(|a, b| (a.kind, &a.key, &a.upload_id).cmp(&(b.kind, &b.key, &b.upload_id)));
        let gone = if options.delete {
            remover.remove(&owner, orphans).await?
        } else {
            remover.measure(orphans).await
        };
        for orphan in gone {
            count(&mut end, &orphan);
            out.write(&orphan).context("writing to stdout")?;
        }
        out.flush().context("writing to stdout")?;
    }
    out.write(&end).and_then(|()| out.flush()).context("writing to stdout")?;
    sum_up(&end);
    Ok(())
}

/// The orphans of those owners whose youngest is older than `age`.
fn old_enough(found: Found, age: Duration) -> Found {
    let old =
        |orphan: &Orphan| orphan.modified.or(orphan.begun).is_some_and(|time| is_older(time, age));
    found.into_iter().filter(|(_, orphans)| orphans.iter().all(old)).collect()
}

/// Whether `time` is at least `age` ago. The store's clock made it, and ours is
/// asked: S3 answers nobody whose clock is off by more than 15 minutes.
fn is_older(time: Time, age: Duration) -> bool {
    let past = Time::now().timestamp().duration_since(time.timestamp());
    Duration::try_from(past).is_ok_and(|past| past >= age)
}

fn count(end: &mut OrphansEnd, orphan: &Orphan) {
    match orphan.kind {
        OrphanKind::Upload => end.uploads += 1,
        OrphanKind::Object => end.objects += 1,
    }
    end.size = end.size.saturating_add(orphan.size.unwrap_or(0));
}

fn sum_up(end: &OrphansEnd) {
    let OrphansEnd { uploads, objects, size, deleted } = end;
    let many =
        |count: &u64, word: &str| format!("{count} {word}{}", if *count == 1 { "" } else { "s" });
    let what = format!(
        "{} and {} that no backup needs, {} bytes ({})",
        many(uploads, "unfinished upload"),
        many(objects, "object"),
        size,
        human(*size)
    );
    match (deleted, uploads + objects) {
        (_, 0) => log::info!("nothing lies in the archive that no backup needs"),
        (true, _) => log::info!("removed {what}"),
        (false, _) => log::info!("found {what}; give --delete to remove them"),
    }
}
