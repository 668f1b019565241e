//! What a snapshot's tree holds: the places of nested subvolumes, and a random
//! choice of files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rand::Rng;

/// The inode of the empty directory that stands in a snapshot where its source
/// holds another subvolume. It is no part of the snapshot and is never sent.
const STUB: u64 = 2;

/// What was found, as paths relative to the top.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The places of nested subvolumes.
    pub(super) stubs: Vec<PathBuf>,
    /// The regular files that were chosen.
    pub(super) chosen: Vec<PathBuf>,
    /// How many regular files there are.
    pub(super) files: u64,
}

impl Tree {
    /// Walks the tree at `top`, and chooses `wanted` of its files at random.
    pub(super) fn walk(top: &Path, wanted: usize) -> io::Result<Self> {
        let (mut tree, mut left) = (Self::default(), vec![PathBuf::new()]);
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(top.join(&dir))? {
                let entry = entry?;
                let (path, kind) = (dir.join(entry.file_name()), entry.file_type()?);
                if kind.is_file() {
                    tree.file(path, wanted);
                } else if kind.is_dir() {
                    let stub = entry.metadata()?.ino() == STUB;
                    if stub { tree.stubs.push(path) } else { left.push(path) }
                }
            }
        }
        Ok(tree)
    }

    /// Keeps each of the files so far with the same chance (reservoir sampling).
    fn file(&mut self, path: PathBuf, wanted: usize) {
        self.files += 1;
        if self.chosen.len() < wanted {
            self.chosen.push(path);
        } else if wanted > 0 {
            let at = rand::rng().random_range(0..self.files);
            if let Some(chosen) = usize::try_from(at).ok().and_then(|at| self.chosen.get_mut(at)) {
                *chosen = path;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_sample_is_of_the_tree_without_repetition_and_now_another() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..40 {
            let folder = dir.path().join(format!("{}/deep", number % 5));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        let sample = |wanted| {
            let tree = Tree::walk(dir.path(), wanted).unwrap();
            assert_eq!(tree.files, 40);
            tree.chosen.into_iter().collect::<BTreeSet<_>>()
        };
        assert_eq!(sample(0).len(), 0);
        assert_eq!(sample(7).len(), 7);
        assert_eq!(sample(1000).len(), 40);
        assert!(sample(7).iter().all(|path| dir.path().join(path).is_file()));
        // All forty were chosen at some time: 0.825^200 is nothing.
        let all: BTreeSet<_> = (0..200).flat_map(|_| sample(7)).collect();
        assert_eq!(all.len(), 40);
    }
}
