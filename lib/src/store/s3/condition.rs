//! Writes that happen only if.
//!
//! A server that does not know a condition may refuse it, or ignore it and
//! overwrite; some know one and not the other. So each is proven, once for each
//! process and only when needed, on a key of our own: a server that honours
//! If-None-Match refuses at least the second of two create-only writes, and one
//! that honours If-Match refuses to replace an ETag that is not there. Where a
//! condition is not proven we look first and write after.

use bytes::Bytes;

use super::{ConditionalWrites, S3Store};
use crate::store::{
    Condition, Error, ErrorKind, Key, Meta, PartDone, PutOptions, Result, Upload, Whole,
};

/// The name of the key, below the prefix, that support is proven with.
pub(super) const PROBE: &str = ".bts-probe";

/// An ETag that no object has: the MD5 of nothing that anybody writes.
const NOBODYS_ETAG: &str = "00000000000000000000000000000000";

/// Which conditions the server honours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proven {
    /// If-None-Match: of many creators one wins.
    create: bool,
    /// If-Match: of many who saw the same ETag one wins.
    swap: bool,
}

impl Proven {
    const ALL: Self = Self { create: true, swap: true };
    const NONE: Self = Self { create: false, swap: false };

    /// Whether every condition is honoured.
    pub(super) fn all(self) -> bool {
        self == Self::ALL
    }

    fn holds(self, condition: &Condition) -> bool {
        match condition {
            Condition::Always => true,
            Condition::IfAbsent => self.create,
            Condition::IfMatch(_) => self.swap,
        }
    }
}

impl S3Store {
    /// Which conditions the server honours.
    pub(super) async fn proven(&self) -> Result<Proven> {
        match self.conditional_writes {
            ConditionalWrites::On => Ok(Proven::ALL),
            ConditionalWrites::Off => Ok(Proven::NONE),
            ConditionalWrites::Auto => {
                self.conditional.get_or_try_init(|| self.probe()).await.copied()
            }
        }
    }

    async fn probe(&self) -> Result<Proven> {
        // The first makes the key where it is free, and is refused where not.
        let create = self.is_refused(Condition::IfAbsent).await?
            || self.is_refused(Condition::IfAbsent).await?;
        let swap = self.is_refused(Condition::IfMatch(NOBODYS_ETAG.to_owned())).await?;
        let proven = Proven { create, swap };
        for (honoured, name) in [(proven.create, "If-None-Match"), (proven.swap, "If-Match")] {
            if !honoured {
                log::info!("the server has no {name}: bts looks first and writes after");
            }
        }
        Ok(proven)
    }

    /// Whether the probe is refused because `condition` does not hold.
    async fn is_refused(&self, condition: Condition) -> Result<bool> {
        let words = Bytes::from_static(b"bts wrote this to learn whether conditions work.\n");
        let options = PutOptions { condition, ..PutOptions::default() };
        match self.put_object(&self.probe, &words, &options).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind == ErrorKind::PreconditionFailed => Ok(true),
            Err(error) if unknown(&error) => Ok(false),
            Err(error) => Err(error),
        }
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
        if self.proven().await?.holds(&options.condition) {
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
        if self.proven().await?.create {
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
