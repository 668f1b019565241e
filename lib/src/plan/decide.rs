//! The rules: full, incremental or nothing, or on with what was begun, and why.

use std::path::{Path, PathBuf};

use super::Options;
use super::cadence::{Age, Cadence};
use super::{parent, unfinished};
use crate::btrfs::Found;
use crate::config::{Config, Subvolume};
use crate::journal::Past;
use crate::names::{BackupId, Kind, SnapshotName};
use crate::record::{Action, Current, Parent, Plan, Run, Snapshot, SnapshotPlace, VERSION};
use crate::time::Time;

/// What is known of one subvolume.
#[derive(Clone, Debug)]
pub(super) struct Case<'a> {
    /// The subvolume.
    pub(super) subvolume: &'a Subvolume,
    /// What is nested in it and in no backup.
    pub(super) nested: Vec<PathBuf>,
    /// Where its snapshots are made.
    pub(super) base_dir: &'a Path,
    /// The subvolumes in there, whoever made them.
    pub(super) snapshots: &'a [Found],
    /// Its newest backup in the archive.
    pub(super) current: Option<&'a Current>,
    /// What the journal tells of its last run in the same archive.
    pub(super) past: Option<&'a Past>,
}

/// What is to be done, and why.
#[derive(Clone, Debug)]
enum Verdict {
    Full(String),
    Incremental(String, Box<Parent>),
    Skip(String),
}

/// The plan for one subvolume.
pub(super) fn decide(config: &Config, options: &Options, case: Case<'_>) -> Plan {
    let cadence = Cadence::new(config.schedule.run_at, &options.now);
    let Some(past) = case.past else { return afresh(config, options, &case, &cadence) };
    let date = cadence.date(past.run.created_at);
    match unfinished::judge(past, &case, options.full) {
        Ok(on) => {
            let (action, reason, run) = (on.action(), on.reason(past, date), &past.run);
            go_on(run, on.parent(), Plan { action, reason, ..nothing(&case) })
        }
        Err(why) => {
            let plan = afresh(config, options, &case, &cadence);
            let reason = format!("{}; the run of {date} is not gone on with: {why}", plan.reason);
            Plan { reason, ..plan }
        }
    }
}

/// A plan in which nothing is due.
fn nothing(case: &Case<'_>) -> Plan {
    Plan {
        version: VERSION,
        subvolume: case.subvolume.name.clone(),
        path: text(&case.subvolume.path),
        action: Action::Skip,
        reason: String::new(),
        backup: None,
        kind: None,
        created_at: None,
        snapshot: None,
        parent: None,
        replaces: case.current.map(|current| current.manifest_key.clone()),
        send_args: Vec::new(),
        run: None,
        nested: case.nested.iter().map(|path| text(path)).collect(),
    }
}

/// Fills in what the run has settled.
fn go_on(run: &Run, parent: Option<Parent>, plan: Plan) -> Plan {
    let snapshot = run.snapshot.as_ref();
    let place = |snapshot: &Snapshot| SnapshotPlace {
        name: snapshot.name.clone(),
        path: snapshot.path.clone(),
    };
    Plan {
        backup: Some(run.backup.clone()),
        kind: Some(run.kind),
        created_at: Some(run.created_at),
        snapshot: snapshot.map(place),
        parent,
        replaces: run.replaces.clone(),
        send_args: run.send_args.clone(),
        run: (plan.action == Action::Resume).then(|| Box::new(run.clone())),
        ..plan
    }
}

fn afresh(config: &Config, options: &Options, case: &Case<'_>, cadence: &Cadence) -> Plan {
    let (action, kind, reason, parent) = match judge(config, options, case, cadence) {
        Verdict::Full(reason) => (Action::Full, Kind::Full, reason, None),
        Verdict::Incremental(reason, parent) => {
            (Action::Incremental, Kind::Incremental, reason, Some(*parent))
        }
        Verdict::Skip(reason) => return Plan { reason, ..nothing(case) },
    };
    let snapshot = new_snapshot(case, kind, &options.now);
    Plan {
        action,
        reason,
        backup: Some(BackupId::new(snapshot.subvolume.clone(), kind, snapshot.time)),
        kind: Some(kind),
        created_at: Some(snapshot.time),
        snapshot: Some(place(case.base_dir, &snapshot)),
        parent,
        send_args: config.snapshots.send_args.clone(),
        ..nothing(case)
    }
}

fn judge(config: &Config, options: &Options, case: &Case<'_>, cadence: &Cadence) -> Verdict {
    if options.full {
        return Verdict::Full("--full asks for a full backup".to_owned());
    }
    let Some(current) = case.current else {
        return Verdict::Full("there is no backup yet".to_owned());
    };
    if let [first, ..] = current.chain.missing.as_slice() {
        let count = current.chain.missing.len();
        return Verdict::Full(format!(
            "the archive has lost {count} of the objects that the last backup needs, first {first}"
        ));
    }
    if !options.once
        && let Some(reason) = full_is_due(config, cadence, current)
    {
        return Verdict::Full(reason);
    }
    let parent = match parent::find(current, case.snapshots) {
        Ok(parent) => Box::new(parent),
        Err(why) => return Verdict::Full(why),
    };
    if options.once {
        return Verdict::Incremental("--once asks for a backup".to_owned(), parent);
    }
    match incremental_is_due(config, cadence, current) {
        Ok(reason) => Verdict::Incremental(reason, parent),
        Err(reason) => Verdict::Skip(reason),
    }
}

/// A full whose time is ahead is not taken for old: another would be dear, and
/// it is only the clock that is wrong.
fn full_is_due(config: &Config, cadence: &Cadence, current: &Current) -> Option<String> {
    let full = current.chain.full_created_at;
    match cadence.age(full) {
        Age::Days(days) if days >= i64::from(config.schedule.full_every_days) => {
            Some(format!("the last full, of {}, is {} old", cadence.date(full), days_long(days)))
        }
        _ => None,
    }
}

/// Why an incremental is due, or else when it will be.
fn incremental_is_due(
    config: &Config,
    cadence: &Cadence,
    current: &Current,
) -> Result<String, String> {
    let (last, every) = (current.created_at, config.schedule.incremental_every_days);
    let date = cadence.date(last);
    match cadence.age(last) {
        Age::Future => Ok(format!(
            "the last backup is dated {date}, which is yet to come: a clock is or was wrong"
        )),
        Age::Days(days) if days >= i64::from(every) => {
            Ok(format!("the last backup, of {date}, is {} old", days_long(days)))
        }
        Age::Days(_) => Err(format!(
            "the last backup is of {date}, the next is due on {}",
            cadence.after(last, every)
        )),
    }
}

fn days_long(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

/// The name of the snapshot to make. Where this second is taken, by a run that
/// failed or one that was just made by hand, the next free one is used: a rerun
/// must not have to wait for the clock.
fn new_snapshot(case: &Case<'_>, kind: Kind, now: &jiff::Zoned) -> SnapshotName {
    let taken = |time: Time| {
        let name = |kind| {
            let subvolume = case.subvolume.name.clone();
            SnapshotName { subvolume, time, kind }.to_string()
        };
        let names = [name(Kind::Full), name(Kind::Incremental)];
        case.snapshots.iter().any(|found| names.contains(&found.name))
    };
    let seconds = (0..).map(|later| {
        let time = now.timestamp().saturating_add(jiff::SignedDuration::from_secs(later));
        Time::truncated(time.unwrap_or(now.timestamp()))
    });
    // As many seconds as there are snapshots, and one more, cannot all be taken.
    let free = seconds.take(case.snapshots.len() + 1).find(|time| !taken(*time));
    let time = free.unwrap_or(Time::truncated(now.timestamp()));
    SnapshotName { subvolume: case.subvolume.name.clone(), time, kind }
}

fn place(base_dir: &Path, snapshot: &SnapshotName) -> SnapshotPlace {
    let name = snapshot.to_string();
    SnapshotPlace { path: text(&base_dir.join(&name)), name }
}

/// Paths come from the config file, which is UTF-8; only nested subvolumes,
/// which are named for people alone, may be called otherwise.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
