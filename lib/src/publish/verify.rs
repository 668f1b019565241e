//! Holds the records of an upload against what the store says of its chunks.

use futures::{StreamExt, TryStreamExt, stream};

use super::finished::Finished;
use super::key_of;
use crate::exit::{Failure, Status};
use crate::manifest::Invalid;
use crate::record::{Crc32, Object};
use crate::store::{Archive, Key, Meta};

/// How many chunks are asked for at the same time.
const HEADS: usize = 8;

/// Looks at every chunk; gives back the storage class that they really have.
///
/// # Errors
/// [`Status::TryLater`] when a chunk is gone; [`Invalid`] when one is not what
/// the records say or lies outside its backup's folder; those of the store.
pub(super) async fn chunks(archive: &Archive, finished: &Finished) -> anyhow::Result<String> {
    let folder = key_of(archive, format_args!("{}/", finished.run.backup))?;
    let folder = folder.as_str();
    let metas: Vec<Meta> = stream::iter(&finished.objects)
        .map(|object| look(archive, object, folder))
        .buffered(HEADS)
        .try_collect()
        .await?;
    Ok(class(&finished.objects, &metas))
}

/// The numbers of the chunks that are gone.
///
/// # Errors
/// Those of the store.
pub(super) async fn gone(archive: &Archive, finished: &Finished) -> anyhow::Result<Vec<u64>> {
    let there = stream::iter(&finished.objects).map(|object| async move {
        let key: Key = object.key.parse()?;
        let meta = archive.store.head(&key).await?;
        anyhow::Ok(meta.is_none().then_some(object.index))
    });
    let found: Vec<Option<u64>> = there.buffered(HEADS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn look(archive: &Archive, object: &Object, folder: &str) -> anyhow::Result<Meta> {
    let url = archive.store.locate(&object.key);
    if !object.key.starts_with(folder) {
        let what = format!("it lies outside of its backup's folder {folder:?}");
        return Err(Invalid::new(url, "key", what).into());
    }
    let key: Key = object.key.parse().map_err(|bad| Invalid::new(&url, "key", format!("{bad}")))?;
    let Some(meta) = archive.store.head(&key).await? else {
        let what = format!("{url} is gone: nothing was published; run the backup again");
        return Err(Failure::new(Status::TryLater, what).into());
    };
    same(object, &meta, &url)?;
    Ok(meta)
}

/// Whether the store holds what the upload left there.
fn same(object: &Object, meta: &Meta, url: &str) -> Result<(), Invalid> {
    let differs = |field: &str, found: String, recorded: String| {
        let what = format!("{found} in the store, {recorded} in the upload's records");
        Err(Invalid::new(url, field, what))
    };
    if meta.size != object.size {
        return differs("size", meta.size.to_string(), object.size.to_string());
    }
    if let Some(etag) = &object.etag
        && *etag != meta.etag
    {
        return differs("etag", meta.etag.clone(), etag.clone());
    }
    if let (Some(recorded), Some(found)) = (object.crc32, meta.crc32.map(Crc32))
        && recorded != found
    {
        return differs("crc32", found.to_string(), recorded.to_string());
    }
    Ok(())
}

/// The class that the upload recorded, else the one the store tells now: a rule
/// that moves objects later must not change the manifest of a second attempt.
fn class(objects: &[Object], metas: &[Meta]) -> String {
    let recorded = objects.iter().find_map(|object| object.storage_class.clone());
    let told = || metas.first().map(|meta| meta.storage_class.clone());
    recorded.or_else(told).unwrap_or_default()
}
