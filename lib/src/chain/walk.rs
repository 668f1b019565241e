//! Walks from one backup down to its full.

use std::collections::HashSet;

use super::load::{Link, inside, load};
use crate::manifest::Invalid;
use crate::store::{Archive, Key};

/// The longest chain that is followed. A backup every hour makes fewer in a year.
pub const DEPTH_MAX: usize = 10_000;

/// A backup and what it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The backups that were found, the oldest first; never empty.
    pub links: Vec<Link>,
    /// The manifest that the oldest of them names as its parent and that is not
    /// there. `None` when the oldest is a full: then the chain is whole.
    pub missing: Option<Key>,
}

impl Chain {
    /// The chain, or the error that names the manifest it lacks.
    ///
    /// # Errors
    /// [`Invalid`] when a manifest is missing.
    pub fn whole(self, archive: &Archive) -> Result<Self, Invalid> {
        let (Some(missing), Some(child)) = (&self.missing, self.links.first()) else {
            return Ok(self);
        };
        let locate = |key: &Key| archive.store.locate(key.as_str());
        let what = format!("{} does not exist, so this backup cannot be restored", locate(missing));
        Err(Invalid::new(locate(&child.key), "parent_manifest", what))
    }
}

/// The chain of `newest`.
///
/// # Errors
/// [`Invalid`] when the chain loops, is too deep, leaves the subvolume, or holds
/// a parent that is not the one its child was made from; those of the store.
pub async fn walk(archive: &Archive, newest: Link) -> anyhow::Result<Chain> {
    let mut seen = HashSet::from([newest.key.clone()]);
    let mut links = vec![newest];
    let mut missing = None;
    while let Some(parent) = step(archive, &links, &mut seen)? {
        match load(archive, &parent).await? {
            Some(link) => {
                if let Some(child) = links.last() {
                    fits(archive, child, &link)?;
                }
                links.push(link);
            }
            None => {
                missing = Some(parent);
                break;
            }
        }
    }
    links.reverse();
    Ok(Chain { links, missing })
}

/// The key of the next parent, or `None` at the full: a sound manifest is a full
/// exactly when it has no parent.
fn step(
    archive: &Archive,
    links: &[Link],
    seen: &mut HashSet<Key>,
) -> Result<Option<Key>, Invalid> {
    let Some(child) = links.last() else { return Ok(None) };
    let Some(parent) = &child.manifest.parent_manifest else { return Ok(None) };
    let object = archive.store.locate(child.key.as_str());
    let field = "parent_manifest";
    let key = inside(archive, parent, &object, field)?;
    if !seen.insert(key.clone()) {
        return Err(Invalid::new(object, field, "the chain comes back to itself"));
    }
    if links.len() >= DEPTH_MAX {
        let what = format!("no full within {DEPTH_MAX} backups");
        return Err(Invalid::new(object, field, what));
    }
    Ok(Some(key))
}

/// Whether `parent` is what `child` was made from. Old archives know less, and
/// what one side does not know is not compared.
pub(crate) fn fits(archive: &Archive, child: &Link, parent: &Link) -> Result<(), Invalid> {
    let object = archive.store.locate(child.key.as_str());
    let parent_url = archive.store.locate(parent.key.as_str());
    let invalid = |field: &str, what: String| Err(Invalid::new(&object, field, what));
    if parent.subvolume != child.subvolume {
        let name = &parent.subvolume;
        return invalid("parent_manifest", format!("{parent_url} is of the subvolume {name}"));
    }
    if child.manifest.parent_manifest_sha256.is_some_and(|sha256| sha256 != parent.sha256) {
        let what = format!("{parent_url} has changed since: its SHA-256 is {}", parent.sha256);
        return invalid("parent_manifest_sha256", what);
    }
    match (child.manifest.snapshot.parent_uuid, parent.manifest.snapshot.uuid) {
        (Some(wanted), Some(found)) if wanted != found => {
            let what = format!("{wanted}, and the snapshot in {parent_url} has {found}");
            invalid("snapshot.parent_uuid", what)
        }
        _ => Ok(()),
    }
}
