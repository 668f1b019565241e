//! Whole objects: head, get, list, delete, and small ones written in one request.

use std::ops::Range;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use rusoto_s3::{DeleteObjectRequest, HeadBucketRequest, S3};

use super::thaw::archived;
use super::transport::Answer;
use super::xml::{self, Listing};
use super::{ChecksumMode, S3Store};
use crate::retry::{Failed, Idempotency};
use crate::store::{Condition, Error, ErrorKind, Get, Key, Listed, Meta, Page, PutOptions, Result};
use crate::time::Time;

/// The class of objects whose head names none.
const STANDARD: &str = "STANDARD";

impl S3Store {
    pub(super) async fn head_object(&self, key: &Key) -> Result<Option<Meta>> {
        let job = self.client.job("read the metadata of", key.as_str(), Idempotency::Idempotent);
        let call =
            self.client.call("HEAD", key.as_str(), job).header("x-amz-checksum-mode", "ENABLED");
        match self.client.send(&call, async |answer| meta(&answer)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.bucket_exists().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// HEAD answers 404 for a missing bucket as for a missing key; asked once.
    async fn bucket_exists(&self) -> Result<()> {
        let job = self.client.job("reach the bucket of", "", Idempotency::Idempotent);
        let ask = || async {
            let bucket = self.client.bucket.clone();
            let request = HeadBucketRequest { bucket, ..Default::default() };
            let head = |s3: rusoto_s3::S3Client| {
                let request = request.clone();
                async move { s3.head_bucket(request).await }
            };
            match self.client.typed(&job, head).await {
                Err(error) if error.kind == ErrorKind::NotFound => Err(Error {
                    kind: ErrorKind::Refused,
                    cause: "NoSuchBucket: there is no such bucket".to_owned(),
                    ..error
                }),
                // Who may not ask for the bucket was told the truth about the key.
                Err(error) if error.kind == ErrorKind::Refused => Ok(()),
                other => other,
            }
        };
        self.bucket_seen.get_or_try_init(ask).await.copied()
    }

    pub(super) async fn get_object(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get> {
        let job = self.client.job("download", key.as_str(), Idempotency::Idempotent);
        let object = job.object.clone();
        let mut call = self.client.call("GET", key.as_str(), job);
        match &range {
            Some(range) if range.is_empty() => return self.get_nothing(key).await,
            Some(range) => {
                call = call.header("range", format!("bytes={}-{}", range.start, range.end - 1));
            }
            None => {}
        }
        self.client
            .send(&call, |answer| {
                let (range, object) = (range.clone(), object.clone());
                async move { body(answer, range, object) }
            })
            .await
    }

    /// No HTTP range is empty.
    async fn get_nothing(&self, key: &Key) -> Result<Get> {
        let Some(Meta { size, etag, .. }) = self.head_object(key).await? else {
            let object = self.client.locate(key.as_str());
            return Err(Error::new(ErrorKind::NotFound, "download", object, "there is none"));
        };
        Ok(Get { size, etag, body: futures::stream::empty().boxed() })
    }

    pub(super) async fn delete_object(&self, key: &Key) -> Result<()> {
        let job = self.client.job("delete", key.as_str(), Idempotency::Idempotent);
        let bucket = self.client.bucket.clone();
        let request = DeleteObjectRequest { bucket, key: key.to_string(), ..Default::default() };
        let delete = |s3: rusoto_s3::S3Client| {
            let request = request.clone();
            async move { s3.delete_object(request).await }
        };
        match self.client.typed(&job, delete).await {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        fold: bool,
        after: Option<&str>,
    ) -> Result<Page> {
        let job = self.client.job("list", prefix, Idempotency::Idempotent);
        let mut call = self.client.call("GET", "", job).param("list-type", "2");
        if !prefix.is_empty() {
            call = call.param("prefix", prefix);
        }
        if fold {
            call = call.param("delimiter", "/");
        }
        if let Some(after) = after {
            // After a folder means after everything in it, which servers take
            // differently; no key continues with the last character there is.
            let folder = fold && after.len() > prefix.len() && after.ends_with('/');
            let last = if folder { "\u{10ffff}" } else { "" };
            call = call.param("start-after", format!("{after}{last}"));
        }
        self.client.send(&call, async |answer| page(xml::read(&answer.text().await?)?, after)).await
    }

    pub(super) async fn put_object(
        &self,
        key: &Key,
        body: &Bytes,
        options: &PutOptions,
    ) -> Result<Meta> {
        let mode = self.small_checksum();
        let written = self.put_checked(key, body, options, mode).await;
        match written {
            // 400 is what servers say that do not know the checksum's header.
            Err(error)
                if mode == ChecksumMode::Auto
                    && (error.kind == ErrorKind::Unsupported
                        || error.cause.starts_with("InvalidRequest")
                        || error.cause.starts_with("InvalidArgument")) =>
            {
                let written = self.put_checked(key, body, options, ChecksumMode::Md5).await?;
                self.md5_only.store(true, Ordering::Relaxed);
                Ok(written)
            }
            other => other,
        }
    }

    /// How the next small object is checked.
    pub(super) fn small_checksum(&self) -> ChecksumMode {
        match self.checksum {
            ChecksumMode::Auto if self.md5_only.load(Ordering::Relaxed) => ChecksumMode::Md5,
            mode => mode,
        }
    }

    async fn put_checked(
        &self,
        key: &Key,
        body: &Bytes,
        options: &PutOptions,
        mode: ChecksumMode,
    ) -> Result<Meta> {
        let idempotency = match options.condition {
            Condition::Always => Idempotency::Idempotent,
            _ => Idempotency::Once,
        };
        let crc32 = crc32fast::hash(body);
        let job = self.client.job("write", key.as_str(), idempotency);
        let media = options.content_type.unwrap_or("application/octet-stream");
        let mut call = self
            .client
            .call("PUT", key.as_str(), job)
            .header("content-type", media)
            .headers(self.creation(options.storage_class.as_deref(), &options.metadata, key)?)
            .body(body.clone());
        call = match mode {
            ChecksumMode::Md5 => call.header("content-md5", BASE64.encode(Md5::digest(body))),
            _ => call
                .header("x-amz-sdk-checksum-algorithm", "CRC32")
                .header("x-amz-checksum-crc32", crc_text(crc32)),
        };
        match &options.condition {
            Condition::Always => {}
            Condition::IfAbsent => call = call.header("if-none-match", "*"),
            Condition::IfMatch(etag) => call = call.header("if-match", quoted(etag)),
        }
        let class = options.storage_class.as_deref().unwrap_or(STANDARD);
        self.client
            .send(&call, async |answer| {
                Ok(Meta {
                    size: body.len() as u64,
                    etag: etag(&answer)?,
                    crc32: answer.header("x-amz-checksum-crc32").and_then(crc_of_text),
                    storage_class: class.to_owned(),
                    archived: None,
                    modified: None,
                    metadata: options.metadata.clone(),
                })
            })
            .await
    }
}

/// A CRC-32 as headers and XML carry it: base64 of its big-endian bytes.
pub(super) fn crc_text(crc: u32) -> String {
    BASE64.encode(crc.to_be_bytes())
}

/// `None` for what is no CRC-32 of a whole object, as `…-2` of two parts.
pub(super) fn crc_of_text(text: &str) -> Option<u32> {
    let bytes = BASE64.decode(text).ok()?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// An ETag without its quotes, which some servers leave out.
pub(super) fn unquoted(etag: &str) -> String {
    let inner = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(etag).to_owned()
}

/// An ETag as requests carry it.
pub(super) fn quoted(etag: &str) -> String {
    if etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }
}

/// The answer's ETag.
pub(super) fn etag(answer: &Answer) -> Result<String, Failed> {
    // It may be a proxy's answer, and the next one the server's.
    let missing =
        || Failed { kind: ErrorKind::BadAnswer, ..Failed::counted("the answer has no ETag") };
    answer.header("etag").map(unquoted).ok_or_else(missing)
}

fn meta(answer: &Answer) -> Result<Meta, Failed> {
    let size = answer.header("content-length").and_then(|text| text.parse().ok());
    let whole = answer.header("x-amz-checksum-type") != Some("COMPOSITE");
    let metadata = answer.headers_after("x-amz-meta-");
    let storage_class = answer.header("x-amz-storage-class").unwrap_or(STANDARD).to_owned();
    Ok(Meta {
        size: size.ok_or_else(|| Failed::never(ErrorKind::BadAnswer, "the answer has no size"))?,
        etag: etag(answer)?,
        crc32: answer.header("x-amz-checksum-crc32").filter(|_| whole).and_then(crc_of_text),
        archived: archived(answer, &storage_class),
        storage_class,
        modified: answer.header("last-modified").and_then(http_date),
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

/// A time as HTTP headers spell it.
pub(super) fn http_date(text: &str) -> Option<Time> {
    Some(Time::truncated(jiff::fmt::rfc2822::parse(text).ok()?.timestamp()))
}

fn body(answer: Answer, range: Option<Range<u64>>, object: String) -> Result<Get, Failed> {
    let (start, size) = extent(&answer)
        .ok_or_else(|| Failed::never(ErrorKind::BadAnswer, "the answer does not say its size"))?;
    let wanted = range.unwrap_or(0..size);
    if start != wanted.start || wanted.end > size {
        let words = format!("{wanted:?} was asked for, and it answered from {start} of {size}");
        return Err(Failed::never(ErrorKind::BadAnswer, words));
    }
    let etag = etag(&answer)?;
    let failed = move |failed: Failed| Error::new(failed.kind, "download", &object, failed.cause);
    let exactly = exactly(answer, wanted.end - wanted.start).map_err(failed);
    Ok(Get { size, etag, body: exactly.boxed() })
}

/// Where the body begins in its object, and the size of the object.
fn extent(answer: &Answer) -> Option<(u64, u64)> {
    match answer.status() {
        206 => {
            let range = answer.header("content-range")?.strip_prefix("bytes ")?;
            let (range, size) = range.split_once('/')?;
            Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
        }
        _ => Some((0, answer.header("content-length")?.parse().ok()?)),
    }
}

/// The body, which must be `len` bytes long.
fn exactly(answer: Answer, len: u64) -> impl futures::Stream<Item = Result<Bytes, Failed>> + Send {
    let pieces = Box::pin(answer.pieces());
    futures::stream::try_unfold((pieces, len), |(mut pieces, left)| async move {
        match (pieces.next().await.transpose()?, left) {
            (None, 0) => Ok(None),
            (None, left) => Err(Failed::timed(format!("the answer ends {left} bytes early"))),
            (Some(piece), left) => match left.checked_sub(piece.len() as u64) {
                Some(left) => Ok(Some((piece, (pieces, left)))),
                None => Err(Failed::never(ErrorKind::BadAnswer, "the answer is too long")),
            },
        }
    })
}

fn page(listing: Listing, after: Option<&str>) -> Result<Page, Failed> {
    let new = |key: &str| after.is_none_or(|after| key > after);
    let mut objects: Vec<_> = listing
        .contents
        .into_iter()
        .filter(|content| new(&content.key))
        .map(|content| Listed {
            size: content.size,
            etag: unquoted(&content.etag),
            modified: content.last_modified.and_then(|text| text.parse().ok()),
            storage_class: content.storage_class.unwrap_or_else(|| STANDARD.to_owned()),
            key: content.key,
        })
        .collect();
    let folders = listing.common_prefixes.into_iter().map(|folder| folder.prefix);
    let mut folders: Vec<_> = folders.filter(|folder| new(folder)).collect();
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    folders.sort();
    let last = objects.last().map(|object| &object.key).max(folders.last());
    let next = last.filter(|_| listing.is_truncated).cloned();
    if listing.is_truncated && next.is_none() {
        return Err(Failed::never(ErrorKind::BadAnswer, "a page of the list goes nowhere"));
    }
    Ok(Page { objects, folders, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_etags_are_spelled_as_s3_does() {
        assert_eq!(crc_text(0xcbf4_3926), "y/Q5Jg==");
        assert_eq!(crc_of_text("y/Q5Jg=="), Some(0xcbf4_3926));
        assert_eq!(crc_of_text("y/Q5Jg==-2"), None);
        assert_eq!(unquoted("\"a-1\""), "a-1");
        assert_eq!((unquoted("a"), unquoted("\"")), ("a".to_owned(), "\"".to_owned()));
        assert_eq!(quoted(&unquoted("W/\"a\"")), "W/\"a\"");
        assert_eq!(quoted("a"), "\"a\"");
    }

    #[test]
    fn http_dates_are_read() {
        let time = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(time.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn a_page_goes_on_after_its_last_key_or_folder() {
        let listing = |truncated| Listing {
            is_truncated: truncated,
            contents: Vec::new(),
            common_prefixes: ["a/", "b/"].map(|it| xml::Folder { prefix: it.to_owned() }).into(),
        };
        assert_eq!(page(listing(true), None).unwrap().next.as_deref(), Some("b/"));
        assert_eq!(page(listing(true), Some("a/")).unwrap().folders, ["b/"]);
        assert_eq!(page(listing(false), None).unwrap().next, None);
        assert!(page(listing(true), Some("b/")).is_err());
    }
}
