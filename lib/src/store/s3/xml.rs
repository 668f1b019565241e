//! The XML that S3 speaks, as far as this project listens to it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html>. Unknown
//! elements are skipped. Rusoto's own readers are not used: they panic on a
//! number that is none.

use serde::{Deserialize, Serialize};

use crate::retry::Failed;
use crate::store::ErrorKind;

const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What a server says when it refuses.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    /// The bucket's region, where another one was asked.
    pub(super) region: Option<String>,
}

/// The answer to CreateMultipartUpload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Created {
    pub(super) upload_id: String,
    #[serde(default)]
    pub(super) checksum_type: Option<String>,
}

/// The body of CompleteMultipartUpload.
#[derive(Debug, Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
pub(super) struct Complete {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "Part")]
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Part {
    pub(super) part_number: u32,
    #[serde(rename = "ETag")]
    pub(super) etag: String,
    #[serde(rename = "ChecksumCRC32", skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
}

impl Complete {
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self { xmlns: XMLNS, parts }
    }
}

/// The answer to CompleteMultipartUpload, by whatever name: 200 may carry a
/// refusal, which alone has a code.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Completed {
    #[serde(rename = "ETag")]
    pub(super) etag: Option<String>,
    pub(super) code: String,
    pub(super) message: String,
}

/// The body of RestoreObject.
#[derive(Debug, Serialize)]
#[serde(rename = "RestoreRequest")]
pub(super) struct Restore {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "Days", skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(rename = "GlacierJobParameters")]
    job: Job,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Job {
    tier: String,
}

impl Restore {
    pub(super) fn new(days: Option<u32>, tier: String) -> Self {
        Self { xmlns: XMLNS, days, job: Job { tier } }
    }
}

/// The answer to ListObjectsV2.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    #[serde(default)]
    pub(super) is_truncated: bool,
    #[serde(default)]
    pub(super) contents: Vec<Content>,
    #[serde(default)]
    pub(super) common_prefixes: Vec<Folder>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    pub(super) key: String,
    pub(super) size: u64,
    #[serde(rename = "ETag", default)]
    pub(super) etag: String,
    #[serde(default)]
    pub(super) last_modified: Option<String>,
    #[serde(default)]
    pub(super) storage_class: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Folder {
    pub(super) prefix: String,
}

/// The answer to ListParts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PartList {
    #[serde(default)]
    pub(super) is_truncated: bool,
    #[serde(rename = "Part", default)]
    pub(super) parts: Vec<ListedPart>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedPart {
    pub(super) part_number: u32,
    pub(super) size: u64,
    #[serde(rename = "ETag")]
    pub(super) etag: String,
}

/// The answer to ListMultipartUploads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UploadList {
    #[serde(default)]
    pub(super) is_truncated: bool,
    #[serde(default)]
    pub(super) next_key_marker: Option<String>,
    #[serde(default)]
    pub(super) next_upload_id_marker: Option<String>,
    #[serde(rename = "Upload", default)]
    pub(super) uploads: Vec<ListedUpload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedUpload {
    pub(super) key: String,
    pub(super) upload_id: String,
    #[serde(default)]
    pub(super) initiated: Option<String>,
}

/// Reads an answer.
///
/// # Errors
/// When it is not what was asked for; worth asking again, as a proxy may have
/// answered instead of the server.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failed> {
    quick_xml::de::from_str(text).map_err(|error| Failed {
        kind: ErrorKind::BadAnswer,
        ..Failed::counted(format!("the answer makes no sense: {error}"))
    })
}

/// Writes a request's body.
///
/// # Errors
/// None that happens with these types; the writer's interface has one.
pub(super) fn write<T: Serialize>(value: &T) -> Result<String, Failed> {
    quick_xml::se::to_string(value)
        .map_err(|error| Failed::never(ErrorKind::Refused, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_with_or_without_a_namespace() {
        let text = "<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>NoSuchKey</Code>\
                    <Message>a &amp; b</Message><Resource>/k</Resource></Error>";
        let refusal: Refusal = read(text).unwrap();
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("NoSuchKey", "a & b"));
        assert_eq!(read::<Refusal>("<Error/>").unwrap(), Refusal::default());
        assert!(read::<Refusal>("gateway timeout").is_err());
    }

    #[test]
    fn completing_tells_success_from_an_error_in_a_200() {
        let done = "<?xml version=\"1.0\"?>\n  \n<CompleteMultipartUploadResult><Location>l</Location>\
                    <ETag>&quot;abc-2&quot;</ETag></CompleteMultipartUploadResult>";
        let done: Completed = read(done).unwrap();
        assert_eq!(done.etag.as_deref(), Some("\"abc-2\""));
        assert_eq!(done.code, "");
        let failed = "<Error><Code>InternalError</Code><Message>m</Message></Error>";
        let failed: Completed = read(failed).unwrap();
        assert_eq!((failed.etag, failed.code.as_str()), (None, "InternalError"));
        assert!(read::<Completed>("").is_err());
    }

    #[test]
    fn keys_are_read_to_the_letter() {
        let text = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents>\
                    <Key> a&lt;b  c&apos; </Key><Size>7</Size></Contents>\
                    <CommonPrefixes><Prefix> x/</Prefix></CommonPrefixes><Contents>\
                    <Key>b%20+</Key><Size>0</Size></Contents></ListBucketResult>";
        let listing: Listing = read(text).unwrap();
        assert!(listing.is_truncated);
        let keys: Vec<_> = listing.contents.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, [" a<b  c' ", "b%20+"]);
        assert_eq!(listing.common_prefixes, [Folder { prefix: " x/".to_owned() }]);
        assert!(read::<Listing>(&text.replace(">7<", ">-7<")).is_err());
    }

    #[test]
    fn a_thaw_is_asked_for_with_days_or_without() {
        let text = |days| write(&Restore::new(days, "Bulk".to_owned())).unwrap();
        assert_eq!(
            text(Some(14)),
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>14</Days>\
             <GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>"
        );
        assert!(!text(None).contains("Days"));
    }

    #[test]
    fn parts_are_written_as_s3_reads_them() {
        let part = |crc32| Part { part_number: 1, etag: "\"e\"".to_owned(), crc32 };
        let text = write(&Complete::new(vec![part(None), part(Some("AAAAAA==".to_owned()))]));
        assert_eq!(
            text.unwrap(),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part>\
             <Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag>\
             <ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>"
        );
    }
}
