//! How the upload of a chunk begins: anew, where an earlier attempt left it, or
//! not at all because the object is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::Known;
use super::ours::is_ours;
use super::part::Sent;
use super::{Context, Error};
use crate::journal::Begun;
use crate::record::{self, Checksum, Lost, Object};
use crate::store::{ErrorKind, Key, Meta, Upload, UploadOptions};

/// Metadata under this name says which run made an object.
pub const RUN_ID: &str = "bts-run";

/// Where the upload of a chunk starts from.
#[derive(Debug)]
pub enum Start {
    /// An upload, and the parts of it on which journal and store agree.
    Upload(Upload, BTreeMap<u32, Sent>),
    /// The object is there, though nobody noted it: the answer was lost. Its
    /// upload had this guarantee.
    There(Meta, Checksum),
    /// The object is there, as the journal says.
    Noted(Box<Object>),
}

/// Finds out where to start, and begins an upload where there is none.
///
/// # Errors
/// Those of the store; [`Error::Changed`] when a completed chunk was replaced.
pub async fn start(
    context: Arc<Context>,
    key: Key,
    index: u64,
    known: Known,
) -> Result<Start, Error> {
    let left = match known {
        Known::Nothing => None,
        Known::Begun(begun) => go_on(&context, index, begun).await?,
        Known::Object(object) => look(&context, &key, object).await?,
    };
    match left {
        Some(start) => Ok(start),
        None => Ok(Start::Upload(create(&context, &key, index).await?, BTreeMap::new())),
    }
}

async fn create(context: &Context, key: &Key, index: u64) -> Result<Upload, Error> {
    context.ledger.attempted().await;
    let options = UploadOptions {
        storage_class: Some(context.run.storage_class.clone()),
        part_size: context.run.part_size,
        metadata: BTreeMap::from([(RUN_ID.to_owned(), context.run.run_id.to_string())]),
    };
    let upload = context.archive.store.create_upload(key, &options).await?;
    let begun = record::Upload {
        index,
        key: key.to_string(),
        upload_id: upload.id.clone(),
        checksum: upload.checksum,
        part_size: upload.part_size,
    };
    context.ledger.note(begun).await;
    Ok(upload)
}

/// Where an upload that was begun can be gone on with.
async fn go_on(context: &Context, index: u64, begun: Begun) -> Result<Option<Start>, Error> {
    let store = &context.archive.store;
    let Begun { upload, mut parts } = begun;
    let seen = match store.list_parts(&upload).await {
        Ok(seen) => seen,
        Err(error) if error.kind == ErrorKind::NoSuchUpload => {
            if let Some(meta) = store.head(&upload.key).await?
                && is_ours(context, &meta)
            {
                return Ok(Some(Start::There(meta, upload.checksum)));
            }
            let url = store.locate(upload.key.as_str());
            log::warn!("the store has lost the unfinished upload of {url}: it begins anew");
            context.ledger.note(Lost { index, upload_id: Some(upload.id) }).await;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let agreed = seen.into_iter().filter_map(|seen| {
        let part = parts.remove(&seen.number)?;
        let same = (seen.size, &seen.etag) == (part.size, &part.etag);
        same.then(|| (seen.number, Sent::from(part)))
    });
    let agreed = agreed.collect();
    Ok(Some(Start::Upload(upload, agreed)))
}

/// Whether a completed chunk is still what the journal says.
async fn look(context: &Context, key: &Key, object: Object) -> Result<Option<Start>, Error> {
    let store = &context.archive.store;
    let url = store.locate(key.as_str());
    match store.head(key).await? {
        None => {
            log::warn!("{url} is gone: the chunk is uploaded again");
            context.ledger.note(Lost { index: object.index, upload_id: None }).await;
            Ok(None)
        }
        Some(meta)
            if object.key == key.as_str()
                && meta.size == object.size
                && object.etag.as_ref() == Some(&meta.etag) =>
        {
            Ok(Some(Start::Noted(Box::new(object))))
        }
        Some(_) => Err(Error::Changed { url, what: "it is not what was stored there" }),
    }
}
