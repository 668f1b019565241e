//! Looks at every object before the first byte is fetched.

use futures::{StreamExt, TryStreamExt, stream};

use super::list::{Item, Wanted};
use crate::exit::{Failure, Status};
use crate::manifest::Invalid;
use crate::store::{Archive, Error, ErrorKind};

/// How many objects are asked for at the same time.
const LOOKS: usize = 16;

/// The storage classes that must be thawed before a GET
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html>).
const FROZEN: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Whether all objects are there, in their recorded size and readable now.
///
/// # Errors
/// [`Invalid`] for one that is missing or has another size; [`Status::TryLater`]
/// for one that must be thawed; those of the store.
pub(super) async fn look(archive: &Archive, wanted: &Wanted) -> anyhow::Result<()> {
    stream::iter(&wanted.items)
        .map(|item| look_at(archive, item))
        .buffered(LOOKS)
        .try_collect::<()>()
        .await
}

async fn look_at(archive: &Archive, item: &Item) -> anyhow::Result<()> {
    let url = archive.store.locate(item.key.as_str());
    let Some(meta) = archive.store.head(&item.key).await? else {
        return Err(Invalid::new(url, "", "it does not exist: nothing was fetched").into());
    };
    if meta.size != item.size {
        let what = format!("{} bytes in the store, {} in its record", meta.size, item.size);
        return Err(Invalid::new(url, "size", what).into());
    }
    if FROZEN.contains(&meta.storage_class.as_str()) {
        // Whether it is thawed only a GET tells here: one byte is enough.
        archive.store.get(&item.key, Some(0..1)).await.map_err(|error| explain(error, &url))?;
    }
    Ok(())
}

/// The error of a GET, with what to do about an archived object.
pub(super) fn explain(error: Error, url: &str) -> anyhow::Error {
    if error.kind != ErrorKind::Archived {
        return error.into();
    }
    let message = format!(
        "{url} is in an archive class and must be thawed first ({}): ask for it with \
         `aws s3api restore-object`, and try again when it is ready",
        error.cause
    );
    Failure::new(Status::TryLater, message).into()
}
