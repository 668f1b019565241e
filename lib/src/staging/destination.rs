//! Where a restore goes, before anything is asked of an archive.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::btrfs;
use crate::config::Config;
use crate::exit::Failure;
use crate::names::Name;

/// What the name of a staging directory begins with: the target's follows, so that
/// a later attempt finds what an earlier one left.
const STAGING: &str = ".btrfs-to-s3-restore.";

/// What the target's name is followed by in that of a directory for snapshots.
const KEPT: &str = ".snapshots";

/// Where a subvolume is to be restored to.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// At this path; the config's `target_base_dir` decides where none is given.
    Target(Option<&'a Path>),
    /// In this directory, for a while.
    Scratch(&'a Path),
}

/// The paths of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What is to be made; `None` when nothing is to stay.
    pub target: Option<PathBuf>,
    /// The staging directory.
    pub staging: PathBuf,
    /// Where the snapshots go that are to be kept.
    pub keep: PathBuf,
}

/// A path of a restore that `bts-plan --place --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum DestinationField {
    /// What is to be made; empty when nothing is to stay
    Target,
    /// The staging directory
    Staging,
    /// Where the snapshots go that are to be kept
    Keep,
}

impl Destination {
    /// Finds them for the subvolume `name`.
    ///
    /// # Errors
    /// [`crate::exit::Status::Usage`] when the target exists or is named nowhere, or
    /// when the directory that it would be made in is not there, or not on Btrfs.
    pub fn find(config: &Config, name: &Name, wanted: Wanted<'_>) -> Result<Self, Failure> {
        let (target, beside, label) = match wanted {
            Wanted::Scratch(dir) => (None, dir.to_owned(), format!("drill-{name}").into()),
            Wanted::Target(path) => {
                let target = target(config, name, path)?;
                let (beside, label) = split(&target)?;
                (Some(target), beside, label)
            }
        };
        let unfit = || {
            let shown = beside.display();
            Failure::usage(format!("{shown} is no directory on a Btrfs filesystem: choose another"))
        };
        let beside = fs::canonicalize(&beside).map_err(|_| unfit())?;
        let filesystem = btrfs::filesystem_id(&beside).map_err(|_| unfit())?;
        if !beside.is_dir() {
            return Err(unfit());
        }
        let same = |dir: &&Path| btrfs::filesystem_id(dir).is_ok_and(|id| id == filesystem);
        let base_dir = config.snapshots.base_dir.as_deref().filter(same);
        let keep = match base_dir.filter(|dir| !has_snapshots(dir, name)) {
            Some(base_dir) => base_dir.to_owned(),
            None => beside.join(joined(&[label.as_os_str(), KEPT.as_ref()])),
        };
        let staging = beside.join(joined(&[STAGING.as_ref(), label.as_os_str()]));
        Ok(Self { target, staging, keep })
    }

    /// One of them; empty where there is none.
    pub fn field(&self, field: DestinationField) -> &Path {
        match field {
            DestinationField::Target => self.target.as_deref().unwrap_or(Path::new("")),
            DestinationField::Staging => &self.staging,
            DestinationField::Keep => &self.keep,
        }
    }
}

/// Whether snapshots of the subvolume lie there: then this is the machine that made
/// them, and does not need others.
fn has_snapshots(dir: &Path, name: &Name) -> bool {
    let begin = format!("{name}__");
    let ours = |found: &btrfs::Found| found.name.starts_with(&begin);
    btrfs::snapshots_in(dir).map_or(true, |found| found.iter().any(ours))
}

fn joined(parts: &[&OsStr]) -> OsString {
    parts.iter().copied().collect()
}

fn target(config: &Config, name: &Name, path: Option<&Path>) -> Result<PathBuf, Failure> {
    let base = config.restore.target_base_dir.as_ref();
    let target = path.map(Path::to_owned).or_else(|| Some(base?.join(name.as_str())));
    let target = target.ok_or_else(|| {
        Failure::usage("nothing says where to: give --target PATH, or set restore.target_base_dir")
    })?;
    if fs::symlink_metadata(&target).is_ok() {
        let shown = target.display();
        let what = format!("{shown} exists: restore into a path that does not, then move it");
        return Err(Failure::usage(what));
    }
    Ok(target)
}

/// The directory that the target is in, and its name there.
fn split(target: &Path) -> Result<(PathBuf, OsString), Failure> {
    let absolute = std::path::absolute(target).ok();
    let parts = absolute.as_deref().and_then(|path| Some((path.parent()?, path.file_name()?)));
    let (beside, label) = parts.ok_or_else(|| {
        Failure::usage(format!("{} cannot be the path of a subvolume", target.display()))
    })?;
    Ok((beside.to_owned(), label.to_owned()))
}
