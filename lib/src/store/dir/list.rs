//! Lists: the tree walked in the order of the keys' bytes.

use std::fs;
use std::io;
use std::path::Path;

use super::tree::{Tree, is_absent, meta, refuse_name};
use crate::store::{Listed, Page, Result};

/// How many entries a page has, as on S3.
const PAGE: usize = 1000;

impl Tree {
    pub(super) fn list(&self, prefix: &str, fold: bool, after: Option<&str>) -> Result<Page> {
        let root = self.root()?;
        // Keys below a folder that no key can name do not exist.
        let folder = prefix.rsplit_once('/').map(|(folder, _)| folder);
        if folder.is_some_and(|it| it.split('/').any(|name| refuse_name(name).is_some())) {
            return Ok(Page::default());
        }
        let base = folder.map_or(String::new(), |folder| format!("{folder}/"));
        let mut walk =
            Walk { root, prefix, fold, after: after.unwrap_or(""), page: Page::default() };
        walk.folder(&base).map_err(|error| self.error("list", prefix, &error))?;
        Ok(walk.finish())
    }
}

struct Walk<'a> {
    root: &'a Path,
    prefix: &'a str,
    fold: bool,
    after: &'a str,
    page: Page,
}

impl Walk<'_> {
    /// Adds what lies in the folder with the key `base` (empty, or ends with `/`).
    fn folder(&mut self, base: &str) -> io::Result<()> {
        for key in self.keys(base)? {
            if self.is_full() {
                break;
            }
            if !key.ends_with('/') {
                self.file(key)?;
            } else if self.fold {
                self.folded(key)?;
            } else if key.as_str() > self.after || self.after.starts_with(&key) {
                self.folder(&key)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, key: String) -> io::Result<()> {
        if key.as_str() <= self.after {
            return Ok(());
        }
        let found = match fs::metadata(self.root.join(&key)) {
            Ok(found) => meta(&found),
            // Removed meanwhile.
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.page.objects.push(Listed {
            key,
            size: found.size,
            etag: found.etag,
            modified: found.modified,
            storage_class: found.storage_class,
        });
        Ok(())
    }

    fn folded(&mut self, key: String) -> io::Result<()> {
        if key.as_str() > self.after && self.holds_objects(&key)? {
            self.page.folders.push(key);
        }
        Ok(())
    }

    fn holds_objects(&self, base: &str) -> io::Result<bool> {
        for key in self.keys_below(base, "")? {
            if !key.ends_with('/') || self.holds_objects(&key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn keys(&self, base: &str) -> io::Result<Vec<String>> {
        self.keys_below(base, self.prefix)
    }

    /// The keys directly below `base` that can lead to `prefix`, in order; those
    /// of folders end with `/`, which is what sorts `a-b` before `a/b`.
    fn keys_below(&self, base: &str, prefix: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(base)) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8, and one that is reserved, is no key's.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if refuse_name(&name).is_some() || name.chars().any(char::is_control) {
                continue;
            }
            let kind = entry.file_type()?;
            let slash = if kind.is_dir() { "/" } else { "" };
            let key = format!("{base}{name}{slash}");
            if (kind.is_dir() || kind.is_file()) && key.starts_with(prefix) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Whether the page holds more than it may, so that there is a next one.
    fn is_full(&self) -> bool {
        self.page.objects.len() + self.page.folders.len() > PAGE
    }

    fn finish(mut self) -> Page {
        if self.is_full() {
            let page = &mut self.page;
            let (object, folder) = (page.objects.last().map(|it| &it.key), page.folders.last());
            if object > folder {
                page.objects.pop();
            } else {
                page.folders.pop();
            }
            let last = page.objects.last().map(|it| &it.key).max(page.folders.last());
            page.next = last.cloned();
        }
        self.page
    }
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
            let page = Tree::new(root).list(prefix, fold, after.as_deref()).unwrap();
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
        let first = Tree::new(root.path()).list("", false, None).unwrap();
        assert_eq!(first.objects.len(), 1000);
        assert_eq!(first.next.as_ref(), Some(&keys[999]));
        assert_eq!(all(root.path(), "", false), keys);
        assert_eq!(all(root.path(), "", true), ["a-b/", "a/", "b/"]);
    }
}
