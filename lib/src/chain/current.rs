//! The backup that each subvolume stands at, and whether all of it is there.

use std::io::Write;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};

use super::load::{Link, find, inside};
use super::walk::{Chain, walk};
use crate::manifest::{Invalid, Manifest, PartDigests};
use crate::names::Name;
use crate::record::{ChainSummary, Current, ListEnd, Snapshot, Writer};
use crate::store::{Archive, Key, list_all};

/// How many objects are asked for at the same time.
const HEADS: usize = 16;

/// The bytes of one part digest.
const DIGEST_LEN: u64 = 32;

/// Writes a `current` record for each of `names` that has a backup, then `end`.
/// `None` asks for every subvolume in the archive.
///
/// # Errors
/// Those of [`current`], of listing the archive, and of `out`.
pub async fn write_current<W: Write>(
    archive: &Archive,
    names: Option<Vec<Name>>,
    out: W,
) -> anyhow::Result<()> {
    let names = match names {
        Some(names) => names,
        None => subvolumes(archive).await?,
    };
    let mut out = Writer::new(out);
    let mut backups = 0;
    for name in names {
        if let Some(current) = current(archive, &name).await? {
            out.write(&current).context("writing to stdout")?;
            backups += 1;
        }
    }
    out.write(&ListEnd { backups }).context("writing to stdout")?;
    out.flush().context("writing to stdout")
}

/// The names of all subvolumes in the archive.
async fn subvolumes(archive: &Archive) -> anyhow::Result<Vec<Name>> {
    let prefix = format!("{}subvol/", archive.prefix());
    let page = list_all(&*archive.store, &prefix, true).await?;
    let mut names = Vec::new();
    for folder in page.folders {
        let name = folder.strip_prefix(&prefix).unwrap_or(&folder).trim_end_matches('/');
        match name.parse() {
            Ok(name) => names.push(name),
            Err(bad) => log::warn!("{} is passed over: {bad}", archive.store.locate(&folder)),
        }
    }
    Ok(names)
}

/// The backup that the subvolume's pointer names, with a look at every object of
/// its chain; `None` when there is no pointer.
///
/// What the chain lacks is listed in the record, not an error.
///
/// # Errors
/// Those of [`find`] and [`walk`]: above all, a pointer whose manifest is missing
/// is [`Invalid`] and not "no backup".
pub async fn current(archive: &Archive, name: &Name) -> anyhow::Result<Option<Current>> {
    let Some(newest) = find(archive, name).await? else { return Ok(None) };
    let chain = walk(archive, newest).await?;
    summary(archive, &chain).await.map(Some)
}

/// The record of a chain's newest backup, with a look at every object of it.
///
/// # Errors
/// [`Invalid`] when the sizes overflow; those of the store.
pub async fn summary(archive: &Archive, chain: &Chain) -> anyhow::Result<Current> {
    let (Some(oldest), Some(newest)) = (chain.links.first(), chain.links.last()) else {
        anyhow::bail!("a chain without any backup");
    };
    let mut missing: Vec<String> = chain.missing.iter().map(Key::to_string).collect();
    missing.extend(missing_objects(archive, chain).await?);
    let manifest = &newest.manifest;
    Ok(Current {
        subvolume: newest.subvolume.clone(),
        manifest_key: newest.key.to_string(),
        manifest_sha256: newest.sha256,
        kind: manifest.kind,
        created_at: manifest.created_at,
        snapshot: snapshot(manifest),
        chain: ChainSummary {
            length: chain.links.len() as u64,
            full_manifest_key: oldest.key.to_string(),
            full_created_at: oldest.manifest.created_at,
            size: total(archive, chain)?,
            missing,
        },
    })
}

/// The snapshot under the name that its stream carries.
pub(super) fn snapshot(manifest: &Manifest) -> Snapshot {
    Snapshot { name: manifest.stream_name().to_owned(), ..manifest.snapshot.clone() }
}

fn total(archive: &Archive, chain: &Chain) -> Result<u64, Invalid> {
    let add = |sum: u64, link: &Link| {
        sum.checked_add(link.manifest.total_bytes).ok_or_else(|| {
            let object = archive.store.locate(link.key.as_str());
            Invalid::new(object, "total_bytes", "the chain adds up to more than 2^64 bytes")
        })
    };
    chain.links.iter().try_fold(0, add)
}

/// The keys of a chain's objects that the store lacks or holds in another size.
async fn missing_objects(archive: &Archive, chain: &Chain) -> anyhow::Result<Vec<String>> {
    let mut objects = Vec::new();
    for link in &chain.links {
        objects.extend(objects_of(archive, link)?);
    }
    let found = stream::iter(objects)
        .map(|(key, size)| async move {
            let meta = archive.store.head(&key).await?;
            let there = meta.is_some_and(|meta| meta.size == size);
            anyhow::Ok((!there).then(|| key.to_string()))
        })
        .buffered(HEADS)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// The objects beside a manifest, with their sizes in bytes.
pub(crate) fn objects_of(archive: &Archive, link: &Link) -> Result<Vec<(Key, u64)>, Invalid> {
    let manifest = &link.manifest;
    let object = archive.store.locate(link.key.as_str());
    let key = |text: &str| inside(archive, text, &object, "chunks");
    let mut objects = Vec::with_capacity(manifest.chunks.len() + 1);
    for chunk in &manifest.chunks {
        objects.push((key(&chunk.key)?, chunk.size));
    }
    if let Some(parts) = &manifest.parts {
        let sizes = manifest.chunks.iter().map(|chunk| chunk.size);
        let digests = PartDigests::expected(parts.part_size, sizes).unwrap_or(0);
        objects.push((key(&parts.key)?, digests.saturating_mul(DIGEST_LEN)));
    }
    Ok(objects)
}
