//! Finds manifests and pointers in an archive: by their names, those of the
//! existing program's layout too.

use futures::{Stream, StreamExt, stream};

use crate::chain::{self, Link};
use crate::manifest::Invalid;
use crate::names::Name;
use crate::store::{Archive, Key, Listed, Result, list_all};

/// How many manifests are read at the same time.
const READS: usize = 8;

/// The prefix of all keys of a subvolume; of all subvolumes without a name.
pub(crate) fn below(archive: &Archive, name: Option<&Name>) -> String {
    let prefix = archive.prefix();
    match name {
        Some(name) => format!("{prefix}subvol/{name}/"),
        None => format!("{prefix}subvol/"),
    }
}

/// All objects of a subvolume, or of all of them, in the order of their keys.
///
/// # Errors
/// Those of the store.
pub(crate) async fn objects(archive: &Archive, name: Option<&Name>) -> Result<Vec<Listed>> {
    Ok(list_all(&*archive.store, &below(archive, name), false).await?.objects)
}

/// Those of `listed` that have to be manifests.
pub(crate) fn manifests<'a>(
    archive: &Archive,
    listed: &'a [Listed],
) -> impl Iterator<Item = &'a Listed> {
    let prefix = archive.prefix();
    listed.iter().filter(move |object| object.key.strip_prefix(&prefix).is_some_and(is_manifest))
}

/// The subvolumes that have a pointer among `listed`.
pub(crate) fn pointers<'a>(
    archive: &Archive,
    listed: &'a [Listed],
) -> impl Iterator<Item = Name> + 'a {
    let prefix = archive.prefix();
    listed.iter().filter_map(move |object| pointer_of(object.key.strip_prefix(&prefix)?))
}

/// Reads manifests, in no order: each with its key, and `None` where none is.
pub(crate) fn read_each(
    archive: &Archive,
    keys: Vec<String>,
) -> impl Stream<Item = (String, anyhow::Result<Option<Link>>)> + '_ {
    let read = move |key: String| async move {
        let link = read(archive, &key).await;
        (key, link)
    };
    stream::iter(keys).map(read).buffer_unordered(READS)
}

async fn read(archive: &Archive, key: &str) -> anyhow::Result<Option<Link>> {
    let invalid = |bad| Invalid::new(archive.store.locate(key), "", format!("{bad}"));
    let key: Key = key.parse().map_err(|bad: crate::store::BadKey| invalid(bad))?;
    chain::load(archive, &key).await
}

/// Whether an object with this key, below the prefix, has to be a manifest. Wide
/// on purpose: a manifest with a name that we do not know keeps its chunks too.
pub(crate) fn is_manifest(key: &str) -> bool {
    let file = key.rsplit('/').next().unwrap_or_default();
    file.starts_with("manifest") && file.ends_with(".json")
}

/// The subvolume whose pointer has this key, below the prefix.
fn pointer_of(key: &str) -> Option<Name> {
    key.strip_prefix("subvol/")?.strip_suffix("/current.json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_and_pointers_are_found_by_name() {
        for key in ["subvol/a/full/x/manifest.json", "subvol/a/full/manifest-1.json"] {
            assert!(is_manifest(key), "{key}");
        }
        assert!(!is_manifest("subvol/a/full/x/manifest.txt"));
        assert!(pointer_of("subvol/a/current.json").is_some());
        for key in ["subvol/a/b/current.json", "subvol/current.json", "subvol/../current.json"] {
            assert_eq!(pointer_of(key), None, "{key}");
        }
    }
}
