//! Turns stored parts into an object, and an object into its record.

use super::begin::Start;
use super::chunks::Ended;
use super::ledger::abort;
use super::ours::{holds, is_ours};
use super::{Context, Error};
use crate::record::{Checksum, Crc32, Lost, Object};
use crate::store::{self, ErrorKind, Key, Meta, PartDone, Upload, Whole};

/// The object of a chunk whose parts are all stored.
///
/// # Errors
/// [`Error::Changed`] when the object is complete already and holds other bytes;
/// [`Error::Lost`] when the store lost the upload; those of the store.
pub async fn complete(
    context: &Context,
    key: &Key,
    start: &Start,
    ended: Ended,
) -> Result<Object, Error> {
    let whole = Whole { size: ended.end.size, crc32: ended.crc32, if_absent: true };
    let (meta, checksum) = match start {
        Start::Noted(object) => return noted(context, object, ended).await,
        Start::There(meta, checksum) => {
            if !holds(context, key, meta, &whole).await? {
                return Err(changed(context, key.as_str()));
            }
            (meta.clone(), *checksum)
        }
        Start::Upload(upload, _) => {
            (finish(context, upload, &ended, &whole).await?, upload.checksum)
        }
    };
    let object = record(key, meta, checksum, ended);
    context.ledger.note(object.clone()).await;
    Ok(object)
}

/// What the journal says of a completed chunk, if this attempt's bytes are its.
/// What else is known of them is this attempt's, which has just computed it.
async fn noted(context: &Context, object: &Object, ended: Ended) -> Result<Object, Error> {
    if (object.size, object.digests) != (ended.end.size, ended.end.digests) {
        return Err(changed(context, &object.key));
    }
    let parts = ended.parts.into_iter().map(|sent| sent.blake3).collect();
    let ours = Object { crc32: Some(Crc32(ended.crc32)), parts, ..object.clone() };
    if ours != *object {
        context.ledger.note(ours.clone()).await;
    }
    Ok(ours)
}

fn changed(context: &Context, key: &str) -> Error {
    let url = context.archive.store.locate(key);
    Error::Changed { url, what: "the stream has other bytes there now" }
}

async fn finish(
    context: &Context,
    upload: &Upload,
    ended: &Ended,
    whole: &Whole,
) -> Result<Meta, Error> {
    let parts: Vec<PartDone> = ended.parts.iter().map(|sent| sent.done.clone()).collect();
    match context.archive.store.complete_upload(upload, &parts, whole).await {
        Ok(meta) => Ok(meta),
        Err(error) => match error.kind {
            ErrorKind::NoSuchUpload | ErrorKind::PreconditionFailed => {
                tell_apart(context, upload, ended, whole, error).await
            }
            _ => Err(error.into()),
        },
    }
}

/// "No such upload" and "the key is taken" are what a lost answer looks like the
/// second time; they also say that parts were eaten, or that somebody else was
/// here.
async fn tell_apart(
    context: &Context,
    upload: &Upload,
    ended: &Ended,
    whole: &Whole,
    error: store::Error,
) -> Result<Meta, Error> {
    let store = &context.archive.store;
    let there = store.head(&upload.key).await?.filter(|meta| is_ours(context, meta));
    if let Some(meta) = there
        && holds(context, &upload.key, &meta, whole).await?
    {
        log::info!("{} is complete; the answer was lost", store.locate(upload.key.as_str()));
        // Where another upload of ours became the object, this one is left over.
        abort(&context.archive, upload).await;
        return Ok(meta);
    }
    if error.kind != ErrorKind::NoSuchUpload {
        return Err(error.into());
    }
    let index = ended.end.index;
    context.ledger.note(Lost { index, upload_id: Some(upload.id.clone()) }).await;
    Err(Error::Lost { cause: error })
}

fn record(key: &Key, meta: Meta, checksum: Checksum, ended: Ended) -> Object {
    Object {
        index: ended.end.index,
        key: key.to_string(),
        size: ended.end.size,
        digests: ended.end.digests,
        etag: Some(meta.etag),
        crc32: Some(Crc32(ended.crc32)),
        checksum: Some(checksum),
        storage_class: Some(meta.storage_class),
        parts: ended.parts.into_iter().map(|sent| sent.blake3).collect(),
    }
}
