//! Tells an object that this run made from one that it did not.
//!
//! An answer that is lost leaves a question: was it us? Where the store keeps
//! metadata, the run's id answers it; where it keeps none, the bytes do.

use futures::TryStreamExt;

use super::begin::RUN_ID;
use super::{Context, Error};
use crate::store::{ErrorKind, Key, Meta, Whole};

/// Whether this run may have made the object; `meta` comes from a HEAD.
pub fn is_ours(context: &Context, meta: &Meta) -> bool {
    let id = context.run.run_id.to_string();
    meta.metadata.get(RUN_ID).map_or(meta.metadata.is_empty(), |made_by| *made_by == id)
}

/// Whether the object at `key`, which is ours, holds what it must.
///
/// # Errors
/// Those of the store.
pub async fn holds(
    context: &Context,
    key: &Key,
    meta: &Meta,
    whole: &Whole,
) -> Result<bool, Error> {
    if meta.size != whole.size {
        return Ok(false);
    }
    match meta.crc32 {
        Some(crc32) => Ok(crc32 == whole.crc32),
        None => read_back(context, key, whole).await,
    }
}

/// The store keeps no checksum: the bytes themselves are compared.
async fn read_back(context: &Context, key: &Key, whole: &Whole) -> Result<bool, Error> {
    let mut body = match context.archive.store.get(key, None).await {
        Ok(get) => get.body,
        // It would take a thaw to find out.
        Err(error) if error.kind == ErrorKind::Archived => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut crc32 = crc32fast::Hasher::new();
    while let Some(piece) = body.try_next().await? {
        crc32.update(&piece);
    }
    Ok(crc32.finalize() == whole.crc32)
}
