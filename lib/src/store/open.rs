//! From a URL and settings to a store.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::dir::DirStore;
use super::s3::{Credentials, S3Store};
use super::{BadKey, Key, Shared, s3};
use crate::exit::Failure;

/// Where an archive lies: `s3://bucket/prefix` or `file:///dir`.
///
/// What stands behind the scheme is taken as it is: no percent-encoding, so that
/// a prefix with a space, a `%` or a `+` is written as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// A bucket and a prefix; the prefix has no `/` at its ends and may be empty.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// An absolute directory.
    Dir(PathBuf),
}

impl FromStr for Url {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bad = |why: &str| {
            Failure::config(format!(
                "{text:?} is no store: {why}; write s3://BUCKET/PREFIX or file:///DIRECTORY"
            ))
        };
        if text.chars().any(char::is_control) {
            return Err(bad("it holds a control character"));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(bad("it names no bucket"));
            }
            let prefix = prefix.trim_matches('/').to_owned();
            return Ok(Self::S3 { bucket: bucket.to_owned(), prefix });
        }
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => Ok(Self::Dir(path.into())),
            Some(_) => Err(bad("the directory is not absolute")),
            None => Err(bad("unknown scheme")),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Dir(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl Url {
    /// The prefix of all keys of the archive; empty, or ends with `/`.
    pub fn prefix(&self) -> String {
        match self {
            Self::S3 { prefix, .. } if !prefix.is_empty() => format!("{prefix}/"),
            _ => String::new(),
        }
    }

    /// The whole key of `relative` below the prefix.
    ///
    /// # Errors
    /// When it is too long for a key.
    pub fn key(&self, relative: impl fmt::Display) -> Result<Key, BadKey> {
        format!("{}{relative}", self.prefix()).parse()
    }
}

/// How to reach a store; what a directory does not need it ignores.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the archive lies.
    pub url: Url,
    /// The region's name.
    pub region: Option<String>,
    /// The endpoint's URL, for servers other than AWS.
    pub endpoint: Option<String>,
    /// Server-side encryption: `AES256`, `aws:kms`; `None` leaves it to the bucket.
    pub sse: Option<String>,
    /// The key for `aws:kms`; `None` is the account's own.
    pub sse_kms_key_id: Option<String>,
    /// How the server checks parts.
    pub checksum: s3::ChecksumMode,
    /// Whether conditional writes are used.
    pub conditional_writes: s3::ConditionalWrites,
    /// How long connections that fail are tried again.
    pub retry_for: Duration,
}

impl Settings {
    /// The server-side encryption that objects really get: a directory has none.
    pub fn encryption(&self) -> Option<&str> {
        match self.url {
            Url::S3 { .. } => self.sse.as_deref(),
            Url::Dir(_) => None,
        }
    }

    /// The storage class that objects asked into `class` really get: a directory
    /// knows one.
    pub fn storage_class(&self, class: String) -> String {
        match self.url {
            Url::S3 { .. } => class,
            Url::Dir(_) => "STANDARD".to_owned(),
        }
    }
}

/// A store and the prefix below which the archive lies in it.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The store.
    pub store: Shared,
    /// The archive's URL, as records name it.
    pub url: Url,
}

impl Archive {
    /// The prefix of all keys of the archive; empty, or ends with `/`.
    pub fn prefix(&self) -> String {
        self.url.prefix()
    }

    /// The whole key of `relative` below the prefix.
    ///
    /// # Errors
    /// When it is too long for a key.
    pub fn key(&self, relative: impl fmt::Display) -> Result<Key, BadKey> {
        self.url.key(relative)
    }
}

/// Opens the store that the settings name. Nothing is sent yet.
///
/// # Errors
/// When the settings cannot work: no region, no TLS, no credentials.
pub async fn open(settings: &Settings) -> anyhow::Result<Archive> {
    let store: Shared = match &settings.url {
        Url::S3 { .. } => Arc::new(S3Store::open(settings, Credentials::of_machine()).await?),
        Url::Dir(path) => Arc::new(DirStore::new(path)),
    };
    Ok(Archive { store, url: settings.url.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        Settings {
            url: url.parse().unwrap(),
            region: None,
            endpoint: None,
            sse: Some("AES256".to_owned()),
            sse_kms_key_id: None,
            checksum: s3::ChecksumMode::Auto,
            conditional_writes: s3::ConditionalWrites::Auto,
            retry_for: Duration::ZERO,
        }
    }

    #[test]
    fn a_directory_claims_no_encryption_and_no_archive_class() {
        let dir = settings("file:///archive");
        assert_eq!(dir.encryption(), None);
        assert_eq!(dir.storage_class("DEEP_ARCHIVE".to_owned()), "STANDARD");
        let bucket = settings("s3://bucket/prefix");
        assert_eq!(bucket.encryption(), Some("AES256"));
        assert_eq!(bucket.storage_class("DEEP_ARCHIVE".to_owned()), "DEEP_ARCHIVE");
    }
}
