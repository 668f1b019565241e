//! Writes that happen only if.
//!
//! A server that does not know If-None-Match may refuse it, or ignore it and
//! overwrite. So it is proven, once for each process and only when needed, by
//! two create-only writes of one key: a server that honours the condition
//! refuses at least the second. Without proof we look first and write after.

use bytes::Bytes;

use super::{ConditionalWrites, S3Store};
use crate::store::{
    Condition, Error, ErrorKind, Key, Meta, PartDone, PutOptions, Result, Upload, Whole,
};

/// The name of the key, below the prefix, that support is proven with.
pub(super) const PROBE: &str = ".bts-probe";

impl S3Store {
    /// Whether the server honours conditions.
    pub(super) async fn proven(&self) -> Result<bool> {
        match self.conditional_writes {
            ConditionalWrites::On => Ok(true),
            ConditionalWrites::Off => Ok(false),
            ConditionalWrites::Auto => {
                self.conditional.get_or_try_init(|| self.probe_twice()).await.copied()
            }
        }
    }

    async fn probe_twice(&self) -> Result<bool> {
        let options = PutOptions { condition: Condition::IfAbsent, ..PutOptions::default() };
        let words = Bytes::from_static(b"bts wrote this to learn whether If-None-Match works.\n");
        for _ in 0..2 {
            match self.put_object(&self.probe, &words, &options).await {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::PreconditionFailed => return Ok(true),
                Err(error) if unknown(&error) => break,
                Err(error) => return Err(error),
            }
        }
        log::info!("the server has no conditional writes: bts looks first and writes after");
        Ok(false)
    }

    pub(super) async fn put_if(
        &self,
        key: &Key,
        body: &Bytes,
        options: &PutOptions,
    ) -> Result<Meta> {
        if options.condition == Condition::Always {
            return self.put_object(key, body, options).await;
        }
        if self.proven().await? {
            return match self.put_object(key, body, options).await {
                // If-Match on a key that is gone (compare AWS's API_PutObject).
                Err(error) if error.kind == ErrorKind::NotFound => {
                    Err(Error { kind: ErrorKind::PreconditionFailed, ..error })
                }
                other => other,
            };
        }
        self.look(key, &options.condition).await?;
        let options = PutOptions { condition: Condition::Always, ..options.clone() };
        self.put_object(key, body, &options).await
    }

    pub(super) async fn complete_if(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<()> {
        if !whole.if_absent {
            return self.complete(upload, parts, whole).await;
        }
        if self.proven().await? {
            match self.complete(upload, parts, whole).await {
                // Some servers have conditions for PUT alone.
                Err(error)
                    if error.kind == ErrorKind::Unsupported
                        && self.conditional_writes == ConditionalWrites::Auto => {}
                other => return other,
            }
        }
        self.look(&upload.key, &Condition::IfAbsent).await?;
        self.complete(upload, parts, &Whole { if_absent: false, ..*whole }).await
    }

    /// Refuses when `condition` does not hold now.
    async fn look(&self, key: &Key, condition: &Condition) -> Result<()> {
        let there = self.head_object(key).await?;
        let cause = match (condition, there) {
            (Condition::IfAbsent, Some(_)) => "the key is taken",
            (Condition::IfMatch(_), None) => "the object is gone",
            (Condition::IfMatch(etag), Some(meta)) if meta.etag != *etag => {
                "the object was replaced"
            }
            _ => return Ok(()),
        };
        let object = self.client.locate(key.as_str());
        Err(Error::new(ErrorKind::PreconditionFailed, "write", object, cause))
    }
}

/// Whether this is how a server refuses a header that it does not know.
fn unknown(error: &Error) -> bool {
    error.kind == ErrorKind::Unsupported
        || ["InvalidRequest", "InvalidArgument", "HTTP 400"]
            .iter()
            .any(|code| error.cause.starts_with(code))
}
