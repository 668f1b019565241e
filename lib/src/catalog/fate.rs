//! Which backups of a catalog can be restored: each with all that it stands on.

use std::collections::{HashMap, HashSet};

use super::read::Catalog;
use crate::chain::{DEPTH_MAX, Link, fits, objects_of};
use crate::manifest::Invalid;
use crate::store::Archive;

/// What comes of a backup when it is restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its chain holds together.
    Whole {
        /// The number of its backups.
        length: u64,
        /// The bytes of all their chunks.
        size: u64,
        /// The keys of what the store lacks or holds in another size.
        missing: Vec<String>,
    },
    /// Its chain contradicts itself: why, and whether it is this backup that does.
    Broken(String, bool),
}

/// The fate of each backup, by the key of its manifest.
pub(super) type Fates<'a> = HashMap<&'a str, Fate>;

/// Looks at every backup, its parent before it.
pub(super) fn fates<'a>(archive: &Archive, catalog: &'a Catalog) -> Fates<'a> {
    let mut fates = Fates::new();
    for key in catalog.links.keys() {
        for link in undecided(catalog, key, &fates).into_iter().rev() {
            fates.insert(link.key.as_str(), decide(archive, catalog, &fates, link));
        }
    }
    fates
}

/// The backup and what it stands on, down to what is decided, the full or the
/// place where the chain meets itself.
fn undecided<'a>(catalog: &'a Catalog, key: &'a str, fates: &Fates<'_>) -> Vec<&'a Link> {
    let (mut path, mut seen) = (Vec::new(), HashSet::new());
    let mut next = catalog.links.get(key);
    while let Some(link) = next.filter(|link| !fates.contains_key(link.key.as_str())) {
        if !seen.insert(link.key.as_str()) {
            break;
        }
        path.push(link);
        next = link.manifest.parent_manifest.as_ref().and_then(|key| catalog.links.get(key));
    }
    path
}

fn decide(archive: &Archive, catalog: &Catalog, fates: &Fates<'_>, link: &Link) -> Fate {
    let parent = match parent(archive, catalog, fates, link) {
        Ok(parent) => parent,
        Err(fate) => return fate,
    };
    let (mut length, mut size, mut missing) = (0, 0, Vec::new());
    if let Some((below, sum, lacks)) = parent {
        (length, size, missing) = (below, sum, lacks);
    }
    match objects_of(archive, link) {
        Err(invalid) => return Fate::Broken(invalid.to_string(), true),
        Ok(objects) => missing.extend(objects.into_iter().filter_map(|(key, size)| {
            let there = catalog.objects.get(key.as_str()).is_some_and(|found| found.0 == size);
            (!there).then(|| key.to_string())
        })),
    }
    let Some(size) = link.manifest.total_bytes.checked_add(size) else {
        return wrong(archive, link, "total_bytes", "the chain adds up to more than 2^64 bytes");
    };
    if length >= DEPTH_MAX as u64 {
        let what = format!("no full within {DEPTH_MAX} backups");
        return wrong(archive, link, "parent_manifest", what);
    }
    Fate::Whole { length: length + 1, size, missing }
}

/// What the chain of the parent comes to; `None` for a full.
fn parent(
    archive: &Archive,
    catalog: &Catalog,
    fates: &Fates<'_>,
    link: &Link,
) -> Result<Option<(u64, u64, Vec<String>)>, Fate> {
    let Some(key) = &link.manifest.parent_manifest else { return Ok(None) };
    let url = archive.store.locate(key);
    let Some(parent) = catalog.links.get(key) else {
        if catalog.broken.contains_key(key) {
            return Err(Fate::Broken(format!("it stands on {url}, which is broken"), false));
        }
        return Ok(Some((0, 0, vec![key.clone()])));
    };
    fits(archive, link, parent).map_err(|invalid| Fate::Broken(invalid.to_string(), true))?;
    match fates.get(key.as_str()) {
        None => Err(wrong(archive, link, "parent_manifest", "the chain comes back to itself")),
        Some(Fate::Broken(..)) => {
            Err(Fate::Broken(format!("it stands on {url}, which is broken"), false))
        }
        Some(Fate::Whole { length, size, missing }) => Ok(Some((*length, *size, missing.clone()))),
    }
}

fn wrong(archive: &Archive, link: &Link, field: &str, what: impl Into<String>) -> Fate {
    let object = archive.store.locate(link.key.as_str());
    Fate::Broken(Invalid::new(object, field, what).to_string(), true)
}
