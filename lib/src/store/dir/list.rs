//! Lists in the order of the keys' bytes, page by page.

use std::fs::DirEntry;
use std::io;
use std::path::Path;

use super::super::{Listed, Page};
use super::files::{RESERVED, is_absent, meta_of};

/// The most entries of a page: S3's number.
const PAGE_MAX: usize = 1000;

/// One page of the keys below `root` that begin with `prefix` and come after
/// `after`. Folded, everything behind the next `/` counts as one folder.
pub(super) fn page(root: &Path, prefix: &str, fold: bool, after: Option<&str>) -> io::Result<Page> {
    let mut lister = Lister { prefix, fold, after, page: Page::default(), last: String::new() };
    // Keys with this prefix all lie below its last folder.
    let folder = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
    if folder.split('/').any(|part| part == ".." || part == ".") {
        return Ok(Page::default());
    }
    lister.walk(&root.join(folder), folder)?;
    Ok(lister.page)
}

struct Lister<'a> {
    prefix: &'a str,
    fold: bool,
    after: Option<&'a str>,
    page: Page,
    /// The last key or folder of the page.
    last: String,
}

impl Lister<'_> {
    /// Adds what lies in `dir`, whose keys begin with `base`. False when the page
    /// is full.
    fn walk(&mut self, dir: &Path, base: &str) -> io::Result<bool> {
        for (name, entry) in sorted(dir, base)? {
            let full = self.page.objects.len() + self.page.folders.len() == PAGE_MAX;
            if !self.wanted(&name) {
                continue;
            }
            let below_prefix = name.len() >= self.prefix.len();
            let more = match name.ends_with('/') {
                true if self.fold && below_prefix => self.folder(&entry.path(), name, full)?,
                true => self.walk(&entry.path(), &name)?,
                false => self.object(&entry, name, full)?,
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `name`, or for a folder something in it, may belong on this page.
    fn wanted(&self, name: &str) -> bool {
        let folder = name.ends_with('/');
        let begins = name.starts_with(self.prefix) || (folder && self.prefix.starts_with(name));
        let later = self.after.is_none_or(|after| {
            name > after || (folder && after.starts_with(name) && after != name)
        });
        begins && later
    }

    fn folder(&mut self, dir: &Path, name: String, full: bool) -> io::Result<bool> {
        // A folder is there only as long as something is in it.
        if self.after.is_some_and(|after| after.starts_with(&name)) || !holds_objects(dir)? {
            return Ok(true);
        }
        if full {
            return Ok(self.stop());
        }
        self.last.clone_from(&name);
        self.page.folders.push(name);
        Ok(true)
    }

    fn object(&mut self, entry: &DirEntry, name: String, full: bool) -> io::Result<bool> {
        let metadata = match entry.metadata() {
            Err(error) if is_absent(&error) => return Ok(true),
            metadata => metadata?,
        };
        if full {
            return Ok(self.stop());
        }
        let meta = meta_of(&metadata);
        self.last.clone_from(&name);
        self.page.objects.push(Listed {
            key: name,
            size: meta.size,
            etag: meta.etag,
            modified: meta.modified,
            storage_class: meta.storage_class,
        });
        Ok(true)
    }

    fn stop(&mut self) -> bool {
        self.page.next = Some(self.last.clone());
        false
    }
}

/// The entries of `dir` with their keys, folders with a final `/`, in the order
/// of the keys' bytes: `a-b` comes before `a/b`. What no key can name is left
/// out, and so are links.
fn sorted(dir: &Path, base: &str) -> io::Result<Vec<(String, DirEntry)>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{base}{name}")) else {
            continue;
        };
        if kind.is_dir() && name != RESERVED {
            found.push((format!("{name}/"), entry));
        } else if kind.is_file() {
            found.push((name, entry));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn holds_objects(dir: &Path) -> io::Result<bool> {
    for (name, entry) in sorted(dir, "/")? {
        if !name.ends_with('/') || holds_objects(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// All pages of a list, as keys and folders.
    fn all(root: &Path, prefix: &str, fold: bool) -> Vec<String> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = page(root, prefix, fold, after.as_deref()).unwrap();
            found.extend(page.objects.into_iter().map(|object| object.key));
            found.extend(page.folders);
            match page.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn lists_are_the_keys_in_byte_order_folded_or_not(
            names in prop::collection::btree_set("[a-b]{1,2}([-/0][a-b]{1,2}){0,2}", 0..12),
            prefix in "([a-b]{1,2}[-/]?){0,2}",
        ) {
            let root = tempfile::tempdir().unwrap();
            let mut keys = BTreeSet::new();
            for name in names {
                let path = root.path().join(&name);
                let made = std::fs::create_dir_all(path.parent().unwrap());
                // A file cannot lie below another file.
                if made.is_ok() && !path.is_dir() && std::fs::write(&path, "").is_ok() {
                    keys.insert(name);
                }
            }
            let wanted: Vec<_> = keys.iter().filter(|key| key.starts_with(&prefix)).collect();
            prop_assert_eq!(all(root.path(), &prefix, false), wanted.clone().into_iter().cloned().collect::<Vec<_>>());
            let folded: BTreeSet<_> = wanted.iter().map(|key| {
                let rest = &key[prefix.len()..];
                rest.find('/').map_or(key.as_str(), |end| &key[..prefix.len() + end + 1])
            }).collect();
            let found: BTreeSet<_> = all(root.path(), &prefix, true).into_iter().collect();
            prop_assert_eq!(found, folded.into_iter().map(str::to_owned).collect());
        }
    }

    #[test]
    fn pages_follow_each_other_without_loss_or_repetition() {
        let root = tempfile::tempdir().unwrap();
        let mut keys = Vec::new();
        for folder in ["a", "a-b", "b"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
            for i in 0..450 {
                let key = format!("{folder}/{i:03}");
                std::fs::write(root.path().join(&key), "").unwrap();
                keys.push(key);
            }
        }
        keys.sort();
        let first = page(root.path(), "", false, None).unwrap();
        assert_eq!(first.objects.len(), 1000);
        assert_eq!(first.next.as_ref(), Some(&keys[999]));
        assert_eq!(all(root.path(), "", false), keys);
        assert_eq!(all(root.path(), "", true), ["a-b/", "a/", "b/"]);
    }
}
