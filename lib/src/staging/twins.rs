//! Finds subvolumes that `btrfs receive` could take for one of the chain.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::btrfs;
use crate::exit::Failure;

use super::input::Link;
use super::place::Place;

/// Refuses when a subvolume outside the staging directory, on its filesystem and
/// below its mount, was received from a stream of this chain. What is not mounted
/// there is found out after each stream, by the parent's UUID.
pub(super) fn refuse(place: &Place, chain: &[Link]) -> anyhow::Result<()> {
    let top = top(&place.base)?;
    let mut all = btrfs::nested(&top)?;
    all.push(top);
    for path in all.into_iter().filter(|path| !path.starts_with(&place.dir)) {
        // It may have gone since, or something else be mounted over it.
        let Some(received) = btrfs::info(&path).ok().and_then(|info| info.received_uuid) else {
            continue;
        };
        if let Some(link) = chain.iter().find(|link| link.backup.snapshot.uuid == Some(received)) {
            return Err(twin(&path, received, link.name()).into());
        }
    }
    Ok(())
}

/// The highest directory on the same filesystem: where it is mounted.
fn top(base: &Path) -> Result<PathBuf, btrfs::Error> {
    let filesystem = btrfs::filesystem_id(base)?;
    let same = |dir: &&Path| btrfs::filesystem_id(dir).is_ok_and(|id| id == filesystem);
    let top = base.ancestors().take_while(same).last();
    Ok(top.unwrap_or(base).to_owned())
}

fn twin(path: &Path, received: Uuid, name: &str) -> Failure {
    let path = path.display();
    Failure::usage(format!(
        "the subvolume {path} was received from {name} of this chain too (received UUID \
         {received}), and btrfs receive could build on it instead: restore to another filesystem, \
         or delete it if nothing needs it (btrfs subvolume delete {path})"
    ))
}
