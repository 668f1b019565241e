//! Decides how far each backup of a chain has come, from what Btrfs says alone.

use crate::btrfs::{Found, Info};
use crate::record::{Snapshot, StagedState};

use super::input::Link;
use super::place::Place;

/// How far a backup has come, and why not further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) state: StagedState,
    pub(super) reason: String,
}

/// What the staging directory holds of each backup, in the chain's order.
pub(super) fn judge(chain: &[Link], place: &Place) -> Vec<Judged> {
    let mut before = Before::Nothing;
    let mut all = Vec::with_capacity(chain.len());
    for link in chain {
        let name = link.name();
        let found = place.found.iter().find(|found| found.name == name);
        let judged = match found {
            None if place.holds(name) => partial("is no subvolume"),
            None => Judged { state: StagedState::Missing, reason: "was not received".to_owned() },
            Some(found) => one(&link.backup.snapshot, found, &before, place.synced(name)),
        };
        before = match (judged.state, found) {
            (StagedState::Staged, Some(found)) => Before::Whole { info: &found.info, proven: true },
            (StagedState::Received, Some(found)) => {
                Before::Whole { info: &found.info, proven: false }
            }
            _ => Before::Gap,
        };
        all.push(judged);
    }
    all
}

/// What stands before a backup in its chain.
enum Before<'a> {
    /// It is the full.
    Nothing,
    /// A snapshot that was not received, or not well.
    Gap,
    /// A snapshot that was; `proven` where it is staged.
    Whole { info: &'a Info, proven: bool },
}

fn one(said: &Snapshot, found: &Found, before: &Before<'_>, synced: bool) -> Judged {
    if let Err(reason) = is_it(said, &found.info, before) {
        return partial(&reason);
    }
    let received =
        |reason: &str| Judged { state: StagedState::Received, reason: reason.to_owned() };
    if said.uuid.is_none() || said.ctransid.is_none() {
        return received("cannot be told from another: its manifest does not say its UUID");
    }
    if matches!(before, Before::Whole { proven: false, .. }) {
        return received("was built on a snapshot that is not proven");
    }
    if !synced {
        return received("was not synced to disk");
    }
    Judged { state: StagedState::Staged, reason: String::new() }
}

fn partial(reason: &str) -> Judged {
    Judged { state: StagedState::Partial, reason: reason.to_owned() }
}

/// Whether this is the snapshot that its manifest means, as far as the manifest
/// says.
fn is_it(said: &Snapshot, info: &Info, before: &Before<'_>) -> Result<(), String> {
    let Some(received) = info.received_uuid.filter(|_| info.read_only) else {
        return Err("is not whole: btrfs receive did not come to its end".to_owned());
    };
    if let Some(uuid) = said.uuid
        && uuid != received
    {
        return Err(format!("has the received UUID {received}, and its manifest names {uuid}"));
    }
    if let Some(ctransid) = said.ctransid
        && ctransid != info.stransid
    {
        let stransid = info.stransid;
        return Err(format!(
            "is of transaction {stransid} of its source, and its manifest names {ctransid}"
        ));
    }
    match (before, info.parent_uuid) {
        (Before::Nothing, None) => Ok(()),
        (Before::Nothing, Some(parent)) => {
            Err(format!("was built on the subvolume {parent}, and its manifest says it is a full"))
        }
        (Before::Gap, _) => {
            Err("is of no use: the one that it builds on has to be received again".to_owned())
        }
        (Before::Whole { info, .. }, parent) if parent == Some(info.uuid) => Ok(()),
        (Before::Whole { info, .. }, parent) => {
            let parent = parent.map_or("none".to_owned(), |parent| parent.to_string());
            let staged = info.uuid;
            Err(format!(
                "was built on the subvolume {parent}, not on the staged one before it, {staged}"
            ))
        }
    }
}
