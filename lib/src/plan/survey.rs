//! What is on this machine: the subvolumes, what is nested in them, the snapshots.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::btrfs::{self, Found};
use crate::config::{Config, Subvolume};
use crate::exit::Failure;

/// What a plan needs to know of the machine.
#[derive(Debug)]
pub(super) struct Survey {
    /// Where snapshots are made.
    pub(super) base_dir: PathBuf,
    /// The subvolumes in it, whoever made them.
    pub(super) snapshots: Vec<Found>,
    /// For each subvolume of the plan: what is nested in it and in no backup.
    pub(super) nested: Vec<Vec<PathBuf>>,
}

impl Survey {
    /// Looks at the machine, and refuses what cannot be backed up as it is.
    pub(super) fn take(config: &Config, chosen: &[&Subvolume]) -> anyhow::Result<Self> {
        let base_dir = base_dir(config)?.to_owned();
        let filesystem = btrfs::filesystem_id(&base_dir).context(BASE_DIR)?;
        let snapshots = snapshots(&base_dir)?;
        for Subvolume { path, .. } in chosen {
            let info = btrfs::info(path).context("subvolumes.paths")?;
            refuse_received(path, &info)?;
            if btrfs::filesystem_id(path).context("subvolumes.paths")? != filesystem {
                return Err(Failure::config(format!(
                    "snapshots.base_dir {} and the subvolume {} are on different filesystems: \
                     choose a directory on the subvolume's own",
                    base_dir.display(),
                    path.display()
                ))
                .into());
            }
        }
        let nested = chosen.iter().map(|subvolume| left_out(config, &base_dir, subvolume));
        let nested = nested.collect::<anyhow::Result<_>>()?;
        Ok(Self { base_dir, snapshots, nested })
    }
}

const BASE_DIR: &str = "snapshots.base_dir";

/// The snapshot directory, which only those need who make or delete snapshots.
pub(super) fn base_dir(config: &Config) -> Result<&Path, Failure> {
    config.snapshots.base_dir.as_deref().ok_or_else(|| {
        Failure::config(
            "snapshots.base_dir is not set: name a directory for snapshots, on the filesystem \
             of the subvolumes",
        )
    })
}

/// The subvolumes in the snapshot directory.
pub(super) fn snapshots(base_dir: &Path) -> anyhow::Result<Vec<Found>> {
    btrfs::snapshots_in(base_dir).context(BASE_DIR)
}

/// Every read-only snapshot of such a subvolume would inherit its received UUID,
/// and all of them would pass for one and the same (measured).
fn refuse_received(path: &Path, info: &btrfs::Info) -> Result<(), Failure> {
    let Some(received) = info.received_uuid else { return Ok(()) };
    let path = path.display();
    Err(Failure::config(format!(
        "the subvolume {path} carries the received UUID {received}, which all its snapshots would \
         share: put a writable snapshot of it, which carries none, in its place (btrfs subvolume \
         snapshot {path} NEW)"
    )))
}

/// What is nested in a subvolume, unless it is meant to be left out, is backed
/// up by itself, or lies where snapshots are made.
fn left_out(
    config: &Config,
    base_dir: &Path,
    subvolume: &Subvolume,
) -> anyhow::Result<Vec<PathBuf>> {
    let nested = btrfs::nested(&subvolume.path).context("subvolumes.paths")?;
    Ok(unexpected(config, base_dir, subvolume, nested))
}

fn unexpected(
    config: &Config,
    base_dir: &Path,
    subvolume: &Subvolume,
    nested: Vec<PathBuf>,
) -> Vec<PathBuf> {
    let others = config.subvolumes.iter().map(|other| &other.path);
    let own: Vec<_> = others.filter(|other| other.starts_with(&subvolume.path)).collect();
    let expected = |path: &PathBuf| {
        path.starts_with(base_dir)
            || subvolume.accept_nested.iter().any(|accepted| path.starts_with(accepted))
            || own.iter().any(|other| **other != subvolume.path && path.starts_with(other))
    };
    nested.into_iter().filter(|path| !expected(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_backup_holds_and_nobody_meant_is_named() {
        let subvolume = |path: &str, name: &str, accept: &[&str]| Subvolume {
            path: path.into(),
            name: name.parse().unwrap(),
            accept_nested: accept.iter().map(PathBuf::from).collect(),
        };
        let subvolumes =
            vec![subvolume("/", "root", &["/var/lib/machines"]), subvolume("/home", "home", &[])];
        let config = Config { subvolumes, ..Config::default() };
        let nested = [
            "/home",
            "/home/alice/vm",
            "/snapshots/root__20260101T020000Z__full",
            "/srv/raw",
            "/srv/raw/deeper",
            "/var/lib/machines",
            "/var/lib/machines/debian",
        ];
        let nested = nested.map(PathBuf::from).to_vec();
        let base_dir = Path::new("/snapshots");
        let found = unexpected(&config, base_dir, &config.subvolumes[0], nested);
        assert_eq!(found, ["/srv/raw", "/srv/raw/deeper"].map(PathBuf::from));
        let found =
            unexpected(&config, base_dir, &config.subvolumes[1], vec!["/home/alice/vm".into()]);
        assert_eq!(found, [PathBuf::from("/home/alice/vm")]);
    }
}
