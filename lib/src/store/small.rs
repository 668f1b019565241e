//! Small objects, read whole: manifests, pointers, part digests.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::{Error, ErrorKind, Get, Key, Result, Store};

/// How often an answer that broke off is asked for again.
const ATTEMPTS: u32 = 5;

/// A small object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// All its bytes.
    pub bytes: Bytes,
    /// Its ETag.
    pub etag: String,
}

/// An object's bytes, or `None` when there is none.
///
/// # Errors
/// Those of [`Store::get`]; [`ErrorKind::BadAnswer`] when it is larger than `max`
/// bytes.
pub async fn read_small(store: &dyn Store, key: &Key, max: u64) -> Result<Option<Small>> {
    let mut attempts = 1;
    loop {
        let get = match store.get(key, None).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            get => get?,
        };
        let url = store.locate(key.as_str());
        if get.size > max {
            let cause = format!("it has {} bytes, more than the {max} that are read", get.size);
            return Err(Error::new(ErrorKind::BadAnswer, "read", url, cause));
        }
        match read_body(get, &url).await {
            // The store tries again to get an answer, but not to get all of it.
            Err(error) if error.kind == ErrorKind::Unavailable && attempts < ATTEMPTS => {
                attempts += 1;
            }
            other => return other.map(Some),
        }
    }
}

async fn read_body(mut get: Get, url: &str) -> Result<Small> {
    let bad = |kind, cause: String| Err(Error::new(kind, "read", url, cause));
    let mut bytes = BytesMut::new();
    while let Some(piece) = get.body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() as u64 > get.size {
            let cause = format!("more bytes came than its {}", get.size);
            return bad(ErrorKind::BadAnswer, cause);
        }
    }
    if bytes.len() as u64 != get.size {
        let cause = format!("the answer broke off after {} of {} bytes", bytes.len(), get.size);
        return bad(ErrorKind::Unavailable, cause);
    }
    Ok(Small { bytes: bytes.freeze(), etag: get.etag })
}
