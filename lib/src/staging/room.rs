//! Whether what is still to be received may find room.

use anyhow::Context;
use nix::sys::statvfs::statvfs;

use crate::record::{Staged, StagedState};

use super::place::Place;

/// Warns when the streams that are still to come hold more bytes than are free.
/// No more than that: bytes of a stream are not bytes on disk.
pub(super) fn warn(place: &Place, all: &[Staged]) -> anyhow::Result<()> {
    let left = all.iter().filter(|one| one.state != StagedState::Staged);
    let left = left.map(|one| one.size).fold(0, u64::saturating_add);
    let dir = place.base.display();
    let asked =
        statvfs(&place.base).with_context(|| format!("cannot ask what is free in {dir}"))?;
    let free = asked.blocks_available().saturating_mul(asked.fragment_size());
    if left > free {
        log::warn!(
            "there may be too little room: {left} bytes of streams are to be received, {free} bytes \
             are free in {dir} (what a stream takes on disk may be less, or more)"
        );
    }
    Ok(())
}
