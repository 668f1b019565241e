//! `s3s-fs` with what it leaves out of S3's promises.
//!
//! `s3s-fs` 0.14 compares and writes in two steps, stores an object before it
//! compares the digest, ignores the digests of parts, keeps no checksum of a
//! multipart object, fails on folders, makes missing buckets, and answers
//! AccessDenied where S3 says NoSuchUpload. This layer checks first and passes on
//! what holds; everything else is `s3s-fs`'s. What it keeps of checksums it keeps
//! in memory.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{Body, S3, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

use super::server::Checks;

/// A part as it was checked: its CRC-32 and its size.
type Part = (u32, u64);

pub(super) struct Strict {
    fs: FileSystem,
    root: PathBuf,
    checks: Checks,
    /// Held over compare and write.
    writing: tokio::sync::Mutex<()>,
    /// The parts of the uploads that asked for a CRC-32 of the whole object.
    uploads: Mutex<HashMap<String, BTreeMap<i32, Part>>>,
    /// CRC-32 of multipart objects, by bucket and key.
    whole: Mutex<HashMap<(String, String), u32>>,
}

impl Strict {
    /// The buckets are the folders in `root`.
    pub(super) fn new(root: &Path, checks: Checks) -> Self {
        let (writing, uploads, whole) = Default::default();
        let fs = FileSystem::new(root).expect("a directory");
        Self { fs, root: root.to_owned(), checks, writing, uploads, whole }
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

    fn whole(&self, bucket: &str, key: &str) -> Option<String> {
        let whole = self.whole.lock().unwrap();
        whole.get(&(bucket.to_owned(), key.to_owned())).map(|crc| base64_crc(*crc))
    }

    fn forget(&self, bucket: &str, key: &str) {
        self.whole.lock().unwrap().remove(&(bucket.to_owned(), key.to_owned()));
    }

    /// Compares what Complete claims with the parts; the CRC-32 of all of them.
    fn combined(&self, input: &CompleteMultipartUploadInput) -> S3Result<Option<u32>> {
        let uploads = self.uploads.lock().unwrap();
        let Some(parts) = uploads.get(&input.upload_id) else { return Ok(None) };
        let named = input.multipart_upload.iter().flat_map(|upload| upload.parts.iter().flatten());
        let mut hasher = crc32fast::Hasher::new();
        let mut size = 0;
        for number in named.filter_map(|part| part.part_number) {
            let (crc, length) =
                parts.get(&number).copied().ok_or_else(|| s3_error!(InvalidPart))?;
            hasher.combine(&crc32fast::Hasher::new_with_initial_len(crc, length));
            size += length;
        }
        let crc = hasher.finalize();
        if input.checksum_crc32.as_ref().is_some_and(|claim| *claim != base64_crc(crc)) {
            return Err(s3_error!(BadDigest, "The CRC-32 of the object differs"));
        }
        if input.mpu_object_size.is_some_and(|claim| u64::try_from(claim) != Ok(size)) {
            return Err(s3_error!(InvalidRequest, "The size of the object differs"));
        }
        Ok(Some(crc))
    }
}

fn base64_crc(crc: u32) -> String {
    BASE64.encode(crc.to_be_bytes())
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| s3_error!(IncompleteBody))?);
    }
    Ok(bytes.freeze())
}

fn blob(bytes: Bytes) -> Option<StreamingBlob> {
    Some(Body::from(bytes).into())
}

fn check(bytes: &[u8], crc32: Option<&str>, md5: Option<&str>) -> S3Result<()> {
    if crc32.is_some_and(|claim| claim != base64_crc(crc32fast::hash(bytes))) {
        return Err(s3_error!(BadDigest, "The CRC-32 that was given differs from the body's"));
    }
    if md5.is_some_and(|claim| claim != BASE64.encode(Md5::digest(bytes))) {
        return Err(s3_error!(BadDigest, "The Content-MD5 that was given differs from the body's"));
    }
    Ok(())
}

/// Signatures are checked before: what `s3s-fs` calls denied is an unknown upload.
fn known<T>(answer: S3Result<T>) -> S3Result<T> {
    answer.map_err(|error| match error.code() {
        S3ErrorCode::AccessDenied => s3_error!(NoSuchUpload, "The upload does not exist"),
        _ => error,
    })
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
        self.fs.list_objects_v2(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.is_object(&req.input.bucket, &req.input.key)?;
        self.fs.get_object(req).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.is_object(&req.input.bucket, &req.input.key)?;
        let whole = self.whole(&req.input.bucket, &req.input.key);
        let mut answer = self.fs.head_object(req).await?;
        if whole.is_some() {
            answer.output.checksum_crc32 = whole;
            answer.output.checksum_type =
                Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        }
        Ok(answer)
    }

    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.is_bucket(&req.input.bucket)?;
        let bytes = collect(req.input.body.take()).await?;
        check(&bytes, req.input.checksum_crc32.as_deref(), req.input.content_md5.as_deref())?;
        req.input.body = blob(bytes);
        let _writing = self.writing.lock().await;
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let answer = self.fs.put_object(req).await?;
        self.forget(&bucket, &key);
        Ok(answer)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _writing = self.writing.lock().await;
        self.forget(&req.input.bucket, &req.input.key);
        self.fs.delete_object(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.is_bucket(&req.input.bucket)?;
        let is = |given: Option<&str>, wanted| given == Some(wanted);
        let full = self.checks == Checks::Crc32
            && is(req.input.checksum_algorithm.as_ref().map(|it| it.as_str()), "CRC32")
            && is(req.input.checksum_type.as_ref().map(|it| it.as_str()), "FULL_OBJECT");
        let mut answer = self.fs.create_multipart_upload(req).await?;
        if let (true, Some(id)) = (full, &answer.output.upload_id) {
            self.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
            answer.output.checksum_algorithm =
                Some(ChecksumAlgorithm::from_static(ChecksumAlgorithm::CRC32));
            answer.output.checksum_type =
                Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        }
        Ok(answer)
    }

    async fn upload_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let bytes = collect(req.input.body.take()).await?;
        check(&bytes, req.input.checksum_crc32.as_deref(), req.input.content_md5.as_deref())?;
        let part = (crc32fast::hash(&bytes), bytes.len() as u64);
        let (id, number) = (req.input.upload_id.clone(), req.input.part_number);
        req.input.body = blob(bytes);
        let answer = known(self.fs.upload_part(req).await)?;
        if let Some(parts) = self.uploads.lock().unwrap().get_mut(&id) {
            parts.insert(number, part);
        }
        Ok(answer)
    }

    async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.fs.list_parts(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _writing = self.writing.lock().await;
        let crc = self.combined(&req.input)?;
        let id = req.input.upload_id.clone();
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let answer = known(self.fs.complete_multipart_upload(req).await)?;
        self.uploads.lock().unwrap().remove(&id);
        self.forget(&bucket, &key);
        if let Some(crc) = crc {
            self.whole.lock().unwrap().insert((bucket, key), crc);
        }
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let id = req.input.upload_id.clone();
        let answer = known(self.fs.abort_multipart_upload(req).await)?;
        self.uploads.lock().unwrap().remove(&id);
        Ok(answer)
    }
}
