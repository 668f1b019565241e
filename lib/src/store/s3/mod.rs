//! A store on an S3 server.
//!
//! This folder alone knows how S3 is reached, and alone names types of Rusoto,
//! hyper and http. Rusoto signs all requests and makes those that its types can
//! express; what they cannot say (checksums, conditions) is put into its
//! `SignedRequest` here. Everything is sent by `transport` and retried by
//! `client`.

mod client;
mod condition;
mod credentials;
mod object;
mod profile;
mod refusal;
mod region;
mod thaw;
mod transport;
mod unfinished;
mod upload;
mod xml;

pub use credentials::Credentials;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytes::Bytes;
use rusoto_core::credential::ProvideAwsCredentials;
use tokio::sync::OnceCell;

use super::{
    Error, ErrorKind, Get, Key, Meta, Page, PartBody, PartDone, PartSeen, PutOptions, Result,
    Settings, Store, ThawRequest, Upload, UploadOptions, UploadSeen, Url, Whole,
};
use crate::exit::{Failure, Status};
use client::Client;

/// How the server checks what it stores (`[s3] checksum`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumMode {
    /// CRC-32 where the server takes it, else MD5.
    #[default]
    Auto,
    /// CRC-32, or fail.
    Crc32,
    /// Content-MD5.
    Md5,
}

/// Whether conditional writes are used (`[s3] conditional_writes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// Where the server is proven to honour them.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never: look first, write after.
    Off,
}

/// A bucket as a [`Store`].
pub struct S3Store {
    client: Client,
    checksum: ChecksumMode,
    /// The server was found to know Content-MD5 alone.
    md5_only: AtomicBool,
    conditional_writes: ConditionalWrites,
    /// What the probe found.
    conditional: OnceCell<condition::Proven>,
    /// Where the probe writes.
    probe: Key,
    bucket_seen: OnceCell<()>,
    /// The headers that ask for encryption.
    encryption: Vec<(String, String)>,
}

impl S3Store {
    /// The bucket that `settings` name, reached with `credentials`. Nothing is
    /// sent to the server yet; credentials are looked up.
    ///
    /// # Errors
    /// [`Status::Config`] when the settings cannot work, [`Status::Refused`]
    /// when there are no credentials.
    pub async fn open(settings: &Settings, credentials: Credentials) -> Result<Self, Failure> {
        let Url::S3 { bucket, prefix } = &settings.url else {
            return Err(Failure::config(format!("{} is no bucket", settings.url)));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !bucket.chars().all(plain) {
            return Err(Failure::config(format!("{bucket:?} cannot be a bucket's name")));
        }
        let slash = if prefix.is_empty() { "" } else { "/" };
        let probe = format!("{prefix}{slash}{}", condition::PROBE);
        let probe = probe.parse().map_err(|error| Failure::config(format!("{error}")))?;
        let region = region::region(settings, bucket)?;
        credentials
            .credentials()
            .await
            .map_err(|error| Failure::new(Status::Refused, error.to_string()))?;
        Ok(Self {
            client: Client::new(bucket, region, credentials, settings.retry_for)?,
            checksum: settings.checksum,
            md5_only: AtomicBool::new(false),
            conditional_writes: settings.conditional_writes,
            conditional: OnceCell::new(),
            probe,
            bucket_seen: OnceCell::new(),
            encryption: encryption(settings),
        })
    }

    /// The headers that every new object is made with.
    fn creation(
        &self,
        storage_class: Option<&str>,
        metadata: &BTreeMap<String, String>,
        key: &Key,
    ) -> Result<Vec<(String, String)>> {
        let mut headers = self.encryption.clone();
        headers.extend(storage_class.map(|it| ("x-amz-storage-class".to_owned(), it.to_owned())));
        for (name, value) in metadata {
            // Spaces that signing folds would break the signature.
            let plain = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            if !plain || value.trim() != value || value.contains("  ") {
                let object = self.client.locate(key.as_str());
                let cause = format!("metadata {name} cannot be {value:?}");
                return Err(Error::new(ErrorKind::Refused, "write", object, cause));
            }
            headers.push((format!("x-amz-meta-{name}"), value.clone()));
        }
        Ok(headers)
    }
}

fn encryption(settings: &Settings) -> Vec<(String, String)> {
    let algorithm = settings.sse.as_ref().map(|value| ("x-amz-server-side-encryption", value));
    let key = settings.sse_kms_key_id.as_ref();
    let key = key.map(|value| ("x-amz-server-side-encryption-aws-kms-key-id", value));
    algorithm.into_iter().chain(key).map(|(name, it)| (name.to_owned(), it.clone())).collect()
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("client", &self.client).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for S3Store {
    fn locate(&self, key: &str) -> String {
        self.client.locate(key)
    }

    async fn conditional(&self) -> Result<bool> {
        Ok(self.proven().await?.all())
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.head_object(key).await
    }

    async fn thaw(&self, key: &Key, request: &ThawRequest) -> Result<()> {
        self.restore(key, request).await
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get> {
        self.get_object(key, range).await
    }

    async fn put(&self, key: &Key, body: Bytes, options: &PutOptions) -> Result<Meta> {
        self.put_if(key, &body, options).await
    }

    async fn list(&self, prefix: &str, fold: bool, after: Option<&str>) -> Result<Page> {
        self.list_objects(prefix, fold, after).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.delete_object(key).await
    }

    async fn create_upload(&self, key: &Key, options: &UploadOptions) -> Result<Upload> {
        self.begin(key, options).await
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: PartBody) -> Result<PartDone> {
        self.part(upload, number, body).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta> {
        self.complete_if(upload, parts, whole).await?;
        self.completed_object(upload, whole).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.abort(upload).await
    }

    async fn list_parts(&self, upload: &Upload) -> Result<Vec<PartSeen>> {
        self.parts_of(upload).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<UploadSeen>> {
        self.unfinished(prefix).await
    }
}
