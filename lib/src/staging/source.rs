//! The snapshot that a backup was made of, where it is on this machine.

use std::path::{Path, PathBuf};

use crate::btrfs;
use crate::record::Snapshot;

/// The path of the snapshot that a manifest means, or why it cannot be compared
/// with.
pub(super) fn find(said: &Snapshot) -> Result<PathBuf, String> {
    let (Some(uuid), Some(ctransid)) = (said.uuid, said.ctransid) else {
        return Err("its manifest does not say which snapshot it was made of".to_owned());
    };
    let path = Path::new(&said.path);
    let shown = path.display();
    let info = match btrfs::info(path) {
        Ok(info) if path.is_absolute() => info,
        _ => return Err(format!("the snapshot that it was made of, {shown}, is not here")),
    };
    if info.uuid != uuid {
        return Err(format!("{shown} is another snapshot than the one that it was made of"));
    }
    if !info.read_only || info.ctransid != ctransid {
        return Err(format!("the snapshot that it was made of, {shown}, was changed since"));
    }
    Ok(path.to_owned())
}
