use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::super::Options;
use super::super::decide::decide;
use super::super::testing::{CTRANSID, UUID, current, found, options, recorded};
use super::*;
use crate::btrfs::Found;
use crate::config::{Config, Subvolume};
use crate::journal::Begun;
use crate::record::{
    Checksum, Crc32, Digest, Digests, Format, Hash, Object, Part, Plan, Snapshot, StreamEnd,
};
use crate::store::Upload;

const RUN: Uuid = Uuid::from_u128(0x1a7e);
const RUN_CTRANSID: u64 = 90;
const PART_SIZE: u64 = 16 << 20;

fn run(kind: Kind) -> Run {
    let name = format!("data__20260117T020000Z__{}", kind.suffix());
    let parent = (kind == Kind::Incremental).then(|| current("data"));
    Run {
        version: 1,
        run_id: Uuid::from_u128(1),
        backup: format!("subvol/data/{}/20260117T020000Z-0000000b", kind.word()).parse().unwrap(),
        kind,
        created_at: "2026-01-17T02:00:00Z".parse().unwrap(),
        store: "file:///archive".to_owned(),
        format: Format::BtrfsSend,
        send_version: Some(1),
        snapshot: Some(Snapshot {
            path: format!("/snapshots/{name}"),
            name,
            uuid: Some(RUN),
            parent_uuid: parent.as_ref().map(|_| UUID),
            ctransid: Some(RUN_CTRANSID),
            parent_ctransid: parent.as_ref().map(|_| CTRANSID),
        }),
        parent_manifest: parent.as_ref().map(|parent| parent.manifest_key.clone()),
        parent_manifest_sha256: parent.as_ref().map(|parent| parent.manifest_sha256),
        replaces: None,
        chunk_size: 64 << 20,
        part_size: PART_SIZE,
        hash: Hash::Sha256,
        send_args: vec!["--proto".into(), "2".into()],
        filter: Vec::new(),
        storage_class: "STANDARD".into(),
        sse: None,
    }
}

/// A run with a whole chunk, of four parts, and three parts of the next.
fn interrupted(kind: Kind) -> Past {
    let object = Object {
        index: 0,
        key: "k".into(),
        size: 64 << 20,
        digests: Digests::of(Hash::Sha256, Digest([1; 32])),
        etag: None,
        crc32: None,
        checksum: None,
        storage_class: None,
        parts: Vec::new(),
    };
    let part = |number| Part {
        index: 1,
        number,
        size: PART_SIZE,
        etag: "e".into(),
        crc32: Crc32(1),
        blake3: Digest([2; 32]),
    };
    let upload = Upload {
        key: "l".parse().unwrap(),
        id: "u".into(),
        checksum: Checksum::None,
        part_size: PART_SIZE,
    };
    let parts = (1..=3).map(|number| (number, part(number))).collect();
    Past {
        run: run(kind),
        fruitless: 0,
        begun: [(1, Begun { upload, parts })].into(),
        objects: [(0, object)].into(),
        end: None,
        abandoned: None,
    }
}

fn uploaded(kind: Kind) -> Past {
    let stream_sha256 = Digest(Sha256::digest([1; 32]).into());
    let end = StreamEnd { chunks: 1, size: 64 << 20, stream_sha256 };
    Past { begun: BTreeMap::new(), end: Some(end), ..interrupted(kind) }
}

/// The snapshot that the run sends, as it was made.
fn sent(kind: Kind) -> Found {
    found(&run(kind).snapshot.unwrap().name, RUN, RUN_CTRANSID)
}

fn plan(past: &Past, current: Option<&Current>, snapshots: &[Found]) -> Plan {
    plan_with(past, current, snapshots, |_| ())
}

fn plan_with(
    past: &Past,
    current: Option<&Current>,
    snapshots: &[Found],
    change: impl FnOnce(&mut Options),
) -> Plan {
    let subvolume = Subvolume {
        path: "/srv/data".into(),
        name: "data".parse().unwrap(),
        accept_nested: Vec::new(),
    };
    let case = Case {
        subvolume: &subvolume,
        nested: Vec::new(),
        base_dir: Path::new("/snapshots"),
        snapshots,
        current,
        past: Some(past),
    };
    let mut options = options("2026-01-18T02:00:00Z");
    change(&mut options);
    decide(&Config::default(), &options, case)
}

/// The current backup once the run's is.
fn published(kind: Kind) -> Current {
    let run = run(kind);
    Current {
        manifest_key: format!("{}/manifest.json", run.backup),
        kind,
        created_at: run.created_at,
        snapshot: run.snapshot.unwrap(),
        ..current("data")
    }
}

#[track_caller]
fn given_up(plan: &Plan, action: Action, why: &str) {
    assert_eq!(plan.action, action, "{}", plan.reason);
    let said = format!("; the run of 2026-01-17 is not gone on with: {why}");
    assert!(plan.reason.ends_with(&said), "{}", plan.reason);
    assert_eq!(plan.run, None);
}

#[test]
fn an_interrupted_full_is_resumed_as_it_was_begun() {
    let past = interrupted(Kind::Full);
    let plan = plan(&past, None, &[sent(Kind::Full)]);
    assert_eq!(plan.action, Action::Resume);
    let said = "the upload of 2026-01-17 was interrupted after 7 parts, going on with it";
    assert_eq!(plan.reason, said);
    assert_eq!(plan.backup.as_ref(), Some(&past.run.backup));
    assert_eq!(plan.kind, Some(Kind::Full));
    assert_eq!(plan.created_at, Some(past.run.created_at));
    assert_eq!(plan.snapshot.unwrap().path, "/snapshots/data__20260117T020000Z__full");
    assert_eq!((plan.parent, plan.send_args), (None, past.run.send_args.clone()));
    assert_eq!(plan.run.as_deref(), Some(&past.run));
}

#[test]
fn an_interrupted_incremental_is_resumed_on_its_parent_whatever_the_schedule_says() {
    let past = interrupted(Kind::Incremental);
    let snapshots = [sent(Kind::Incremental), recorded()];
    for once in [false, true] {
        let plan =
            plan_with(&past, Some(&current("data")), &snapshots, |options| options.once = once);
        assert_eq!(plan.action, Action::Resume, "{}", plan.reason);
        let parent = plan.parent.unwrap();
        assert_eq!((parent.uuid, parent.path), (UUID, recorded().path.display().to_string()));
        assert_eq!(parent.manifest_key, current("data").manifest_key);
    }
}

#[test]
fn how_far_a_run_came_is_told_in_parts() {
    let mut past = interrupted(Kind::Full);
    past.objects.clear();
    let reason = |past: &Past| plan(past, None, &[sent(Kind::Full)]).reason;
    past.begun.get_mut(&1).unwrap().parts.retain(|number, _| *number == 2);
    let said = "the upload of 2026-01-17 was interrupted after 1 part, going on with it";
    assert_eq!(reason(&past), said);
    past.begun.clear();
    let said = "the upload of 2026-01-17 was interrupted at its beginning, going on with it";
    assert_eq!(reason(&past), said);
}

#[test]
fn what_is_stored_whole_is_published_even_without_its_snapshot() {
    for (kind, current) in [
        (Kind::Full, None),
        (Kind::Full, Some(current("data"))),
        (Kind::Incremental, Some(current("data"))),
    ] {
        let plan = plan(&uploaded(kind), current.as_ref(), &[]);
        assert_eq!(plan.action, Action::Publish, "{}", plan.reason);
        let said = "everything of 2026-01-17 is stored, what is left is to publish it";
        assert_eq!(plan.reason, said);
        assert_eq!(plan.snapshot.unwrap().name, run(kind).snapshot.unwrap().name);
        assert_eq!(plan.backup, Some(run(kind).backup));
        assert_eq!((plan.run, plan.parent), (None, None));
    }
}

#[test]
fn what_is_published_and_not_settled_is_finished() {
    for kind in [Kind::Full, Kind::Incremental] {
        let plan = plan(&uploaded(kind), Some(&published(kind)), &[]);
        assert_eq!(plan.action, Action::Publish, "{}", plan.reason);
        assert!(plan.reason.starts_with("the backup of 2026-01-17 is published"));
    }
    let mut holed = published(Kind::Full);
    holed.chain.missing.push("k".into());
    given_up(&plan(&uploaded(Kind::Full), Some(&holed), &[]), Action::Full, "it is published");
    let current = published(Kind::Full);
    let interrupted = plan(&interrupted(Kind::Full), Some(&current), &[sent(Kind::Full)]);
    given_up(&interrupted, Action::Skip, "it is published");
}

#[test]
fn a_run_whose_snapshot_is_not_what_it_was_is_given_up() {
    let name = run(Kind::Full).snapshot.unwrap().name;
    let past = interrupted(Kind::Full);
    let said = |what: &str| format!("its snapshot {name} {what}");
    given_up(&plan(&past, None, &[]), Action::Full, &said("is not there any more"));
    let mut changed = sent(Kind::Full);
    changed.info.ctransid += 1;
    given_up(&plan(&past, None, &[changed]), Action::Full, &said("has been changed since"));
    let mut writable = sent(Kind::Full);
    writable.info.read_only = false;
    given_up(&plan(&past, None, &[writable]), Action::Full, &said("has been made writable"));
    let mut other = sent(Kind::Full);
    other.info.uuid = Uuid::from_u128(5);
    let why = format!("another snapshot has taken the name {name} of its own");
    given_up(&plan(&past, None, &[other]), Action::Full, &why);
    let mut moved = sent(Kind::Full);
    moved.path = Path::new("/elsewhere").join(&moved.name);
    given_up(&plan(&past, None, &[moved]), Action::Full, &said("is not there any more"));
}

#[test]
fn an_incremental_without_its_parent_is_given_up() {
    let snapshots = [sent(Kind::Incremental), recorded()];
    let why = "the backup that it builds on is not the current one any more";
    for past in [interrupted(Kind::Incremental), uploaded(Kind::Incremental)] {
        given_up(&plan(&past, None, &snapshots), Action::Full, why);
        let mut other = current("data");
        other.manifest_key = "another".into();
        given_up(&plan(&past, Some(&other), &snapshots), Action::Incremental, why);
        let mut changed = current("data");
        changed.manifest_sha256 = Digest([9; 32]);
        given_up(&plan(&past, Some(&changed), &snapshots), Action::Incremental, why);
        let mut holed = current("data");
        holed.chain.missing.push("k".into());
        let why = "the archive has lost objects that it builds on";
        given_up(&plan(&past, Some(&holed), &snapshots), Action::Full, why);
    }
    let past = interrupted(Kind::Incremental);
    let plan = plan(&past, Some(&current("data")), &[sent(Kind::Incremental)]);
    assert_eq!(plan.action, Action::Full, "{}", plan.reason);
    assert!(plan.reason.contains("is not gone on with: the last backup's snapshot"));
}

#[test]
fn a_full_does_not_hide_a_backup_that_is_newer() {
    let mut newer = current("data");
    newer.created_at = run(Kind::Full).created_at;
    for past in [interrupted(Kind::Full), uploaded(Kind::Full)] {
        let plan = plan(&past, Some(&newer), &[sent(Kind::Full), recorded()]);
        given_up(&plan, Action::Skip, "a backup that is no older was published meanwhile");
    }
}

#[test]
fn a_full_takes_the_place_of_what_was_current_when_it_was_planned_whatever_the_clock_said() {
    let mut ahead = current("data");
    ahead.created_at = "2031-01-01T00:00:00Z".parse().unwrap();
    for mut past in [interrupted(Kind::Full), uploaded(Kind::Full)] {
        past.run.replaces = Some(ahead.manifest_key.clone());
        let plan = plan(&past, Some(&ahead), &[sent(Kind::Full), recorded()]);
        assert!([Action::Resume, Action::Publish].contains(&plan.action), "{}", plan.reason);
        assert_eq!(plan.replaces, past.run.replaces);
    }
}

#[test]
fn full_goes_on_with_a_full_and_with_nothing_else() {
    let full = |options: &mut Options| options.full = true;
    let snapshots = [sent(Kind::Full), sent(Kind::Incremental), recorded()];
    let plan = |past: Past| plan_with(&past, Some(&current("data")), &snapshots, full);
    assert_eq!(plan(interrupted(Kind::Full)).action, Action::Resume);
    assert_eq!(plan(uploaded(Kind::Full)).action, Action::Publish);
    for past in [interrupted(Kind::Incremental), uploaded(Kind::Incremental)] {
        given_up(&plan(past), Action::Full, "--full asks for a full backup");
    }
}

#[test]
fn a_run_that_leads_nowhere_is_not_tried_for_ever() {
    let abandoned = Past { abandoned: Some("why".into()), ..interrupted(Kind::Full) };
    given_up(&plan(&abandoned, None, &[sent(Kind::Full)]), Action::Full, "why");
    let fruitless = Past { fruitless: 5, ..interrupted(Kind::Full) };
    let why = "5 attempts in a row stored nothing";
    given_up(&plan(&fruitless, None, &[sent(Kind::Full)]), Action::Full, why);
    let refused = Past { fruitless: 5, ..uploaded(Kind::Full) };
    given_up(&plan(&refused, None, &[]), Action::Full, "5 attempts to publish it failed");
    let patient = Past { fruitless: 4, ..uploaded(Kind::Full) };
    assert_eq!(plan(&patient, None, &[]).action, Action::Publish);
}

#[test]
fn the_new_snapshot_of_a_run_that_was_given_up_is_a_new_one() {
    let abandoned = Past { abandoned: Some("why".into()), ..interrupted(Kind::Full) };
    let plan = plan_with(&abandoned, None, &[sent(Kind::Full)], |options| {
        options.now = abandoned.run.created_at.timestamp().to_zoned(jiff::tz::TimeZone::UTC);
    });
    assert_eq!(plan.snapshot.unwrap().name, "data__20260117T020001Z__full");
    assert_ne!(plan.backup.unwrap(), abandoned.run.backup);
}
