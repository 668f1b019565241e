//! What is to be done tonight, and what may go afterwards.
//!
//! Promises decisions that depend on nothing but what they are given: config,
//! current records, state, what Btrfs says of the snapshots, and the time
//! ([`decide`], [`retention`] and [`trust`] read no clock, file or environment).
//! Each says why, for people. This module makes and deletes nothing but the
//! state file; snapshots are the wrapper's business, the archive's are others'.

mod cadence;
mod decide;
mod input;
mod parent;
mod print;
mod retention;
mod survey;
mod trust;

#[cfg(test)]
mod testing;

pub use input::read_currents;
pub use print::{Fields, PlanField, PruneField, write_fields};

use anyhow::Context;

use crate::config::{Config, Subvolume};
use crate::exit::Failure;
use crate::names::Name;
use crate::record::{Current, Plan, Prune};
use crate::state::State;
use decide::{Case, decide};
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
    let cases = chosen.into_iter().zip(nested).map(|(subvolume, nested)| Case {
        subvolume,
        nested,
        base_dir: &base_dir,
        snapshots: &snapshots,
        current: current(&subvolume.name),
    });
    let plans: Vec<_> = cases.map(|case| decide(config, options, case)).collect();
    plans.iter().for_each(warn_of_nested);
    Ok(plans)
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

/// Takes note of what was just published, then names the local snapshots that
/// nothing needs any more.
///
/// # Errors
/// When the state cannot be written or the snapshots cannot be listed.
pub fn settle(config: &Config, published: &[Current]) -> anyhow::Result<Vec<Prune>> {
    let path = &config.global.state_path;
    let mut state = State::load(path);
    published.iter().for_each(|current| state.remember(current));
    state.save(path).with_context(|| format!("cannot write the state file {}", path.display()))?;
    let snapshots = survey::snapshots(survey::base_dir(config)?)?;
    let prunes = published
        .iter()
        .flat_map(|current| retention::prune(current, &snapshots, config.snapshots.retain));
    Ok(prunes.collect())
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
