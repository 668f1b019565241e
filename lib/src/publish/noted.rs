//! Publishes from the journal of a run that an earlier attempt stored whole.
//!
//! Promises the same as publishing from the upload's own records, and that a run
//! that can never be published is not tried for ever: the journal notes that.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::{Finished, print, publish, read, verify};
use crate::exit::{Failure, Status};
use crate::journal::{Journal, Past, Stage};
use crate::record::{Abandoned, Attempt, Lost, Reader, Writer};
use crate::store::{self, Archive, Url};
use crate::time::Time;

/// Publishes the run whose journal lies at `path`, and writes its `current`
/// record and `end` to `out`. The journal stays.
///
/// # Errors
/// [`Status::TryLater`] when no run waits to be published or its upload is still
/// at work; [`Status::Config`] when the run belongs to another store; those of
/// [`publish`] and of `out`.
pub async fn publish_noted(
    archive: &Archive,
    path: &Path,
    storage_class: &str,
    out: impl Write,
) -> anyhow::Result<()> {
    let (journal, past) = open(path)?;
    let finished = match finished(&past, &archive.url, path) {
        // What cannot be read today cannot be tomorrow.
        Err(error)
            if past.stage() == Stage::Uploaded && past.run.store == archive.url.to_string() =>
        {
            journal.note(&Abandoned { reason: format!("{error:#}") });
            return Err(error);
        }
        finished => finished?,
    };
    match publish(archive, &finished, storage_class).await {
        Ok(current) => print(&current, out),
        Err(error) => {
            note(archive, &journal, &finished, &error).await;
            Err(error)
        }
    }
}

/// The journal, closed to others, and what is in it.
fn open(path: &Path) -> anyhow::Result<(Journal, Past)> {
    let none = || {
        let what =
            format!("no backup waits to be published: there is no run in {}", path.display());
        Failure::new(Status::TryLater, what)
    };
    // Opening a journal would make one.
    Past::load(path)
        .with_context(|| format!("cannot read the journal {}", path.display()))?
        .ok_or_else(none)?;
    let (journal, past) = Journal::open(path)?;
    Ok((journal, past.ok_or_else(none)?))
}

/// The run as the upload's own records would tell of it.
fn finished(past: &Past, url: &Url, path: &Path) -> anyhow::Result<Finished> {
    let Past { run, objects, .. } = past;
    let refuse = |why: &str| {
        let what = format!("{} cannot be published: {why}; run the backup again", run.backup);
        Failure::new(Status::TryLater, what)
    };
    if run.store != url.to_string() {
        let what = format!("{} is stored in {}, and not in {url}", run.backup, run.store);
        return Err(Failure::config(what).into());
    }
    let end = match (past.stage(), past.end) {
        (Stage::GivenUp(why), _) => return Err(refuse(&format!("it is given up, {why}")).into()),
        (Stage::Unfinished, _) | (_, None) => {
            return Err(refuse("its upload is not finished").into());
        }
        (Stage::Uploaded, Some(end)) => end,
    };
    let mut records = Vec::new();
    let mut writer = Writer::new(&mut records);
    writer.write(run)?;
    objects.values().try_for_each(|object| writer.write(object))?;
    writer.write(&end)?;
    read(&mut Reader::new(&*records, format!("the run in {}", path.display())))
}

/// Notes what the next plan has to know after publishing failed: which chunks
/// are gone, and have to be sent again; that the run cannot be published because
/// one has changed; or else that this was an attempt. An error of the store tells
/// nothing of the run.
async fn note(archive: &Archive, journal: &Journal, finished: &Finished, error: &anyhow::Error) {
    if by_store(error) {
        return;
    }
    // A second look: much may have to be sent again for it.
    match verify::gone(archive, finished).await {
        Err(_) => return,
        Ok(gone) if !gone.is_empty() => {
            for index in gone {
                journal.note(&Lost { index, upload_id: None });
            }
            return;
        }
        Ok(_) => (),
    }
    match verify::chunks(archive, finished).await {
        Err(again) if !by_store(&again) => {
            journal.note(&Abandoned { reason: format!("{again:#}") });
        }
        _ => journal.note(&Attempt { at: Time::now() }),
    }
}

fn by_store(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<store::Error>())
}

#[cfg(test)]
#[path = "noted_tests.rs"]
mod tests;
