//! What manifests hold on to.

use std::collections::{HashMap, HashSet};
use std::pin::pin;

use futures::StreamExt;

use super::owner::Owner;
use crate::catalog::search;
use crate::chain::{self, Link};
use crate::exit::{Failure, Status};
#[cfg(doc)]
use crate::manifest::Invalid;
use crate::store::{Archive, Listed};

/// What manifests hold on to, in whole keys.
#[derive(Debug, Default)]
pub(super) struct Reached {
    keys: HashSet<String>,
    /// Manifests that others stand on and that are not there. Whoever finds one
    /// again needs its chunks.
    missing: HashSet<String>,
    /// The ETags of the manifests that were read.
    manifests: HashMap<String, String>,
}

impl Reached {
    /// Reads every manifest among `listed`, and those that pointers name.
    ///
    /// # Errors
    /// [`Invalid`] when one cannot be understood, or a pointer names none;
    /// [`Status::TryLater`] when one vanished since it was listed; those of the
    /// store.
    pub(super) async fn read(archive: &Archive, listed: &[Listed]) -> anyhow::Result<Self> {
        let mut reached = Self::default();
        for object in search::manifests(archive, listed) {
            reached.manifests.insert(object.key.clone(), object.etag.clone());
        }
        let mut named = HashSet::new();
        let keys = reached.manifests.keys().cloned().collect();
        let mut read = pin!(search::read_each(archive, keys));
        while let Some((key, link)) = read.next().await {
            let link = link?.ok_or_else(|| vanished(archive, &key))?;
            named.extend(link.manifest.parent_manifest.clone());
            reached.add(link);
        }
        for name in search::pointers(archive, listed) {
            if let Some(link) = chain::find(archive, &name).await? {
                named.extend(link.manifest.parent_manifest.clone());
                reached.add(link);
            }
        }
        reached.missing = &named - &reached.keys;
        for key in &reached.missing {
            let url = archive.store.locate(key);
            log::warn!("{url} does not exist, and a backup stands on it; what it had is kept");
        }
        Ok(reached)
    }

    fn add(&mut self, link: Link) {
        let key = link.key.to_string();
        let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.keys.insert(format!("{folder}/RESTORE.txt"));
        self.keys.insert(key);
        self.keys.extend(link.manifest.chunks.into_iter().map(|chunk| chunk.key));
        self.keys.extend(link.manifest.parts.map(|parts| parts.key));
    }

    /// Whether a manifest holds on to this.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether a backup stands on that of this owner, although its manifest is
    /// not there. `prefix` is the archive's.
    pub(super) fn misses(&self, prefix: &str, owner: &Owner) -> bool {
        self.missing.contains(&format!("{prefix}{}", owner.manifest()))
    }

    /// The ETag of the manifest with this whole key, as it was listed.
    pub(super) fn etag(&self, manifest: &str) -> Option<&str> {
        self.manifests.get(manifest).map(String::as_str)
    }
}

fn vanished(archive: &Archive, key: &str) -> Failure {
    let url = archive.store.locate(key);
    let what = format!("{url} was removed while the archive was looked at: run gc again");
    Failure::new(Status::TryLater, what)
}
