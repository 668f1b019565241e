//! Says whether two trees are the same to every program that looks at them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The inode of the empty directory that stands in a snapshot where its source
/// holds another subvolume. It is no part of the snapshot and is never sent.
const STUB: u64 = 2;

/// Panics unless `restored` holds just what `snapshot` does: names, contents,
/// owners, modes, times to the nanosecond, hard links, ACLs and xattrs.
#[track_caller]
pub fn assert_same(snapshot: &Path, restored: &Path) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-naHAXc", "--delete", "--itemize-changes", "--modify-window=-1"]);
    for stub in stubs(snapshot, snapshot) {
        rsync.arg(format!("--exclude=/{}", stub.display()));
    }
    // The slash makes rsync compare what is in them, their own metadata too.
    let output = rsync.arg(snapshot.join("")).arg(restored.join("")).output().expect("rsync");
    let differences = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && differences.is_empty() && said.is_empty(),
        "{} and {} differ:\n{differences}{said}",
        snapshot.display(),
        restored.display()
    );
}

/// The nested subvolumes' places below `dir`, relative to `root`.
fn stubs(root: &Path, dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder can be read") {
        let entry = entry.expect("a folder can be read");
        let metadata = entry.metadata().expect("what is listed has metadata");
        if !metadata.is_dir() {
            continue;
        }
        if metadata.ino() == STUB {
            found.extend(entry.path().strip_prefix(root).map(Path::to_path_buf));
        } else {
            found.extend(stubs(root, &entry.path()));
        }
    }
    found
}
