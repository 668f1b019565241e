//! The safe half of a restore: what a staging directory holds of a chain, whether
//! anything on its filesystem could get in the way, and whether what came out is
//! what went in.
//!
//! `btrfs receive` looks for an incremental's parent on the whole filesystem, by
//! the UUID that it was received with. Promises that a snapshot counts as staged
//! only when its UUIDs and transaction are those of its manifest, it was built on
//! the staged snapshot before it, and it was synced to disk; that a subvolume
//! elsewhere that could pass for one of the chain is found before anything is
//! fetched; and that nothing is called equal that was not compared.
//!
//! This module makes and deletes nothing: receiving is `btrfs`'s business, and
//! the wrapper's to start it.

mod compare;
mod destination;
mod input;
mod judge;
mod place;
mod print;
mod room;
mod rsync;
mod source;
mod tree;
mod twins;

pub use compare::compare;
pub use destination::{Destination, DestinationField, Wanted};
pub use input::{Link, read_chain};
pub use print::{StagedField, write_rest};

use std::path::Path;

use crate::btrfs::Found;
use crate::config::VerifyMode;
use crate::exit::Failure;
use crate::record::{SnapshotPlace, Staged, StagedState};
use judge::{Judged, judge};
use place::Place;

/// What the staging directory `dir`, which need not exist yet, holds of a chain:
/// a record for each backup, then one for each stray.
///
/// # Errors
/// [`crate::exit::Status::Usage`] when `dir` is not ours alone, or a subvolume
/// elsewhere on its filesystem could pass for one of the chain;
/// [`crate::exit::Status::Config`] when a comparison needs rsync and there is
/// none; those of the machine.
pub fn survey(dir: &Path, chain: &[Link], mode: VerifyMode) -> anyhow::Result<Vec<Staged>> {
    let place = Place::open(dir)?;
    twins::refuse(&place, chain)?;
    let mut all = records(&place, chain);
    let source = chain.last().map(|last| source::find(&last.backup.snapshot));
    if let (Some(Ok(source)), Some(last)) = (source, all.get_mut(chain.len() - 1)) {
        last.source = Some(source.to_string_lossy().into_owned());
        if mode != VerifyMode::None {
            rsync::look_for()?;
        }
    }
    Ok(all)
}

/// Warns when the streams that are still to come hold more bytes than are free.
///
/// # Errors
/// When the machine does not say what is free.
pub fn warn_of_room(dir: &Path, all: &[Staged]) -> anyhow::Result<()> {
    room::warn(&Place::open(dir)?, all)
}

/// Whether the snapshot `name` of a chain has just been received as its manifest
/// says.
///
/// # Errors
/// [`crate::exit::Status::Data`] when it has not; those of the machine.
pub fn check_received(dir: &Path, chain: &[Link], name: &str) -> anyhow::Result<()> {
    let place = Place::open(dir)?;
    let judged = chain.iter().zip(judge(chain, &place));
    let Some((_, judged)) = judged.into_iter().find(|(link, _)| link.name() == name) else {
        let what = format!("no backup of the chain holds a snapshot called {name:?}");
        return Err(Failure::usage(what).into());
    };
    match judged.state {
        StagedState::Staged | StagedState::Received => Ok(()),
        _ => {
            let path = place.dir.join(name);
            let what = format!("the snapshot received at {} {}", path.display(), judged.reason);
            Err(Failure::data(what).into())
        }
    }
}

fn records(place: &Place, chain: &[Link]) -> Vec<Staged> {
    let judged = chain.iter().zip(judge(chain, place));
    let mut all: Vec<_> = judged.map(|(link, judged)| record(place, link, judged)).collect();
    let known = |found: &&Found| chain.iter().any(|link| link.name() == found.name);
    all.extend(place.found.iter().filter(|found| !known(found)).map(stray));
    all
}

fn record(place: &Place, link: &Link, judged: Judged) -> Staged {
    let path = place.dir.join(link.name()).to_string_lossy().into_owned();
    Staged {
        manifest_key: Some(link.backup.manifest_key.clone()),
        snapshot: SnapshotPlace { name: link.name().to_owned(), path },
        state: judged.state,
        reason: judged.reason,
        size: link.backup.size,
        source: None,
    }
}

fn stray(found: &Found) -> Staged {
    let path = found.path.to_string_lossy().into_owned();
    Staged {
        manifest_key: None,
        snapshot: SnapshotPlace { name: found.name.clone(), path },
        state: StagedState::Stray,
        reason: "is no part of this restore".to_owned(),
        size: 0,
        source: None,
    }
}
