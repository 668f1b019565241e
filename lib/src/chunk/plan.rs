//! The plan that a stream carries out, and whether the stream does.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;

use crate::exit::Failure;
use crate::names::Kind;
use crate::record::{Plan, Reader, Typed};
use crate::send_stream::Identity;

/// Reads the one plan record in the file at `path`.
///
/// # Errors
/// [`std::io::Error`] when the file cannot be opened, [`crate::record::Error`]
/// when it holds no sound record, a [`Failure`] when it holds no plan, several,
/// or one that asks for nothing to be sent.
pub fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot open the plan {name}"))?;
    let mut reader = Reader::new(BufReader::new(file), name.clone());
    let Some(raw) = reader.next(&[Plan::TYPE])? else {
        return Err(Failure::data(format!("{name} holds no plan record")).into());
    };
    let plan: Plan = raw.decode()?;
    if reader.next(&[Plan::TYPE])?.is_some() {
        return Err(Failure::data(format!("{name} holds more than one plan record")).into());
    }
    check(&plan).map_err(|what| Failure::data(format!("the plan in {name} {what}")))?;
    Ok(plan)
}

/// What makes a plan unfit to be carried out.
fn check(plan: &Plan) -> Result<(), &'static str> {
    match (plan.kind, &plan.snapshot, &plan.parent) {
        _ if plan.backup.is_none() => Err("asks for no backup"),
        (None, ..) | (_, None, _) => Err("does not say what to send"),
        (Some(Kind::Full), _, Some(_)) => Err("names a parent for a full backup"),
        (Some(Kind::Incremental), _, None) => Err("names no parent for an incremental backup"),
        _ => Ok(()),
    }
}

/// Checks that the stream is the one that the plan asks for.
///
/// # Errors
/// A [`Failure`] with [`crate::exit::Status::Data`] that names both sides.
pub(super) fn carried_out(plan: &Plan, stream: &Identity) -> Result<(), Failure> {
    let planned = plan.snapshot.as_ref().map_or("", |snapshot| &snapshot.name);
    if planned != stream.snapshot_name {
        return Err(Failure::data(format!(
            "the send stream holds snapshot {:?}, the plan asks for {planned:?}",
            stream.snapshot_name
        )));
    }
    let kind = if stream.parent.is_some() { Kind::Incremental } else { Kind::Full };
    if plan.kind != Some(kind) {
        return Err(Failure::data(format!(
            "the send stream of {planned:?} is of kind {}, the plan asks for {}",
            kind.word(),
            plan.kind.map_or("none", Kind::word)
        )));
    }
    let parents = (plan.parent.as_ref().map(|p| p.uuid), stream.parent.map(|p| p.uuid));
    if let (Some(planned_parent), Some(parent)) = parents
        && planned_parent != parent
    {
        return Err(Failure::data(format!(
            "the send stream of {planned:?} builds on subvolume {parent}, the plan asks for \
             {planned_parent} as the parent"
        )));
    }
    Ok(())
}
