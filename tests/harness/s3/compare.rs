//! What a server compares before it believes a client, and how it tells what it has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::staging::{Begun, Commit, Staged, StagedPart};

/// The smallest part but the last, in bytes.
const PART_MIN: u64 = 5 << 20;

/// The parts that Complete names, if they are what the upload holds.
pub(super) fn named(
    staged: &[StagedPart],
    input: &CompleteMultipartUploadInput,
    begun: &Begun,
) -> S3Result<Vec<StagedPart>> {
    let named = input.multipart_upload.iter().flat_map(|it| it.parts.iter().flatten());
    let mut parts: Vec<StagedPart> = Vec::new();
    for claim in named {
        let number = claim.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let part = staged.iter().find(|part| part.number == number);
        let part = part.ok_or_else(|| s3_error!(InvalidPart, "A part is missing"))?;
        let etag = claim.e_tag.as_ref().is_some_and(|etag| *etag == etag_of(part));
        let crc = claim.checksum_crc32.as_deref().is_none_or(|it| it == base64_crc(part.crc32));
        if !etag || (begun.keeps_crc32 && !crc) {
            return Err(s3_error!(InvalidPart, "A part differs from what was uploaded"));
        }
        parts.push(part.clone());
    }
    match parts.split_last() {
        None => Err(s3_error!(MalformedXML, "There must be a part")),
        Some((_, rest)) if rest.iter().any(|part| part.size < PART_MIN) => {
            Err(s3_error!(EntityTooSmall))
        }
        Some(_) => Ok(parts),
    }
}

/// Compares what Complete claims with what the parts make.
pub(super) fn claims(input: &CompleteMultipartUploadInput, parts: &[StagedPart]) -> S3Result<()> {
    let Commit { size, crc32, .. } = Commit::of(parts);
    if input.checksum_crc32.as_ref().is_some_and(|claim| *claim != base64_crc(crc32)) {
        return Err(s3_error!(BadDigest, "The CRC-32 of the object differs"));
    }
    if input.mpu_object_size.is_some_and(|claim| u64::try_from(claim) != Ok(size)) {
        return Err(s3_error!(InvalidRequest, "The size of the object differs"));
    }
    Ok(())
}

pub(super) fn base64_crc(crc: u32) -> String {
    BASE64.encode(crc.to_be_bytes())
}

pub(super) fn etag_of(part: &StagedPart) -> ETag {
    ETag::Strong(part.md5.clone())
}

pub(super) async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| s3_error!(IncompleteBody))?);
    }
    Ok(bytes.freeze())
}

pub(super) fn check(bytes: &[u8], crc32: Option<&str>, md5: Option<&str>) -> S3Result<()> {
    if crc32.is_some_and(|claim| claim != base64_crc(crc32fast::hash(bytes))) {
        return Err(s3_error!(BadDigest, "The CRC-32 that was given differs from the body's"));
    }
    if md5.is_some_and(|claim| claim != BASE64.encode(Md5::digest(bytes))) {
        return Err(s3_error!(BadDigest, "The Content-MD5 that was given differs from the body's"));
    }
    Ok(())
}

pub(super) fn listed_part(part: &StagedPart) -> Part {
    Part {
        part_number: Some(part.number),
        size: i64::try_from(part.size).ok(),
        e_tag: Some(etag_of(part)),
        last_modified: Some(part.modified.into()),
        ..Part::default()
    }
}

pub(super) fn listed_upload(upload: Staged) -> MultipartUpload {
    MultipartUpload {
        key: Some(upload.begun.key),
        upload_id: Some(upload.id),
        initiated: Some(upload.since.into()),
        ..MultipartUpload::default()
    }
}
