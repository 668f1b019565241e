//! Whether a run that did not come to its end is gone on with.
//!
//! What was begun counts for more than the schedule: parts that are stored cost
//! nothing to keep, and no backup is younger than one that is nearly there. But
//! what is published must follow the current backup, and what is sent again must
//! be the stream of which the parts are.

use jiff::civil::Date;

use super::decide::Case;
use super::parent;
use crate::journal::{FRUITLESS_MAX, Past, Stage};
use crate::names::Kind;
use crate::publish::{manifest_key, may_replace};
use crate::record::{Action, Current, Parent, Run};
use crate::store::{Key, Url};

/// How a run is gone on with.
#[derive(Clone, Debug)]
pub(super) enum On {
    /// Its snapshot is sent again, on this parent.
    Resume(Option<Box<Parent>>),
    /// What it stored is published.
    Publish,
    /// It is published; state and snapshots may not be up to date.
    Finish,
}

/// How the run is gone on with, or why it is not.
pub(super) fn judge(past: &Past, case: &Case<'_>, full: bool) -> Result<On, String> {
    let run = &past.run;
    let uploaded = match past.stage() {
        Stage::GivenUp(why) => return Err(why),
        Stage::Uploaded => true,
        Stage::Unfinished => false,
    };
    if full && run.kind == Kind::Incremental {
        return Err("--full asks for a full backup".to_owned());
    }
    if uploaded && past.fruitless >= FRUITLESS_MAX {
        return Err(format!("{} attempts to publish it failed", past.fruitless));
    }
    match case.current {
        Some(current) if makes(run, &current.manifest_key) => {
            return match uploaded && current.chain.missing.is_empty() {
                true => Ok(On::Finish),
                false => Err("it is published".to_owned()),
            };
        }
        current => follows(run, current)?,
    }
    if uploaded {
        return Ok(On::Publish);
    }
    let snapshot = run.snapshot.as_ref().ok_or("it is of no snapshot")?;
    parent::sent(snapshot, case.snapshots)?;
    let parent = match (run.kind, case.current) {
        (Kind::Incremental, Some(current)) => Some(parent::find(current, case.snapshots)?.into()),
        _ => None,
    };
    Ok(On::Resume(parent))
}

/// Whether the manifest with this key is, or will be, that of the run.
pub(super) fn makes(run: &Run, key: &str) -> bool {
    let url: Option<Url> = run.store.parse().ok();
    let own = url.and_then(|url| manifest_key(&url, &run.backup).ok());
    own.as_ref().map(Key::as_str) == Some(key)
}

/// Whether the run's backup may take the place of the current one.
fn follows(run: &Run, current: Option<&Current>) -> Result<(), String> {
    match (run.kind, current) {
        (Kind::Full, Some(current))
            if !may_replace(run, &current.manifest_key, current.created_at) =>
        {
            Err("a backup that is no older was published meanwhile".to_owned())
        }
        (Kind::Full, _) => Ok(()),
        (Kind::Incremental, Some(current)) if builds_on(run, current) => {
            match current.chain.missing.is_empty() {
                true => Ok(()),
                false => Err("the archive has lost objects that it builds on".to_owned()),
            }
        }
        (Kind::Incremental, _) => {
            Err("the backup that it builds on is not the current one any more".to_owned())
        }
    }
}

fn builds_on(run: &Run, current: &Current) -> bool {
    run.parent_manifest.as_deref() == Some(&current.manifest_key)
        && run.parent_manifest_sha256.is_none_or(|sha256| sha256 == current.manifest_sha256)
}

impl On {
    pub(super) fn action(&self) -> Action {
        match self {
            Self::Resume(_) => Action::Resume,
            Self::Publish | Self::Finish => Action::Publish,
        }
    }

    /// Why, for people; `date` is the run's.
    pub(super) fn reason(&self, past: &Past, date: Date) -> String {
        match (self, parts(past)) {
            (Self::Resume(_), 0) => {
                format!("the upload of {date} was interrupted at its beginning, going on with it")
            }
            (Self::Resume(_), parts) => format!(
                "the upload of {date} was interrupted after {parts} part{}, going on with it",
                if parts == 1 { "" } else { "s" }
            ),
            (Self::Publish, _) => {
                format!("everything of {date} is stored, what is left is to publish it")
            }
            (Self::Finish, _) => {
                format!("the backup of {date} is published, what is left is to take note of it")
            }
        }
    }

    pub(super) fn parent(self) -> Option<Parent> {
        match self {
            Self::Resume(parent) => parent.map(|parent| *parent),
            Self::Publish | Self::Finish => None,
        }
    }
}

/// How many parts are stored.
fn parts(past: &Past) -> u64 {
    let of_chunk = |size: u64| size.div_ceil(past.run.part_size.max(1));
    let whole: u64 = past.objects.values().map(|object| of_chunk(object.size)).sum();
    let begun: usize = past.begun.values().map(|begun| begun.parts.len()).sum();
    whole + begun as u64
}

#[cfg(test)]
#[path = "unfinished_tests.rs"]
mod tests;
