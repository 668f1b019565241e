//! Looks at every object before the first byte is fetched.

use futures::{StreamExt, TryStreamExt, stream};

use super::list::{Item, Wanted};
use crate::exit::{Failure, Status};
use crate::manifest::Invalid;
use crate::store::{Archive, Error, ErrorKind};

/// How many objects are asked for at the same time.
const LOOKS: usize = 16;

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
    if meta.archived.is_some() {
        // What the store says of a thaw is one thing, a GET another: one byte is
        // enough.
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
        "{url} is in an archive class and must be thawed first ({}): \
         bts-get --thaw-only asks for that",
        error.cause
    );
    Failure::new(Status::TryLater, message).into()
}
