use proptest::prelude::*;
use uuid::Uuid;

use super::super::testing::{CREATED_AT, NAME, UUID, current, found, options, recorded};
use super::*;
use crate::record::Digest;

fn subvolume() -> Subvolume {
    Subvolume { path: "/srv/data".into(), name: "data".parse().unwrap(), accept_nested: Vec::new() }
}

fn plan(options: &Options, current: Option<&Current>, snapshots: &[Found]) -> Plan {
    let subvolume = subvolume();
    let case = Case {
        subvolume: &subvolume,
        nested: Vec::new(),
        base_dir: Path::new("/snapshots"),
        snapshots,
        current,
        past: None,
    };
    decide(&Config::default(), options, case)
}

fn verdict(plan: &Plan) -> (Action, &str) {
    (plan.action, &plan.reason)
}

const WEEK_LATER: &str = "2026-01-08T02:00:01Z";

#[test]
fn the_first_backup_is_a_full() {
    let plan = plan(&options(WEEK_LATER), None, &[]);
    assert_eq!(verdict(&plan), (Action::Full, "there is no backup yet"));
    assert_eq!(plan.kind, Some(Kind::Full));
    assert_eq!(plan.created_at.unwrap().to_string(), WEEK_LATER);
    let snapshot = plan.snapshot.unwrap();
    assert_eq!(snapshot.name, "data__20260108T020001Z__full");
    assert_eq!(snapshot.path, "/snapshots/data__20260108T020001Z__full");
    let backup = plan.backup.unwrap().to_string();
    assert!(backup.starts_with("subvol/data/full/20260108T020001Z-"), "{backup}");
    assert_eq!(plan.parent, None);
    assert_eq!(plan.path, "/srv/data");
}

#[test]
fn a_week_after_the_last_backup_comes_an_incremental_on_its_snapshot() {
    let plan = plan(&options(WEEK_LATER), Some(&current("data")), &[recorded()]);
    let expected = (Action::Incremental, "the last backup, of 2026-01-01, is 7 days old");
    assert_eq!(verdict(&plan), expected);
    assert_eq!(plan.snapshot.unwrap().name, "data__20260108T020001Z__inc");
    assert_eq!(plan.backup.unwrap().kind, Kind::Incremental);
    let parent = plan.parent.unwrap();
    assert_eq!(parent.name, NAME);
    assert_eq!(parent.path, format!("/snapshots/{NAME}"));
    assert_eq!(parent.uuid, UUID);
    assert_eq!(parent.manifest_key, current("data").manifest_key);
    assert_eq!(parent.manifest_sha256, Digest([7; 32]));
}

#[test]
fn until_then_nothing_is_due() {
    let plan = plan(&options("2026-01-08T01:59:59Z"), Some(&current("data")), &[recorded()]);
    let expected =
        (Action::Skip, "the last backup is of 2026-01-01, the next is due on 2026-01-08 at 02:00");
    assert_eq!(verdict(&plan), expected);
    assert_eq!((plan.kind, plan.backup, plan.snapshot, plan.parent), (None, None, None, None));
}

#[test]
fn once_ignores_the_cadence_and_full_forces_a_full() {
    let current = current("data");
    let mut options = options("2026-01-01T03:00:00Z");
    options.once = true;
    let plan_now = plan(&options, Some(&current), &[recorded()]);
    assert_eq!(verdict(&plan_now), (Action::Incremental, "--once asks for a backup"));
    let alone = plan(&options, Some(&current), &[]);
    assert_eq!(alone.action, Action::Full);
    options.now = "2027-01-01T03:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .to_zoned(options.now.time_zone().clone());
    assert_eq!(plan(&options, Some(&current), &[recorded()]).action, Action::Incremental);
    options.full = true;
    let full = plan(&options, Some(&current), &[recorded()]);
    assert_eq!(verdict(&full), (Action::Full, "--full asks for a full backup"));
    assert_eq!(full.parent, None);
}

#[test]
fn a_full_comes_when_the_last_one_is_old_enough_however_young_the_last_backup() {
    let mut current = current("data");
    current.created_at = "2026-06-29T02:00:00Z".parse().unwrap();
    let before = plan(&options("2026-06-30T01:00:00Z"), Some(&current), &[recorded()]);
    assert_eq!(before.action, Action::Skip);
    let after = plan(&options("2026-06-30T02:00:00Z"), Some(&current), &[recorded()]);
    let expected = (Action::Full, "the last full, of 2026-01-01, is 180 days old");
    assert_eq!(verdict(&after), expected);
}

#[test]
fn a_chain_with_a_hole_is_replaced_at_once() {
    let mut current = current("data");
    current.chain.missing = vec!["p/part-00000.bin".into(), "p/part-00001.bin".into()];
    let plan = plan(&options("2026-01-01T03:00:00Z"), Some(&current), &[recorded()]);
    let expected =
        "the archive has lost 2 of the objects that the last backup needs, first p/part-00000.bin";
    assert_eq!(verdict(&plan), (Action::Full, expected));
}

#[test]
fn without_its_parent_snapshot_a_full_is_made_and_the_reason_told() {
    let plan = plan(&options("2026-01-02T03:00:00Z"), Some(&current("data")), &[]);
    let expected = format!("the last backup's snapshot {NAME} is not there any more");
    assert_eq!(verdict(&plan), (Action::Full, expected.as_str()));
}

#[test]
fn a_clock_that_was_ahead_costs_an_incremental_and_no_full() {
    let mut current = current("data");
    current.created_at = "2036-01-01T02:00:00Z".parse().unwrap();
    current.chain.full_created_at = current.created_at;
    let plan = plan(&options("2026-01-02T02:00:00Z"), Some(&current), &[recorded()]);
    let expected =
        "the last backup is dated 2036-01-01, which is yet to come: a clock is or was wrong";
    assert_eq!(verdict(&plan), (Action::Incremental, expected));
}

#[test]
fn a_second_that_is_taken_is_passed_over() {
    let taken = [
        found("data__20260108T020001Z__inc", Uuid::from_u128(1), 1),
        found("data__20260108T020002Z__full", Uuid::from_u128(2), 2),
        found("home__20260108T020003Z__full", Uuid::from_u128(3), 3),
    ];
    let plan = plan(&options(WEEK_LATER), None, &taken);
    assert_eq!(plan.snapshot.unwrap().name, "data__20260108T020003Z__full");
    assert_eq!(plan.created_at.unwrap().to_string(), "2026-01-08T02:00:03Z");
    assert_eq!(plan.backup.unwrap().time, plan.created_at.unwrap());
}

#[test]
fn what_is_nested_and_how_to_send_are_handed_on() {
    let subvolume = subvolume();
    let case = Case {
        subvolume: &subvolume,
        nested: vec!["/srv/data/vm".into()],
        base_dir: Path::new("/snapshots"),
        snapshots: &[],
        current: None,
        past: None,
    };
    let mut config = Config::default();
    config.snapshots.send_args = vec!["--proto".into(), "2".into()];
    let plan = decide(&config, &options(CREATED_AT), case);
    assert_eq!(plan.nested, ["/srv/data/vm"]);
    assert_eq!(plan.send_args, ["--proto", "2"]);
}

proptest! {
    /// Nights with and without the machine on: as many incrementals and fulls
    /// come as the calendar says, and after a long sleep there is one, not many.
    #[test]
    fn over_the_years_backups_come_as_the_calendar_says(
        awake in prop::collection::vec(prop::bool::weighted(0.8), 800),
        incremental_every in 1_u32..20,
        full_every in 20_u32..200,
    ) {
        let mut config = Config::default();
        config.schedule.incremental_every_days = incremental_every;
        config.schedule.full_every_days = full_every;
        let subvolume = subvolume();
        let (mut last, mut full): (Option<usize>, usize) = (None, 0);
        let mut newest: Option<Current> = None;
        for (night, _) in awake.iter().enumerate().filter(|(_, awake)| **awake) {
            let start: jiff::Timestamp = "2026-01-01T02:00:01Z".parse().unwrap();
            let now = start.to_zoned(jiff::tz::TimeZone::UTC);
            let mut options = options(CREATED_AT);
            options.now = now.checked_add(jiff::Span::new().days(night as i64)).unwrap();
            let snapshots = [recorded()];
            let case = Case {
                subvolume: &subvolume,
                nested: Vec::new(),
                base_dir: Path::new("/snapshots"),
                snapshots: &snapshots,
                current: newest.as_ref(),
                past: None,
            };
            let plan = decide(&config, &options, case);
            let expected = match last {
                None => Action::Full,
                Some(_) if night - full >= full_every as usize => Action::Full,
                Some(last) if night - last >= incremental_every as usize => Action::Incremental,
                Some(_) => Action::Skip,
            };
            prop_assert_eq!(plan.action, expected, "night {}: {}", night, plan.reason);
            if expected == Action::Skip {
                continue;
            }
            let mut current = newest.take().unwrap_or_else(|| current("data"));
            current.created_at = plan.created_at.unwrap();
            last = Some(night);
            if expected == Action::Full {
                full = night;
                current.chain.full_created_at = current.created_at;
            }
            newest = Some(current);
        }
    }
}
