//! Multipart uploads.
//!
//! With CRC-32, the server checks every part and the whole object against ours
//! and keeps the latter
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>).
//! Only a server that says so when the upload begins is believed; any other gets
//! Content-MD5 with each part.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest, Md5};
use rusoto_s3::{AbortMultipartUploadRequest, S3};

use super::client::Call;
use super::object::{crc_text, etag, quoted};
use super::refusal::meaning;
use super::xml::{self, Completed, Created, Refusal};
use super::{ChecksumMode, S3Store};
use crate::record::Checksum;
use crate::retry::{Failed, Idempotency};
use crate::store::{
    Error, ErrorKind, Key, Meta, PartBody, PartDone, Result, Upload, UploadOptions, Whole,
};

/// Some servers copy the whole object to complete it, and say nothing meanwhile.
const COMPLETE: Duration = Duration::from_secs(600);

impl S3Store {
    pub(super) async fn begin(&self, key: &Key, options: &UploadOptions) -> Result<Upload> {
        let mode = self.small_checksum();
        if mode == ChecksumMode::Md5 {
            return Ok(self.create(key, options, false).await?.0);
        }
        let why = match self.create(key, options, true).await {
            Ok((upload, true)) => return Ok(upload),
            Ok((upload, false)) => {
                self.abort(&upload).await?;
                "it did not agree to keep one".to_owned()
            }
            Err(error) if refuses_checksum(&error) => error.cause,
            Err(error) => return Err(error),
        };
        if mode == ChecksumMode::Crc32 {
            let object = self.client.locate(key.as_str());
            let cause = format!("the server keeps no CRC-32 ({why}); set checksum to auto or md5");
            return Err(Error::new(ErrorKind::Unsupported, "begin to upload", object, cause));
        }
        log::info!("the server keeps no CRC-32 of whole objects ({why}); parts go with MD5");
        let upload = self.create(key, options, false).await?.0;
        self.md5_only.store(true, Ordering::Relaxed);
        Ok(upload)
    }

    /// Begins an upload, and tells whether the server keeps a CRC-32 of it.
    async fn create(
        &self,
        key: &Key,
        options: &UploadOptions,
        crc32: bool,
    ) -> Result<(Upload, bool)> {
        let job = self.client.job("begin to upload", key.as_str(), Idempotency::Additive);
        let mut call = self
            .client
            .call("POST", key.as_str(), job)
            .flag("uploads")
            .headers(self.creation(options.storage_class.as_deref(), &options.metadata, key)?);
        if crc32 {
            call = call
                .header("x-amz-checksum-algorithm", "CRC32")
                .header("x-amz-checksum-type", "FULL_OBJECT");
        }
        let (id, kept) = self
            .client
            .send(&call, async |answer| {
                let header = answer.header("x-amz-checksum-type").map(str::to_owned);
                let created: Created = xml::read(&answer.text().await?)?;
                let kind = header.or(created.checksum_type);
                Ok((created.upload_id, kind.as_deref() == Some("FULL_OBJECT")))
            })
            .await?;
        let kept = kept && crc32;
        let checksum = if kept { Checksum::Crc32 } else { Checksum::Md5 };
        let part_size = options.part_size;
        Ok((Upload { key: key.clone(), id, checksum, part_size }, kept))
    }

    pub(super) async fn part(
        &self,
        upload: &Upload,
        number: u32,
        body: PartBody,
    ) -> Result<PartDone> {
        let action = format!("upload part {number} of");
        let job = self.client.job(&action, upload.key.as_str(), Idempotency::Idempotent);
        let object = job.object.clone();
        let call = self
            .of_upload("PUT", upload, job)
            .param("partNumber", number.to_string())
            .pieces(&body.pieces, body.len);
        let (size, crc32) = (body.len, body.crc32);
        let call = match upload.checksum {
            Checksum::Crc32 => call.header("x-amz-checksum-crc32", crc_text(crc32)),
            Checksum::Md5 | Checksum::None => {
                let digest = md5_of(body)
                    .await
                    .map_err(|cause| Error::new(ErrorKind::BadAnswer, &action, object, cause))?;
                call.header("content-md5", digest)
            }
        };
        let etag = self.client.send(&call, async |answer| etag(&answer)).await?;
        Ok(PartDone { number, size, etag, crc32 })
    }

    pub(super) async fn complete(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<()> {
        let crc32 = upload.checksum == Checksum::Crc32;
        let listed = parts.iter().map(|part| xml::Part {
            part_number: part.number,
            etag: quoted(&part.etag),
            crc32: crc32.then(|| crc_text(part.crc32)),
        });
        let job = self.client.job("complete", upload.key.as_str(), Idempotency::Once);
        let object = job.object.clone();
        let body = xml::write(&xml::Complete::new(listed.collect()))
            .map_err(|failed| Error::new(failed.kind, "complete", object, failed.cause))?;
        let mut call = self
            .of_upload("POST", upload, job)
            .header("content-type", "application/xml")
            .body(Bytes::from(body))
            .patience(COMPLETE);
        if crc32 {
            call = call
                .header("x-amz-checksum-crc32", crc_text(whole.crc32))
                .header("x-amz-checksum-type", "FULL_OBJECT")
                .header("x-amz-mp-object-size", whole.size.to_string());
        }
        if whole.if_absent {
            call = call.header("if-none-match", "*");
        }
        self.client.send(&call, async |answer| completed(&answer.text().await?)).await
    }

    /// What became of a completed upload, compared with what it must be.
    pub(super) async fn completed_object(&self, upload: &Upload, whole: &Whole) -> Result<Meta> {
        let wrong = |cause: String| {
            let object = self.client.locate(upload.key.as_str());
            Error::new(ErrorKind::BadAnswer, "check the completed", object, cause)
        };
        let meta = self.head_object(&upload.key).await?;
        let meta = meta.ok_or_else(|| wrong("it is not there".to_owned()))?;
        if meta.size != whole.size {
            return Err(wrong(format!("it has {} bytes of {}", meta.size, whole.size)));
        }
        match meta.crc32 {
            Some(crc32) if crc32 != whole.crc32 => {
                Err(wrong(format!("its CRC-32 is {crc32:08x} and must be {:08x}", whole.crc32)))
            }
            _ => Ok(meta),
        }
    }

    pub(super) async fn abort(&self, upload: &Upload) -> Result<()> {
        let job =
            self.client.job("abort the upload of", upload.key.as_str(), Idempotency::Idempotent);
        let request = AbortMultipartUploadRequest {
            bucket: self.client.bucket.clone(),
            key: upload.key.to_string(),
            upload_id: upload.id.clone(),
            ..Default::default()
        };
        let abort = |s3: rusoto_s3::S3Client| {
            let request = request.clone();
            async move { s3.abort_multipart_upload(request).await }
        };
        match self.client.typed(&job, abort).await {
            Err(error) if !matches!(error.kind, ErrorKind::NoSuchUpload | ErrorKind::NotFound) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn of_upload(
        &self,
        method: &'static str,
        upload: &Upload,
        job: crate::retry::Job,
    ) -> Call {
        self.client.call(method, upload.key.as_str(), job).param("uploadId", &upload.id)
    }
}

/// Whether the server rejected the checksum headers of CreateMultipartUpload.
fn refuses_checksum(error: &Error) -> bool {
    error.kind == ErrorKind::Unsupported
        || ["InvalidRequest", "InvalidArgument", "HTTP 400"]
            .iter()
            .any(|code| error.cause.starts_with(code))
}

/// A 200 may turn into an error on its way
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>).
fn completed(text: &str) -> Result<(), Failed> {
    let Completed { etag, code, message } = xml::read(text)?;
    if etag.is_some() && code.is_empty() {
        return Ok(());
    }
    let refusal = Refusal { code, message, region: None };
    Err(meaning(200, "an HTTP 200 without an ETag", &refusal))
}

/// The MD5 of a part, which must be what its CRC-32 says.
async fn md5_of(body: PartBody) -> Result<String, String> {
    let digest = move || {
        let (mut md5, mut crc32) = (Md5::new(), crc32fast::Hasher::new());
        for piece in &body.pieces {
            md5.update(piece);
            crc32.update(piece);
        }
        (crc32.finalize() == body.crc32).then(|| BASE64.encode(md5.finalize()))
    };
    match tokio::task::spawn_blocking(digest).await {
        Ok(digest) => digest.ok_or_else(|| "its bytes changed in this machine's memory".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
