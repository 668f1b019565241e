//! Which local snapshot an incremental can build on, and which one a run was
//! sending.

use std::path::Path;

use uuid::Uuid;

use crate::btrfs::Found;
use crate::record::{Current, Parent, Snapshot};

/// The snapshot that holds exactly what the archive's newest backup holds, or
/// why there is none.
///
/// One that was made here has the recorded UUID and is unchanged when its
/// ctransid is the recorded one: a snapshot that was made writable, written and
/// made read-only again keeps its UUID but not its ctransid. One that was
/// restored has the recorded UUID as the one it was received from.
pub(super) fn find(current: &Current, snapshots: &[Found]) -> Result<Parent, String> {
    let recorded = &current.snapshot;
    let Some(uuid) = recorded.uuid else {
        return Err("the last backup's manifest does not say its snapshot's UUID".to_owned());
    };
    let Some(ctransid) = recorded.ctransid else {
        return Err("the last backup's manifest does not say its snapshot's ctransid".to_owned());
    };
    let usable = |found: &&Found| found.info.read_only && stream_uuid(found) == uuid;
    let made_here = |found: &&Found| found.info.uuid == uuid && found.info.ctransid == ctransid;
    let restored =
        |found: &&Found| found.info.received_uuid == Some(uuid) && found.info.stransid == ctransid;
    let mut candidates = snapshots.iter().filter(usable);
    let found = candidates.clone().find(made_here).or_else(|| candidates.find(restored));
    found
        .map(|found| parent(current, found, uuid))
        .ok_or_else(|| why_not(recorded, uuid, snapshots))
}

/// The snapshot that the stream `recorded` was made of: it must give the same
/// stream again, to the name.
pub(super) fn sent<'a>(recorded: &Snapshot, snapshots: &'a [Found]) -> Result<&'a Found, String> {
    let Snapshot { name, path, uuid, ctransid, .. } = recorded;
    let Some(found) = snapshots.iter().find(|found| found.path == Path::new(path)) else {
        return Err(format!("its snapshot {name} is not there any more"));
    };
    let Found { info, .. } = found;
    if !info.read_only {
        return Err(format!("its snapshot {name} has been made writable"));
    }
    if Some(stream_uuid(found)) != *uuid {
        return Err(format!("another snapshot has taken the name {name} of its own"));
    }
    if Some(info.ctransid) != *ctransid {
        return Err(format!("its snapshot {name} has been changed since"));
    }
    Ok(found)
}

/// The UUID that `btrfs send -p` puts into the stream for this parent.
fn stream_uuid(found: &Found) -> Uuid {
    found.info.received_uuid.unwrap_or(found.info.uuid)
}

fn parent(current: &Current, found: &Found, uuid: Uuid) -> Parent {
    Parent {
        name: found.name.clone(),
        path: found.path.to_string_lossy().into_owned(),
        uuid,
        manifest_key: current.manifest_key.clone(),
        manifest_sha256: current.manifest_sha256,
    }
}

fn why_not(recorded: &Snapshot, uuid: Uuid, snapshots: &[Found]) -> String {
    let is_it = |found: &&Found| found.info.uuid == uuid || found.info.received_uuid == Some(uuid);
    if let Some(Found { name, info, .. }) = snapshots.iter().find(is_it) {
        let what = if !info.read_only {
            "has been made writable"
        } else if stream_uuid_differs(info.received_uuid, uuid) {
            "was received from another snapshot"
        } else {
            "has been changed since it was sent"
        };
        return format!("the last backup's snapshot {name} {what}");
    }
    let name = &recorded.name;
    if snapshots.iter().any(|found| found.name == *name) {
        return format!("another snapshot has taken the name {name} of the last backup's");
    }
    format!("the last backup's snapshot {name} is not there any more")
}

fn stream_uuid_differs(received: Option<Uuid>, uuid: Uuid) -> bool {
    received.is_some_and(|received| received != uuid)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CTRANSID, NAME, UUID, current, found, recorded, restored};
    use super::*;
    use proptest::prelude::*;

    fn why(snapshots: &[Found]) -> String {
        find(&current("data"), snapshots).unwrap_err()
    }

    #[test]
    fn the_snapshot_that_was_sent_is_the_parent() {
        let other = found("data__20260102T020003Z__inc", Uuid::from_u128(1), CTRANSID);
        let parent = find(&current("data"), &[other, recorded()]).unwrap();
        assert_eq!((parent.name.as_str(), parent.uuid), (NAME, UUID));
        // Its name counts for nothing.
        let mut renamed = recorded();
        renamed.name = "kept".to_owned();
        assert_eq!(find(&current("data"), &[renamed]).unwrap().name, "kept");
    }

    #[test]
    fn after_a_restore_its_twin_is() {
        let parent = find(&current("data"), &[restored("back")]).unwrap();
        assert_eq!((parent.name.as_str(), parent.uuid), ("back", UUID));
    }

    #[test]
    fn of_two_the_one_that_was_made_here_wins() {
        let both = [restored("back"), recorded()];
        assert_eq!(find(&current("data"), &both).unwrap().name, NAME);
    }

    #[test]
    fn what_is_not_exactly_the_snapshot_is_no_parent() {
        let said = |what: &str| format!("the last backup's snapshot {NAME} {what}");
        assert_eq!(why(&[]), said("is not there any more"));
        let mut changed = recorded();
        changed.info.ctransid += 1;
        assert_eq!(why(&[changed]), said("has been changed since it was sent"));
        let mut writable = recorded();
        writable.info.read_only = false;
        assert_eq!(why(&[writable]), said("has been made writable"));
        let mut foreign = recorded();
        foreign.info.received_uuid = Some(Uuid::from_u128(9));
        assert_eq!(why(&[foreign]), said("was received from another snapshot"));
        let namesake = found(NAME, Uuid::from_u128(9), CTRANSID);
        assert_eq!(
            why(&[namesake]),
            format!("another snapshot has taken the name {NAME} of the last backup's")
        );
        let mut stale = restored(NAME);
        stale.info.stransid -= 1;
        assert_eq!(why(&[stale]), said("has been changed since it was sent"));
    }

    #[test]
    fn a_manifest_that_does_not_say_enough_gets_no_incremental() {
        let mut old = current("data");
        old.snapshot.ctransid = None;
        let why = find(&old, &[recorded()]).unwrap_err();
        assert_eq!(why, "the last backup's manifest does not say its snapshot's ctransid");
        old.snapshot.uuid = None;
        let why = find(&old, &[recorded()]).unwrap_err();
        assert_eq!(why, "the last backup's manifest does not say its snapshot's UUID");
    }

    proptest! {
        /// Whatever lies about: a parent is read-only, its stream names the
        /// recorded UUID, and its content is of the recorded transaction.
        #[test]
        fn every_parent_is_the_recorded_snapshot(
            lot in prop::collection::vec((0_u128..3, 0_u128..3, 69_u64..72, 69_u64..72, any::<bool>()), 0..12),
        ) {
            let uuid = |n: u128| [Uuid::nil(), UUID, Uuid::from_u128(5)][n as usize];
            let snapshots: Vec<_> = lot.into_iter().enumerate().map(|(i, (own, received, ctransid, stransid, read_only))| {
                let mut found = found(&format!("s{i}"), uuid(own), i as u64);
                found.info.received_uuid = Some(uuid(received)).filter(|uuid| !uuid.is_nil());
                (found.info.ctransid, found.info.stransid) = (ctransid, stransid);
                found.info.read_only = read_only;
                found
            }).collect();
            let good = |found: &Found| {
                let info = &found.info;
                let here = info.uuid == UUID && info.ctransid == CTRANSID;
                let back = info.received_uuid == Some(UUID) && info.stransid == CTRANSID;
                info.read_only && stream_uuid(found) == UUID && (here || back)
            };
            match find(&current("data"), &snapshots) {
                Ok(parent) => {
                    let chosen = snapshots.iter().find(|found| found.name == parent.name).unwrap();
                    prop_assert!(good(chosen));
                }
                Err(_) => prop_assert!(!snapshots.iter().any(good)),
            }
        }
    }
}
