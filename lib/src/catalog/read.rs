//! Reads every manifest of an archive, or of one subvolume.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};

use super::search;
use crate::chain::{self, Link, objects_of};
use crate::manifest::Invalid;
use crate::names::{BackupId, Kind, Name};
use crate::store::{self, Archive, ErrorKind, Key, Listed};
use crate::time::Time;

/// How many objects are asked for at the same time.
const HEADS: usize = 16;

/// What lies in an archive.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// The backups, by the keys of their manifests.
    pub(super) links: BTreeMap<String, Link>,
    /// The manifests that cannot be read, and why, by their keys.
    pub(super) broken: BTreeMap<String, String>,
    /// The pointers that lead nowhere, and why.
    pub(super) astray: Vec<String>,
    /// The manifests that pointers name.
    pub(super) current: BTreeSet<String>,
    /// The size and the storage class of each object.
    pub(super) objects: HashMap<String, (u64, String)>,
}

/// What the key of a manifest tells, whatever is in it.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) subvolume: Option<Name>,
    pub(super) kind: Option<Kind>,
    pub(super) time: Option<Time>,
}

impl Named {
    pub(super) fn of(archive: &Archive, key: &str) -> Self {
        let parse = || {
            let mut parts =
                key.strip_prefix(&archive.prefix())?.strip_prefix("subvol/")?.split('/');
            let (name, kind, last) = (parts.next()?, parts.next()?, parts.next()?);
            let id = format!("subvol/{name}/{kind}/{last}").parse::<BackupId>();
            let flat = || last.strip_prefix("manifest-")?.strip_suffix(".json")?.parse().ok();
            let time = id.map_or_else(|_| flat(), |id| Some(id.time));
            Some(Self { subvolume: name.parse().ok(), kind: kind.parse().ok(), time })
        };
        parse().unwrap_or_default()
    }
}

impl Catalog {
    /// Reads the manifests of one subvolume, or of all, and what they stand on.
    ///
    /// # Errors
    /// Those of the store that are not about one manifest.
    pub(super) async fn read(archive: &Archive, name: Option<&Name>) -> anyhow::Result<Self> {
        let listed = search::objects(archive, name).await?;
        let mut catalog = Self::default();
        let found = search::manifests(archive, &listed).map(|object| object.key.clone()).collect();
        catalog.add_manifests(archive, found).await?;
        catalog.add_pointers(archive, &listed).await?;
        let all = listed.into_iter().map(|it| (it.key, (it.size, it.storage_class)));
        catalog.objects.extend(all);
        Ok(catalog)
    }

    async fn add_pointers(&mut self, archive: &Archive, listed: &[Listed]) -> anyhow::Result<()> {
        for name in search::pointers(archive, listed) {
            match chain::pointer(archive, &name).await {
                Ok(None) => {}
                Ok(Some(pointed)) => {
                    self.add_manifests(archive, vec![pointed.key.to_string()]).await?;
                    self.point(archive, &name, pointed.key.as_str());
                }
                Err(error) => self.astray.push(about_one(error)?),
            }
        }
        Ok(())
    }

    fn point(&mut self, archive: &Archive, name: &Name, key: &str) {
        self.current.insert(key.to_owned());
        let what = match self.links.get(key) {
            Some(link) if link.subvolume == *name => return,
            Some(link) => format!("it names a backup of the subvolume {}", link.subvolume),
            None if self.broken.contains_key(key) => return,
            None => format!("it names {}, which does not exist", archive.store.locate(key)),
        };
        let pointer = search::below(archive, Some(name)) + "current.json";
        let url = archive.store.locate(&pointer);
        self.astray.push(Invalid::new(url, "manifest_key", what).to_string());
    }

    /// Adds manifests, and those that they stand on where no list showed them.
    async fn add_manifests(&mut self, archive: &Archive, keys: Vec<String>) -> anyhow::Result<()> {
        let mut asked = BTreeSet::new();
        let mut keys = self.unknown(keys, &asked);
        while !keys.is_empty() {
            asked.extend(keys.iter().cloned());
            let mut parents = Vec::new();
            let mut read = pin!(search::read_each(archive, keys));
            while let Some((key, link)) = read.next().await {
                match link.and_then(|link| in_its_folder(archive, &key, link)) {
                    Ok(Some(link)) => {
                        parents.extend(link.manifest.parent_manifest.clone());
                        self.links.insert(key, link);
                    }
                    // Gone since it was listed, or never there.
                    Ok(None) => {}
                    Err(error) => drop(self.broken.insert(key, about_one(error)?)),
                }
            }
            keys = self.unknown(parents, &asked);
        }
        Ok(())
    }

    fn unknown(&self, keys: Vec<String>, asked: &BTreeSet<String>) -> Vec<String> {
        let known = |key: &String| {
            self.links.contains_key(key) || self.broken.contains_key(key) || asked.contains(key)
        };
        let unknown: BTreeSet<_> = keys.into_iter().filter(|key| !known(key)).collect();
        unknown.into_iter().collect()
    }

    /// Asks for the objects that manifests name and no list showed: those outside
    /// of `listed`, which begins the keys that were.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn look_elsewhere(
        &mut self,
        archive: &Archive,
        listed: &str,
    ) -> anyhow::Result<()> {
        let mut elsewhere = BTreeSet::new();
        for link in self.links.values() {
            let named = objects_of(archive, link)?.into_iter().map(|(key, _)| key);
            elsewhere.extend(named.filter(|key| !key.as_str().starts_with(listed)));
        }
        let found: Vec<_> = stream::iter(elsewhere)
            .map(|key: Key| async move {
                let meta = archive.store.head(&key).await?;
                anyhow::Ok(meta.map(|meta| (key.to_string(), (meta.size, meta.storage_class))))
            })
            .buffer_unordered(HEADS)
            .try_collect()
            .await?;
        self.objects.extend(found.into_iter().flatten());
        Ok(())
    }
}

/// A manifest in the folder of a subvolume that names another is nobody's.
fn in_its_folder(archive: &Archive, key: &str, link: Option<Link>) -> anyhow::Result<Option<Link>> {
    let Some(link) = link else { return Ok(None) };
    match Named::of(archive, key).subvolume {
        Some(folder) if folder != link.subvolume => {
            let what = format!("{}, and it lies in the folder of {folder}", link.subvolume);
            Err(Invalid::new(archive.store.locate(key), "subvolume", what).into())
        }
        _ => Ok(Some(link)),
    }
}

/// An error that is about one object and leaves the others as they are, in words.
///
/// # Errors
/// Any other.
fn about_one(error: anyhow::Error) -> anyhow::Result<String> {
    let store = error.downcast_ref::<store::Error>().map(|error| error.kind);
    let one =
        error.is::<Invalid>() || matches!(store, Some(ErrorKind::Archived | ErrorKind::BadAnswer));
    if one { Ok(format!("{error:#}")) } else { Err(error) }
}
