//! The journal of a run: what is stored so far, for the attempt that comes after.
//!
//! One file a subvolume, `runs/<name>.jsonl` beside the state file, in the records
//! of [`crate::record`]. Promises that what is noted survives the death of this
//! process at once and a power cut within [`SYNC_EVERY`]; that the run itself, the
//! uploads that were begun and the chunks that are complete survive a power cut
//! when they have been noted; that one process at a time writes a journal; and
//! that whatever a crash left of it is read as what came before the damage.
//!
//! A journal claims, the store decides: what of it still holds is for
//! [`crate::upload`] to find out, whether a run is worth going on with for
//! [`crate::plan`].

mod past;
mod seal;
mod write;

#[cfg(test)]
mod tests;

pub use past::{Begun, Past, Stage};
pub use write::{Journal, SYNC_EVERY};

use std::io;
use std::path::{Path, PathBuf};

use crate::names::Name;

/// How many attempts in a row may store nothing before a run is given up.
pub const FRUITLESS_MAX: u32 = 5;

const FOLDER: &str = "runs";
const SUFFIX: &str = ".jsonl";

/// Where the journal of a subvolume's run lies. `state` is the state file.
pub fn path(state: &Path, name: &Name) -> PathBuf {
    folder(state).join(format!("{name}{SUFFIX}"))
}

/// The journals that there are, in the order of their names; those without a run
/// in them are left out.
///
/// # Errors
/// When the folder or a journal cannot be read: which.
pub fn all(state: &Path) -> io::Result<Vec<(PathBuf, Past)>> {
    let folder = folder(state);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| at(&folder, &error))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| at(&folder, &error))?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(SUFFIX));
        if !ours {
            continue;
        }
        if let Some(past) = Past::load(&path).map_err(|error| at(&path, &error))? {
            found.push((path, past));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// The same error, with the path at fault.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn folder(state: &Path) -> PathBuf {
    state.parent().unwrap_or(Path::new("/")).join(FOLDER)
}
