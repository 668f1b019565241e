//! `s3s-fs` with what it leaves out of S3's promises.
//!
//! `s3s-fs` 0.14 compares and writes in two steps, stores an object before it
//! compares the digest, writes bytes, metadata and ETag one after the other,
//! ignores the digests and ETags of parts, keeps no checksum of a multipart
//! object, lists no uploads, fails on folders, and makes missing buckets. So
//! everything that is written goes through [`Staging`] first, is checked there,
//! and is `s3s-fs`'s to keep and to read once it is whole.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::stream;
use hyper1::{HeaderMap, Method, Uri};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

use super::compare::{
    base64_crc, check, claims, collect, etag_of, listed_part, listed_upload, named,
};
use super::server::{Checks, Conditions};
use super::staging::{Begun, Staged, Staging, pieces};

/// The most parts or uploads in one answer.
const PAGE: usize = 1_000;

pub(super) struct Strict {
    fs: FileSystem,
    root: PathBuf,
    staging: Staging,
    checks: Checks,
    conditions: Conditions,
    /// Written to over compare and write.
    objects: RwLock<()>,
}

impl Strict {
    /// The server that lives in `home`, where it goes on from where it was killed.
    /// The buckets are the folders in `home/buckets`.
    pub(super) async fn open(home: &Path, checks: Checks, conditions: Conditions) -> Self {
        let root = home.join("buckets");
        let fs = FileSystem::new(&root).expect("a directory");
        let staging = Staging::open(&home.join("uploads")).expect("a directory");
        let it = Self { fs, root, staging, checks, conditions, objects: RwLock::default() };
        for id in it.staging.committed().expect("a directory") {
            // What cannot be placed was refused the first time too.
            drop(it.place(&id).await);
        }
        it
    }

    fn is_bucket(&self, bucket: &str) -> S3Result<()> {
        match self.root.join(bucket).is_dir() {
            true => Ok(()),
            false => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }

    /// A folder of `s3s-fs` is no object.
    fn is_object(&self, bucket: &str, key: &str) -> S3Result<()> {
        self.is_bucket(bucket)?;
        match self.root.join(bucket).join(key).is_dir() {
            true => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            false => Ok(()),
        }
    }

    /// Refuses when the conditions do not hold for what is there now.
    async fn meets(
        &self,
        bucket: &str,
        key: &str,
        if_none_match: Option<&ETagCondition>,
        if_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let if_none_match = if_none_match.filter(|_| self.conditions != Conditions::Ignored);
        let if_match = if_match.filter(|_| self.conditions == Conditions::Honoured);
        if if_none_match.is_none() && if_match.is_none() {
            return Ok(());
        }
        let input = HeadObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..HeadObjectInput::default()
        };
        let found = match self.is_object(bucket, key) {
            Ok(()) => self.fs.head_object(request(Method::HEAD, input)).await.ok(),
            Err(_) => None,
        };
        let etag = found.and_then(|found| found.output.e_tag);
        if if_none_match.is_some() && etag.is_some() {
            return Err(s3_error!(PreconditionFailed, "The key is taken"));
        }
        match (if_match, etag) {
            (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            (Some(ETagCondition::ETag(wanted)), Some(found)) if !wanted.strong_cmp(&found) => {
                Err(s3_error!(PreconditionFailed, "The object has another ETag"))
            }
            _ => Ok(()),
        }
    }

    /// The upload, if it is one of this key.
    fn upload(&self, id: &str, bucket: &str, key: &str) -> S3Result<Staged> {
        self.is_bucket(bucket)?;
        let found = self.staging.get(id).filter(|staged| {
            staged.begun.multipart && (&*staged.begun.bucket, &*staged.begun.key) == (bucket, key)
        });
        found.ok_or_else(no_such_upload)
    }

    /// Gives what was committed as `id` to `s3s-fs`.
    async fn place(&self, id: &str) -> S3Result<S3Response<PutObjectOutput>> {
        let (begun, commit) = self.staging.placing(id)?;
        let input = PutObjectInput {
            bucket: begun.bucket,
            key: begun.key,
            body: Some(StreamingBlob::wrap(stream::iter(commit.pieces()))),
            content_length: i64::try_from(commit.size).ok(),
            metadata: begun.metadata,
            content_type: begun.content_type,
            checksum_crc32: begun.keeps_crc32.then(|| base64_crc(commit.crc32)),
            ..PutObjectInput::default()
        };
        let answer = self.fs.put_object(request(Method::PUT, input)).await;
        self.staging.remove(id)?;
        answer
    }

    /// Writes the object of a PutObject that was begun as `id`.
    async fn write(
        &self,
        id: &str,
        input: &PutObjectInput,
        bytes: &[u8],
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let part = self.staging.put_part(id, 1, bytes)?.ok_or_else(no_such_upload)?;
        let _writing = self.objects.write().await;
        let (none, some) = (input.if_none_match.as_ref(), input.if_match.as_ref());
        self.meets(&input.bucket, &input.key, none, some).await?;
        self.staging.commit(id, &[part])?;
        self.place(id).await
    }
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(NoSuchUpload, "The upload does not exist")
}

/// A request that this server makes of `s3s-fs`.
fn request<T>(method: Method, input: T) -> S3Request<T> {
    S3Request {
        input,
        method,
        uri: Uri::default(),
        headers: HeaderMap::default(),
        extensions: Default::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

#[async_trait]
impl S3 for Strict {
    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.fs.head_bucket(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _reading = self.objects.read().await;
        self.fs.list_objects_v2(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let _reading = self.objects.read().await;
        self.is_object(&req.input.bucket, &req.input.key)?;
        let path = self.root.join(&req.input.bucket).join(&req.input.key);
        let mut answer = self.fs.get_object(req).await?;
        let output = &mut answer.output;
        // `s3s-fs` reads 4 KiB at a time, which no test of speed survives.
        let range = output.content_range.as_deref().and_then(|it| it.strip_prefix("bytes "));
        let start = range.and_then(|it| it.split('-').next()?.parse().ok()).unwrap_or(0);
        let len = output.content_length.and_then(|len| u64::try_from(len).ok()).unwrap_or(0);
        // Keys that look like paths have another file.
        if path.is_file() {
            let pieces = stream::iter(pieces(&path, start, len)?);
            output.body = Some(StreamingBlob::wrap(pieces));
        }
        Ok(answer)
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let _reading = self.objects.read().await;
        self.is_object(&req.input.bucket, &req.input.key)?;
        let mut answer = self.fs.head_object(req).await?;
        if answer.output.checksum_crc32.is_some() {
            answer.output.checksum_type =
                Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        }
        Ok(answer)
    }

    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut req.input;
        self.is_bucket(&input.bucket)?;
        let bytes = collect(input.body.take()).await?;
        check(&bytes, input.checksum_crc32.as_deref(), input.content_md5.as_deref())?;
        let id = self.staging.begin(&Begun {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            metadata: input.metadata.take(),
            content_type: input.content_type.clone(),
            keeps_crc32: self.checks == Checks::Crc32 && input.checksum_crc32.is_some(),
            multipart: false,
        })?;
        let written = self.write(&id, &req.input, &bytes).await;
        if written.is_err() {
            self.staging.remove(&id)?;
        }
        written
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _writing = self.objects.write().await;
        self.fs.delete_object(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        self.is_bucket(&input.bucket)?;
        let is = |given: Option<&str>, wanted| given == Some(wanted);
        let keeps_crc32 = self.checks == Checks::Crc32
            && is(input.checksum_algorithm.as_ref().map(|it| it.as_str()), "CRC32")
            && is(input.checksum_type.as_ref().map(|it| it.as_str()), "FULL_OBJECT");
        let id = self.staging.begin(&Begun {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            metadata: input.metadata,
            content_type: input.content_type,
            keeps_crc32,
            multipart: true,
        })?;
        let crc32 = || ChecksumAlgorithm::from_static(ChecksumAlgorithm::CRC32);
        let full = || ChecksumType::from_static(ChecksumType::FULL_OBJECT);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: keeps_crc32.then(crc32),
            checksum_type: keeps_crc32.then(full),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = &mut req.input;
        let bytes = collect(input.body.take()).await?;
        check(&bytes, input.checksum_crc32.as_deref(), input.content_md5.as_deref())?;
        if !(1..=10_000).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "Part numbers are 1 to 10000"));
        }
        self.upload(&input.upload_id, &input.bucket, &input.key)?;
        let part = self.staging.put_part(&input.upload_id, input.part_number, &bytes)?;
        let part = part.ok_or_else(no_such_upload)?;
        let e_tag = Some(etag_of(&part));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        self.upload(&input.upload_id, &input.bucket, &input.key)?;
        let mut parts = self.staging.parts(&input.upload_id)?;
        parts.retain(|part| part.number > input.part_number_marker.unwrap_or(0));
        let truncated = parts.len() > PAGE;
        parts.truncate(PAGE);
        Ok(S3Response::new(ListPartsOutput {
            next_part_number_marker: parts.last().filter(|_| truncated).map(|part| part.number),
            parts: Some(parts.iter().map(listed_part).collect()),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(truncated),
            ..ListPartsOutput::default()
        }))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        self.is_bucket(&input.bucket)?;
        let place = |it: &Staged| (it.begun.key.clone(), it.id.clone());
        let marker = input.key_marker.zip(input.upload_id_marker);
        let prefix = input.prefix.unwrap_or_default();
        let mut uploads = self.staging.uploads()?;
        uploads.retain(|it| it.begun.bucket == input.bucket && it.begun.key.starts_with(&prefix));
        uploads.retain(|it| marker.as_ref().is_none_or(|marker| place(it) > *marker));
        uploads.sort_by_key(place);
        let truncated = uploads.len() > PAGE;
        uploads.truncate(PAGE);
        let (next_key, next_id) = uploads.last().filter(|_| truncated).map(place).unzip();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(truncated),
            next_key_marker: next_key,
            next_upload_id_marker: next_id,
            uploads: Some(uploads.into_iter().map(listed_upload).collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let _writing = self.objects.write().await;
        let upload = self.upload(&input.upload_id, &input.bucket, &input.key)?;
        let (none, some) = (input.if_none_match.as_ref(), input.if_match.as_ref());
        self.meets(&input.bucket, &input.key, none, some).await?;
        let parts = named(&self.staging.parts(&upload.id)?, &input, &upload.begun)?;
        claims(&input, &parts)?;
        if !self.staging.commit(&upload.id, &parts)? {
            return Err(no_such_upload());
        }
        let placed = self.place(&upload.id).await?.output;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: placed.e_tag,
            checksum_crc32: placed.checksum_crc32,
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        self.upload(&input.upload_id, &input.bucket, &input.key)?;
        match self.staging.abort(&input.upload_id)? {
            true => Ok(S3Response::new(AbortMultipartUploadOutput::default())),
            false => Err(no_such_upload()),
        }
    }
}
