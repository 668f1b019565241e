//! Publishes a backup: from the records of an upload to the moved pointer.
//!
//! Promises the order that makes a crash harmless: nothing is written before the
//! records prove whole; then come the part digests, a look at every chunk of the
//! whole chain, `RESTORE.txt`, the manifest, and the pointer last. Wherever this stops,
//! `current.json` names a backup that restores, and the same records can be
//! published again: what is there with our exact bytes counts as done, what is
//! there with other bytes is never replaced. The records come from the upload
//! itself or, after a crash, from the journal of its run.
//!
//! That the bytes are right was proved by whoever made the records; here they
//! are held against what the store says.

mod build;
mod finished;
mod noted;
mod verify;
mod write;

pub use build::manifest_key;
pub use finished::{Finished, read};
pub use noted::publish_noted;

use std::io::{BufRead, Write};

use anyhow::Context;

use crate::chain::{self, Pointed};
use crate::exit::{Failure, Status};
use crate::intent;
use crate::names::Kind;
use crate::record::{Current, ListEnd, Reader, Run, Writer};
use crate::store::{Archive, Condition, Key};
use crate::time::Time;

/// Publishes the backup whose records come on `input`, and writes its `current`
/// record and `end` to `out`.
///
/// # Errors
/// Those of [`read`], of [`publish`] and of `out`.
pub async fn publish_records<R: BufRead, W: Write>(
    archive: &Archive,
    input: R,
    storage_class: &str,
    out: W,
) -> anyhow::Result<()> {
    let finished = read(&mut Reader::new(input, "stdin"))?;
    print(&publish(archive, &finished, storage_class).await?, out)
}

fn print(current: &Current, out: impl Write) -> anyhow::Result<()> {
    let mut out = Writer::new(out);
    out.write(current)
        .and_then(|()| out.write(&ListEnd { backups: 1 }))
        .and_then(|()| out.flush())
        .context("writing to stdout")
}

/// Publishes the backup that an upload made; `storage_class` is that of the
/// manifest and its kin. Gives back the backup that is current now.
///
/// # Errors
/// [`Status::Data`] when the records, a parent or a chunk contradict what the
/// store holds; [`Status::TryLater`] when a chunk is gone or another backup was
/// published since this one was planned; those of the store. None of them moves
/// the pointer.
pub async fn publish(
    archive: &Archive,
    finished: &Finished,
    storage_class: &str,
) -> anyhow::Result<Current> {
    let write = write::Exactly { archive, storage_class };
    let manifest_key = manifest_key(&archive.url, &finished.run.backup)?;
    let before = chain::pointer(archive, &finished.run.backup.subvolume).await?;
    let published = before.as_ref().is_some_and(|before| before.key == manifest_key);
    if !published {
        parent_is_current(archive, &finished.run, before.as_ref())?;
        not_overtaken(archive, &finished.run, before.as_ref())?;
        // What was stored weeks ago must not be cleared away from here on.
        intent::renew(archive, &finished.run, storage_class).await?;
    }

    let class = verify::chunks(archive, finished).await?;
    let parts = build::parts(archive, finished)?;
    // An attempt that was given up before its manifest may have left others.
    let free = archive.store.head(&manifest_key).await?.is_none();
    if let Some(parts) = &parts {
        write.create_or_replace(&parts.key, parts.bytes.clone(), free).await?;
    }
    let made = build::manifest(archive, finished, parts.as_ref(), class)?;
    let chain = chain::walk(archive, made.link.clone()).await?.whole(archive)?;
    let current = chain::summary(archive, &chain).await?;
    nothing_missing(&current)?;
    let (key, text) = build::instructions(archive, finished, &chain)?;
    write.write_for_people(&key, text, free).await?;

    write.create(&manifest_key, made.manifest, "application/json").await?;
    if !published {
        let key = chain::pointer_key(archive, &current.subvolume)?;
        write.point(&key, made.pointer, condition(before)).await?;
    }
    intent::remove(archive, &finished.run.backup).await;
    Ok(current)
}

/// An incremental goes on from the current backup and from no other: two that
/// share a parent would leave one of them out of every later chain.
fn parent_is_current(
    archive: &Archive,
    run: &Run,
    before: Option<&Pointed>,
) -> Result<(), Failure> {
    let named = before.map(|before| before.key.as_str());
    if run.kind == Kind::Full || named == run.parent_manifest.as_deref() {
        return Ok(());
    }
    let locate = |key: Option<&str>| key.map_or("none".to_owned(), |key| archive.store.locate(key));
    Err(Failure::new(
        Status::TryLater,
        format!(
            "the current backup of {} is {}, and {} was made from {}: nothing was published; \
             run the backup again, it starts from what is current",
            run.backup.subvolume,
            locate(named),
            run.backup,
            locate(run.parent_manifest.as_deref()),
        ),
    ))
}

/// Whether the backup of `run` may take the place of the current one: of the one
/// that was current when it was planned, whatever a clock said; otherwise of an
/// older one only, because moving the pointer back would hide what came after.
pub fn may_replace(run: &Run, current: &str, created_at: Time) -> bool {
    run.replaces.as_deref() == Some(current) || created_at < run.created_at
}

fn not_overtaken(archive: &Archive, run: &Run, before: Option<&Pointed>) -> Result<(), Failure> {
    let overtakes = |before: &&Pointed| {
        let (key, created_at) = (before.key.as_str(), before.pointer.created_at);
        run.kind == Kind::Full && !may_replace(run, key, created_at)
    };
    let Some(newer) = before.filter(overtakes) else { return Ok(()) };
    Err(Failure::new(
        Status::TryLater,
        format!(
            "the current backup of {} is {} of {}, and {} of {} is no newer: the pointer stays; run \
             the backup again, it starts from what is current",
            run.backup.subvolume,
            archive.store.locate(newer.key.as_str()),
            newer.pointer.created_at,
            run.backup,
            run.created_at,
        ),
    ))
}

fn nothing_missing(current: &Current) -> Result<(), Failure> {
    let Some(first) = current.chain.missing.first() else { return Ok(()) };
    let count = current.chain.missing.len();
    Err(Failure::data(format!(
        "{count} objects of the chain of {} are missing or have another size, {first} the first: \
         nothing was published, because it could not be restored; the next backup must be a full",
        current.manifest_key
    )))
}

fn condition(before: Option<Pointed>) -> Condition {
    before.map_or(Condition::IfAbsent, |before| Condition::IfMatch(before.etag))
}

/// A key below the archive's prefix.
fn key_of(archive: &Archive, relative: impl std::fmt::Display) -> Result<Key, Failure> {
    archive.key(relative).map_err(|bad| Failure::config(bad.to_string()))
}

#[cfg(test)]
mod tests;
