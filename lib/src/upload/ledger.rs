//! What earlier attempts of a run stored, and the notes of this one.
//!
//! The journal claims; nothing of it is believed here before the store was asked
//! ([`super::begin`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::exit::{Failure, Status};
use crate::intent;
use crate::journal::{Begun, Journal, Past, Stage};
use crate::record::{Abandoned, Attempt, Checksum, Object, Run, Typed};
use crate::store::{Archive, Upload};
use crate::time::Time;

/// What the journal knows of a chunk.
#[derive(Debug)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// That it was begun.
    Begun(Begun),
    /// That it is complete.
    Object(Object),
}

/// The journal of a run, where one is kept.
#[derive(Debug, Default)]
pub struct Ledger {
    journal: Option<Arc<Journal>>,
    chunks: Mutex<Chunks>,
    attempted: AtomicBool,
}

#[derive(Debug, Default)]
struct Chunks {
    begun: BTreeMap<u64, Begun>,
    objects: BTreeMap<u64, Object>,
}

impl Ledger {
    /// Opens the journal at `path`. Where it is that of `run`, the run is gone on
    /// with, under the id that it began with; otherwise it is begun, and a run
    /// that the journal held before is given up. `resuming` says that the plan
    /// asks to go on.
    ///
    /// # Errors
    /// Those of [`Journal::open`] and [`Journal::begin`]; [`Status::TryLater`] when
    /// the run that the plan goes on with is not there, or is another one by now;
    /// [`Status::Usage`] when the run was given up.
    pub async fn open(
        archive: &Archive,
        path: Option<&Path>,
        run: &mut Run,
        resuming: bool,
    ) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let (journal, past) = Journal::open(path)?;
        let same = past.as_ref().is_some_and(|past| is_same(&past.run, run));
        match past {
            Some(past) if same => {
                abort_unknown(archive, &past).await;
                Self::go_on(journal, past, run)
            }
            past if resuming => Err(other_than_planned(archive, &journal, past, run).await),
            past => {
                if let Some(past) = past {
                    replace(archive, past).await;
                }
                // Which notes the first attempt.
                journal.begin(run)?;
                let attempted = AtomicBool::new(true);
                Ok(Self { journal: Some(Arc::new(journal)), attempted, ..Self::default() })
            }
        }
    }

    fn go_on(journal: Journal, past: Past, run: &mut Run) -> Result<Self, Failure> {
        if let Stage::GivenUp(reason) = past.stage() {
            return Err(Failure::usage(format!(
                "the upload of {} was given up ({reason}): give the backup another id",
                run.backup
            )));
        }
        let parts: usize = past.begun.values().map(|begun| begun.parts.len()).sum();
        log::info!(
            "going on with the upload of {}: {} chunks and {parts} more parts are stored",
            run.backup,
            past.objects.len()
        );
        *run = past.run;
        let chunks = Chunks { begun: past.begun, objects: past.objects };
        let chunks = Mutex::new(chunks);
        Ok(Self { journal: Some(Arc::new(journal)), chunks, ..Self::default() })
    }

    /// Whether a later attempt can go on from here.
    pub fn is_kept(&self) -> bool {
        self.journal.is_some()
    }

    /// What is known of a chunk; told once.
    pub fn take(&self, index: u64) -> Known {
        let mut chunks = self.chunks();
        match (chunks.begun.remove(&index), chunks.objects.remove(&index)) {
            (_, Some(object)) => Known::Object(object),
            (Some(begun), None) => Known::Begun(begun),
            (None, None) => Known::Nothing,
        }
    }

    /// Notes what happened.
    pub async fn note<T: Serialize + Typed + Send + 'static>(&self, record: T) {
        let Some(journal) = self.journal.clone() else { return };
        // It fails only where the whole program is about to end.
        let _ = tokio::task::spawn_blocking(move || journal.note(&record)).await;
    }

    /// Aborts the uploads that nobody asked about: chunks beyond the end of a
    /// stream that became shorter.
    pub async fn abort_the_rest(&self, archive: &Archive) {
        let rest = std::mem::take(&mut self.chunks().begun);
        abort_all(archive, rest).await;
    }

    /// Notes that this attempt is about to store something, or fails without. Who
    /// is ended before that, while everything is read again, did not try.
    pub async fn attempted(&self) {
        if !self.attempted.swap(true, Ordering::SeqCst) {
            self.note(Attempt { at: Time::now() }).await;
        }
    }

    /// Notes that no later attempt can go on with the run.
    pub async fn give_up(&self, reason: String) {
        self.note(Abandoned { reason }).await;
    }

    fn chunks(&self) -> std::sync::MutexGuard<'_, Chunks> {
        // Nothing that holds it can leave it half changed.
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Aborts the uploads of a run that its journal does not know: their beginning
/// was not noted any more when an earlier attempt died.
async fn abort_unknown(archive: &Archive, past: &Past) {
    let folder = format!("{}{}/", archive.prefix(), past.run.backup);
    let uploads = match archive.store.list_uploads(&folder).await {
        Ok(uploads) => uploads,
        Err(error) => return log::debug!("{error}"),
    };
    let known = |id: &str| past.begun.values().any(|begun| begun.upload.id == id);
    for seen in uploads.into_iter().filter(|seen| !known(&seen.id)) {
        let Ok(key) = seen.key.parse() else { continue };
        let (id, part_size) = (seen.id, past.run.part_size);
        abort(archive, &Upload { key, id, checksum: Checksum::None, part_size }).await;
    }
}

/// The plan asks to go on with a run that cannot be gone on with. Where it is the
/// one in the journal, that is noted, so that the next plan begins a new one.
async fn other_than_planned(
    archive: &Archive,
    journal: &Journal,
    past: Option<Past>,
    run: &Run,
) -> Failure {
    let what = match past {
        Some(past) if past.run.backup == run.backup => {
            let reason = "the stream or the settings are not those that it was begun with";
            journal.note(&Abandoned { reason: reason.to_owned() });
            replace(archive, past).await;
            reason
        }
        Some(_) => "the journal holds another run",
        None => "the journal holds no run",
    };
    let what = format!("cannot go on with the upload of {}: {what}; run it again", run.backup);
    Failure::new(Status::TryLater, what)
}

/// Whether both are the same attempt at the same backup, whatever their ids. A
/// parent's ctransid differs after a restore of the parent, and nothing else does.
fn is_same(past: &Run, run: &Run) -> bool {
    let mut run = Run { run_id: past.run_id, ..run.clone() };
    if let (Some(snapshot), Some(past)) = (&mut run.snapshot, &past.snapshot) {
        snapshot.parent_ctransid = past.parent_ctransid;
    }
    run == *past
}

/// Clears away what the store keeps of a run that the next one replaces.
async fn replace(archive: &Archive, past: Past) {
    let backup = &past.run.backup;
    if past.run.store != archive.url.to_string() {
        log::warn!(
            "the unfinished upload of {backup} is given up; what {} keeps of it is billed until \
             `bts-manifest gc` clears it away",
            past.run.store
        );
        return;
    }
    if !past.begun.is_empty() {
        log::info!("the unfinished upload of {backup} is given up");
    }
    abort_all(archive, past.begun).await;
    // What is published needs none, and what is not is for gc.
    intent::remove(archive, backup).await;
}

async fn abort_all(archive: &Archive, uploads: BTreeMap<u64, Begun>) {
    for begun in uploads.into_values() {
        abort(archive, &begun.upload).await;
    }
}

/// Gives an upload up, as far as the store lets us: a lifecycle rule clears away
/// what is left.
pub async fn abort(archive: &Archive, upload: &Upload) {
    if let Err(error) = archive.store.abort_upload(upload).await {
        log::warn!("{error}; its parts are billed until the upload is aborted");
    }
}
