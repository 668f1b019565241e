//! Writes that a second attempt finds done.

use bytes::Bytes;

use crate::exit::{Failure, Status};
use crate::manifest::{Invalid, MANIFEST_MAX, POINTER_MAX};
use crate::store::{
    Archive, Condition, Error, ErrorKind, Key, PutOptions, Result as StoreResult, read_small,
};

/// Writes objects whose bytes are known beforehand. After an answer was lost,
/// "it exists" may mean that it was us: the bytes tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exactly<'a> {
    /// Where to write.
    pub(super) archive: &'a Archive,
    /// The storage class of what is written.
    pub(super) storage_class: &'a str,
}

impl Exactly<'_> {
    /// Creates an object, or finds it there with the same bytes; says whether
    /// it was created now.
    ///
    /// # Errors
    /// [`Invalid`] when the key holds other bytes; those of the store.
    pub(super) async fn create(
        &self,
        key: &Key,
        bytes: Bytes,
        content_type: &'static str,
    ) -> anyhow::Result<bool> {
        let error = match self.put(key, &bytes, Condition::IfAbsent, content_type).await {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        if self.holds(key, &bytes, &error, MANIFEST_MAX).await? {
            return Ok(false);
        }
        let what = "it holds other bytes than this run's, and is not replaced";
        Err(Invalid::new(self.archive.store.locate(key.as_str()), "", what).into())
    }

    /// As [`Exactly::create`]; where `free`, other bytes are replaced.
    ///
    /// # Errors
    /// Those of [`Exactly::create`].
    pub(super) async fn create_or_replace(
        &self,
        key: &Key,
        bytes: Bytes,
        free: bool,
    ) -> anyhow::Result<()> {
        let media = "application/octet-stream";
        match free {
            true => Ok(self.put(key, &bytes, Condition::Always, media).await?),
            false => self.create(key, bytes, media).await.map(drop),
        }
    }

    /// Writes an object that only people read. Where the backup is published, as
    /// `free` denies, one that is there stays, whatever it says: an earlier
    /// version's words may be others.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn write_for_people(
        &self,
        key: &Key,
        bytes: Bytes,
        free: bool,
    ) -> StoreResult<()> {
        let condition = if free { Condition::Always } else { Condition::IfAbsent };
        match self.put(key, &bytes, condition, "text/plain; charset=utf-8").await {
            Err(error) if error.kind == ErrorKind::PreconditionFailed => Ok(()),
            put => put,
        }
    }

    /// Moves a pointer, or finds that it says already what it shall.
    ///
    /// # Errors
    /// [`Status::TryLater`] when another backup was published in between; those
    /// of the store.
    pub(super) async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        condition: Condition,
    ) -> anyhow::Result<()> {
        let error = match self.put(key, &bytes, condition, "application/json").await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if self.holds(key, &bytes, &error, POINTER_MAX).await? {
            return Ok(());
        }
        let url = self.archive.store.locate(key.as_str());
        let message = format!(
            "{url} was moved by somebody else in the meantime: this backup is not current; \
             run the backup again, it starts from what is current"
        );
        Err(Failure::new(Status::TryLater, message).into())
    }

    async fn put(
        &self,
        key: &Key,
        bytes: &Bytes,
        condition: Condition,
        content_type: &'static str,
    ) -> StoreResult<()> {
        let options = PutOptions {
            condition,
            storage_class: Some(self.storage_class.to_owned()),
            content_type: Some(content_type),
            ..PutOptions::default()
        };
        self.archive.store.put(key, bytes.clone(), &options).await.map(drop)
    }

    /// After `error`: whether the key holds exactly `bytes`. An error that tells
    /// nothing about the key is passed on.
    async fn holds(&self, key: &Key, bytes: &Bytes, error: &Error, max: u64) -> StoreResult<bool> {
        if error.kind != ErrorKind::PreconditionFailed {
            return Err(error.clone());
        }
        match read_small(&*self.archive.store, key, max).await? {
            Some(small) => Ok(small.bytes == *bytes),
            None => Err(error.clone()),
        }
    }
}
