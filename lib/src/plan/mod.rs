//! What is to be done tonight, and what may go afterwards.
//!
//! Promises decisions that depend on nothing but what they are given: config,
//! current records, state, journals, what Btrfs says of the snapshots, and the
//! time ([`decide`], [`unfinished`], [`retention`] and [`trust`] read no clock, file
//! or environment). Each says why, for people. This module makes and deletes
//! nothing but the state file, and the journals of what is published; snapshots
//! are the wrapper's business, the archive's are others'.

mod cadence;
mod decide;
mod input;
mod parent;
mod print;
mod retention;
mod survey;
mod trust;
mod unfinished;

#[cfg(test)]
mod testing;

pub use input::read_currents;
pub use print::{Fields, PlanField, PruneField, RunField, write_fields};

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

use crate::config::{Config, Subvolume};
use crate::exit::Failure;
use crate::journal::{self, Journal, Past, Stage};
use crate::names::Name;
use crate::record::{Current, Plan, Prune, Run};
use crate::state::State;
use crate::store::Url;
use decide::{Case, decide};
use retention::prune;
use survey::Survey;

/// What the command line asks of a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Back up whatever the cadence says.
    pub once: bool,
    /// Make full backups.
    pub full: bool,
    /// Do without a backup that the state remembers and the archive lacks.
    pub new_archive: bool,
    /// The subvolumes to plan for; all where none is named.
    pub subvolumes: Vec<Name>,
    /// The archive to plan for, where one is named: runs in others are left alone.
    pub store: Option<Url>,
    /// The time to plan for, in the time zone that `run_at` is in.
    pub now: jiff::Zoned,
}

/// Plans for each subvolume, in the config's order. `currents` are the newest
/// backups that the archive holds.
///
/// # Errors
/// When a subvolume or the snapshot directory is not what the config says
/// ([`crate::exit::Status::Config`]), when archive and state contradict each
/// other ([`crate::exit::Status::Data`]), or when the machine does not answer.
pub fn tonight(
    config: &Config,
    options: &Options,
    currents: &[Current],
) -> anyhow::Result<Vec<Plan>> {
    let chosen = choose(config, &options.subvolumes)?;
    let state = State::load(&config.global.state_path);
    let current = |name: &Name| currents.iter().find(|current| current.subvolume == *name);
    for subvolume in &chosen {
        let name = &subvolume.name;
        trust::check(name, current(name), state.subvolumes.get(name), options.new_archive)?;
    }
    let Survey { base_dir, snapshots, nested } = Survey::take(config, &chosen)?;
    let mut plans = Vec::with_capacity(chosen.len());
    for (subvolume, nested) in chosen.into_iter().zip(nested) {
        let past = past(config, options, &subvolume.name)?;
        let case = Case {
            subvolume,
            nested,
            base_dir: &base_dir,
            snapshots: &snapshots,
            current: current(&subvolume.name),
            past: past.as_ref(),
        };
        plans.push(decide(config, options, case));
    }
    plans.iter().for_each(warn_of_nested);
    Ok(plans)
}

/// What the journal of a subvolume tells, if it is of the archive that is meant.
fn past(config: &Config, options: &Options, name: &Name) -> anyhow::Result<Option<Past>> {
    let path = journal::path(&config.global.state_path, name);
    let Some(past) = load(&path)? else { return Ok(None) };
    let Run { store, backup, .. } = &past.run;
    let url = options.store.as_ref().map(Url::to_string);
    if url.as_ref() == Some(store) && backup.subvolume == *name {
        return Ok(Some(past));
    }
    log::warn!(
        "{name}: the run of {backup} in {store} is left alone: it is of another archive than {}",
        url.as_deref().unwrap_or("none, as is planned for")
    );
    Ok(None)
}

fn load(path: &Path) -> anyhow::Result<Option<Past>> {
    Past::load(path).with_context(|| format!("cannot read the journal {}", path.display()))
}

/// The runs that a later attempt may go on with.
///
/// # Errors
/// When a journal cannot be read.
pub fn unfinished(config: &Config) -> anyhow::Result<Vec<Run>> {
    let journals = journal::all(&config.global.state_path).context("cannot read the journals")?;
    let alive = |past: &Past| !matches!(past.stage(), Stage::GivenUp(_));
    Ok(journals.into_iter().filter(|(_, past)| alive(past)).map(|(_, past)| past.run).collect())
}

/// How many nested subvolumes a warning names; the record names all.
const NESTED_NAMED: usize = 3;

fn warn_of_nested(plan: &Plan) {
    let Plan { subvolume, nested, .. } = plan;
    if nested.is_empty() {
        return;
    }
    let named = nested.iter().take(NESTED_NAMED).map(|path| format!("{path:?}"));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match nested.len().saturating_sub(NESTED_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    log::warn!(
        "{subvolume}: no backup holds the subvolumes nested in it: {named}{more}; add them to \
         subvolumes.paths, or to accept_nested if that is meant"
    );
}

/// Takes note of what was just published, removes the journals of it, then names
/// the local snapshots that nothing needs any more.
///
/// # Errors
/// When the state cannot be written, or the journals or the snapshots cannot be
/// listed.
pub fn settle(config: &Config, published: &[Current]) -> anyhow::Result<Vec<Prune>> {
    let path = &config.global.state_path;
    let mut state = State::load(path);
    published.iter().for_each(|current| state.remember(current));
    state.save(path).with_context(|| format!("cannot write the state file {}", path.display()))?;
    published.iter().try_for_each(|current| remove_journal(path, current))?;
    let needed = unfinished(config)?.into_iter().filter_map(|run| run.snapshot);
    let needed: BTreeSet<String> = needed.map(|snapshot| snapshot.name).collect();
    let snapshots = survey::snapshots(survey::base_dir(config)?)?;
    let retain = config.snapshots.retain;
    let prunes = published.iter().flat_map(|current| prune(current, &snapshots, &needed, retain));
    Ok(prunes.collect())
}

/// Removes the journal of the run whose backup this is, unless a process has it:
/// then that is for later.
fn remove_journal(state: &Path, published: &Current) -> anyhow::Result<()> {
    let path = journal::path(state, &published.subvolume);
    let done = |past: &Option<Past>| {
        past.as_ref().is_some_and(|past| unfinished::makes(&past.run, &published.manifest_key))
    };
    if !done(&load(&path)?) {
        return Ok(());
    }
    match Journal::open(&path) {
        // It may have been another's before it was ours.
        Ok((_journal, past)) if done(&past) => std::fs::remove_file(&path)
            .with_context(|| format!("cannot remove the journal {}", path.display())),
        Ok(_) => Ok(()),
        Err(busy) => {
            log::warn!("{busy}; its journal stays");
            Ok(())
        }
    }
}

fn choose<'a>(config: &'a Config, names: &[Name]) -> Result<Vec<&'a Subvolume>, Failure> {
    let all = &config.subvolumes;
    if all.is_empty() {
        return Err(Failure::config(
            "subvolumes.paths names no subvolume: say in the config file what to back up",
        ));
    }
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|s| s.name == **name)) {
        let known: Vec<_> = all.iter().map(|subvolume| subvolume.name.as_str()).collect();
        return Err(Failure::usage(format!(
            "no subvolume is called {unknown}: the config has {}",
            known.join(", ")
        )));
    }
    let chosen = all.iter().filter(|s| names.is_empty() || names.contains(&s.name));
    Ok(chosen.collect())
}
