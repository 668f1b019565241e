//! Which local snapshots may go once a backup is published.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::btrfs::Found;
use crate::names::SnapshotName;
use crate::record::{Current, Prune, SnapshotPlace};

/// The snapshots of the published backup's subvolume that nothing needs: those
/// that failed runs left behind, and those that are neither among the newest
/// `retain` nor the published one, on which the next incremental builds. Those
/// that are `needed`, by unfinished runs, are no part of it.
///
/// Newest goes by the transaction that made a snapshot, never by a clock. Only
/// what is read-only and has the name that this tool gives is ever named. When
/// the published snapshot is not there, something is odd, and nothing goes.
pub(super) fn prune(
    published: &Current,
    snapshots: &[Found],
    needed: &BTreeSet<String>,
    retain: u32,
) -> Vec<Prune> {
    let subvolume = &published.subvolume;
    let is_ours = |found: &&Found| {
        let name = found.name.parse::<SnapshotName>();
        found.info.read_only && name.is_ok_and(|name| name.subvolume == *subvolume)
    };
    let is_it = |found: &&Found| holds(published, found);
    let Some(made) = snapshots.iter().filter(is_it).map(|found| found.info.otransid).max() else {
        log::warn!(
            "{subvolume}: the published snapshot {} is not there: no snapshot is named for deletion",
            published.snapshot.name
        );
        return Vec::new();
    };
    let ours = snapshots.iter().filter(is_ours).filter(|found| !needed.contains(&found.name));
    let (left, mut kept): (Vec<_>, Vec<_>) = ours.partition(|found| is_left(found, made));
    kept.sort_by_key(|found| Reverse((found.info.otransid, &found.name)));
    let retain = usize::try_from(retain).unwrap_or(usize::MAX);
    let old = kept.into_iter().skip(retain).filter(|found| !is_it(found));
    let prune = |found: &Found, reason: &str| Prune {
        subvolume: subvolume.clone(),
        snapshot: SnapshotPlace {
            name: found.name.clone(),
            path: found.path.to_string_lossy().into_owned(),
        },
        reason: reason.to_owned(),
    };
    let beyond = format!(
        "it is none of the newest {retain} (snapshots.retain), and the last backup is another"
    );
    let left = left.into_iter().map(|found| prune(found, LEFT));
    left.chain(old.map(|found| prune(found, &beyond))).collect()
}

const LEFT: &str = "a run that published nothing made it, and no other goes on with it";

/// Whether a run that failed left it behind: only such a one is younger than the
/// published snapshot, which was `made` by that transaction. What was received is
/// of a restore.
fn is_left(found: &Found, made: u64) -> bool {
    found.info.otransid > made && found.info.received_uuid.is_none()
}

/// Whether this is the snapshot that the backup was made of, or its restored twin.
fn holds(published: &Current, found: &Found) -> bool {
    published
        .snapshot
        .uuid
        .is_some_and(|uuid| found.info.uuid == uuid || found.info.received_uuid == Some(uuid))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CTRANSID, NAME, current, found, recorded, restored};
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn names(snapshots: &[Found], retain: u32) -> Vec<String> {
        let prunes = prune(&current("data"), snapshots, &BTreeSet::new(), retain);
        prunes.into_iter().map(|prune| prune.snapshot.name).collect()
    }

    fn name(day: u32) -> String {
        format!("data__202602{day:02}T020000Z__inc")
    }

    fn ours(day: u32, otransid: u64) -> Found {
        found(&name(day), Uuid::from_u128(u128::from(otransid)), otransid)
    }

    #[test]
    fn the_newest_by_transaction_are_kept_whatever_the_clock_said() {
        // The clock ran backwards: the 9th came before the 1st.
        let snapshots = [ours(9, 10), ours(1, 20), ours(2, 30), recorded()];
        assert_eq!(names(&snapshots, 2), [name(1), name(9)]);
        assert_eq!(names(&snapshots, 4), Vec::<String>::new());
    }

    #[test]
    fn the_published_snapshot_is_kept_however_old() {
        let snapshots = [restored(&name(9)), ours(1, 1), ours(2, 2), ours(3, 3)];
        assert_eq!(names(&snapshots, 1), [name(3), name(2), name(1)]);
        // A restore brought younger ones.
        let mut younger = ours(4, 500);
        younger.info.received_uuid = Some(Uuid::from_u128(4));
        assert_eq!(names(&[recorded(), younger], 1), Vec::<String>::new());
    }

    #[test]
    fn what_failed_runs_left_behind_goes_and_takes_no_place_from_the_others() {
        let snapshots = [ours(1, 1), ours(2, 2), recorded(), ours(3, 300), ours(4, 400)];
        let prunes = prune(&current("data"), &snapshots, &BTreeSet::new(), 2);
        let said: Vec<_> = prunes.iter().map(|p| (&p.snapshot.name, p.reason == LEFT)).collect();
        assert_eq!(said, [(&name(3), true), (&name(4), true), (&name(1), false)]);
    }

    #[test]
    fn what_an_unfinished_run_sends_stays_and_takes_no_place_from_the_others() {
        let snapshots = [ours(1, 1), ours(2, 2), recorded(), ours(3, 300), ours(4, 400)];
        let needed = [name(4), name(1)].into();
        let prunes = prune(&current("data"), &snapshots, &needed, 2);
        let gone: Vec<_> = prunes.into_iter().map(|prune| prune.snapshot.name).collect();
        assert_eq!(gone, [name(3)]);
    }

    #[test]
    fn a_prune_says_what_and_why() {
        let snapshots = [recorded(), ours(1, 1)];
        let [prune] = prune(&current("data"), &snapshots, &BTreeSet::new(), 1).try_into().unwrap();
        assert_eq!(prune.subvolume.as_str(), "data");
        assert_eq!(prune.snapshot.path, "/snapshots/data__20260201T020000Z__inc");
        assert_eq!(
            prune.reason,
            "it is none of the newest 1 (snapshots.retain), and the last backup is another"
        );
    }

    #[test]
    fn nothing_goes_when_the_published_snapshot_is_not_there() {
        assert_eq!(names(&[ours(1, 1), ours(2, 2), ours(3, 3)], 1), Vec::<String>::new());
    }

    #[test]
    fn what_the_tool_did_not_make_is_never_named() {
        let mut writable = ours(1, 1);
        writable.info.read_only = false;
        let foreign = [
            "data",
            "data__20260201T020000Z__full.old",
            "home__20260201T020000Z__full",
            "data2__20260201T020000Z__full",
            "data__20260201T020000Z__incremental",
        ];
        let mut snapshots = vec![recorded(), ours(2, 60), writable];
        snapshots.extend(
            foreign.iter().zip(2..).map(|(name, n)| found(name, Uuid::from_u128(u128::from(n)), n)),
        );
        assert_eq!(names(&snapshots, 2), Vec::<String>::new());
        let others = snapshots.iter_mut().filter(|found| found.name != NAME);
        others.for_each(|found| found.info.otransid += 500);
        assert_eq!(names(&snapshots, 2), [name(2)], "as what failed runs left behind");
    }

    proptest! {
        #[test]
        fn what_stays_is_the_newest_and_the_published(
            transactions in prop::collection::btree_set((1_u64..140).prop_filter("taken", |n| *n != CTRANSID), 0..20),
            needed in prop::collection::btree_set(1_u64..140, 0..4),
            retain in 1_u32..6,
        ) {
            let name = |n: u64| format!("data__20260201T{:02}{:02}00Z__inc", n / 60, n % 60);
            let snapshot = |n: u64| found(&name(n), Uuid::from_u128(u128::from(n)), n);
            let mut snapshots: Vec<_> = transactions.into_iter().map(snapshot).collect();
            snapshots.push(recorded());
            let needed = needed.into_iter().map(name).collect();
            let prunes = prune(&current("data"), &snapshots, &needed, retain);
            let gone: Vec<_> = prunes.into_iter().map(|prune| prune.snapshot.name).collect();
            let (needed, mut others): (Vec<_>, Vec<_>) =
                snapshots.into_iter().partition(|found| needed.contains(&found.name));
            prop_assert!(needed.iter().all(|found| !gone.contains(&found.name)));
            others.retain(|found| {
                let younger = found.info.otransid > CTRANSID;
                assert!(!younger || gone.contains(&found.name), "{} stays", found.name);
                !younger
            });
            others.sort_by_key(|found| Reverse(found.info.otransid));
            for (newer, found) in others.iter().enumerate() {
                let stays = newer < retain as usize || found.name == NAME;
                prop_assert_eq!(stays, !gone.contains(&found.name), "{}", found.name);
            }
        }
    }
}
