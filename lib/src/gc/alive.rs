//! Runs that may go on: what they left is not left behind.

use std::collections::HashSet;
use std::path::Path;

use super::owner::Owner;
use crate::exit::{Failure, Status};
use crate::intent::KEEPS_GC_OFF;
use crate::journal::{self, Stage};
use crate::store::{Archive, Listed};
use crate::time::Time;

/// The runs that may go on.
#[derive(Debug, Default)]
pub(super) struct Alive {
    owners: HashSet<String>,
    uploads: HashSet<String>,
}

impl Alive {
    /// Those that have a journal on this machine.
    ///
    /// # Errors
    /// [`Status::Io`] when a journal cannot be read: whose run it is would be a
    /// guess.
    pub(super) fn on_this_machine(state: &Path) -> Result<Self, Failure> {
        let mut alive = Self::default();
        let journals = journal::all(state).map_err(|error| {
            let what = format!(
                "cannot read the journals of this machine's runs: {error}; nothing was removed"
            );
            Failure::new(Status::Io, what)
        })?;
        for (path, past) in journals {
            let backup = &past.run.backup;
            match past.stage() {
                Stage::GivenUp(_) => continue,
                Stage::Unfinished | Stage::Uploaded => {}
            }
            log::debug!("{backup} is left alone: {} can go on with it", path.display());
            alive.owners.insert(Owner::backup(backup).manifest());
            alive.uploads.extend(past.begun.into_values().map(|begun| begun.upload.id));
        }
        Ok(alive)
    }

    /// Adds those of any machine that said lately that they are alive.
    pub(super) fn add_intents(&mut self, archive: &Archive, listed: &[Listed]) {
        let prefix = archive.prefix();
        for object in listed {
            let Some(owner) = object.key.strip_prefix(&prefix).and_then(Owner::of) else {
                continue;
            };
            if owner.is_intent(&object.key) && is_young(object.modified) {
                let url = archive.store.locate(&object.key);
                log::debug!("{owner} is left alone: a run says in {url} that it is alive");
                self.owners.insert(owner.manifest());
            }
        }
    }

    /// Whether a run may go on with what this owner has.
    pub(super) fn holds(&self, owner: &Owner) -> bool {
        self.owners.contains(&owner.manifest())
    }

    /// Whether a run may go on with this upload.
    pub(super) fn holds_upload(&self, id: &str) -> bool {
        self.uploads.contains(id)
    }
}

/// Whether an intent of this time, by the store's clock, still counts. One whose
/// age is not known does.
pub(super) fn is_young(modified: Option<Time>) -> bool {
    modified.is_none_or(|time| !super::is_older(time, KEEPS_GC_OFF))
}
