//! Thaws: asking for them, and what a head says of them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::S3Store;
use super::object::http_date;
use super::transport::Answer;
use super::xml;
use crate::retry::Idempotency;
use crate::store::{Archived, Error, ErrorKind, Key, Result, Thaw, ThawRequest, Vault};

/// What is said of an object that is being thawed by an earlier request.
const IN_PROGRESS: &str = "RestoreAlreadyInProgress";

impl S3Store {
    pub(super) async fn restore(&self, key: &Key, request: &ThawRequest) -> Result<()> {
        let job = self.client.job("ask for the thaw of", key.as_str(), Idempotency::Idempotent);
        let object = job.object.clone();
        let body = xml::write(&xml::Restore::new(request.days, request.tier.to_string()))
            .map_err(|failed| Error::new(failed.kind, "thaw", object, failed.cause))?;
        let call = self
            .client
            .call("POST", key.as_str(), job)
            .flag("restore")
            .header("content-type", "application/xml")
            .header("content-md5", BASE64.encode(Md5::digest(&body)))
            .body(Bytes::from(body));
        match self.client.send(&call, async |_| Ok(())).await {
            Err(error) if error.cause.starts_with(IN_PROGRESS) => Ok(()),
            other => other.map_err(explained),
        }
    }
}

/// What a refusal means here: the same code says of a GET that a thaw is needed.
fn explained(error: Error) -> Error {
    match error.kind {
        ErrorKind::Archived => Error { kind: ErrorKind::Refused, ..error },
        _ if error.cause.starts_with("AccessDenied") => Error {
            cause: format!("{}; it takes the permission s3:RestoreObject", error.cause),
            ..error
        },
        _ => error,
    }
}

/// What the answer to HEAD says of an archived object.
pub(super) fn archived(answer: &Answer, storage_class: &str) -> Option<Archived> {
    let vault = Vault::of(storage_class, answer.header("x-amz-archive-status"))?;
    let thaw = answer.header("x-amz-restore").map_or(Thaw::Frozen, thaw);
    Some(Archived { vault, thaw })
}

/// Reads `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`.
fn thaw(header: &str) -> Thaw {
    let value = |name: &str| {
        let (_, rest) = header.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    match value("ongoing-request") {
        Some("true") => Thaw::Thawing,
        Some("false") => Thaw::Ready { until: value("expiry-date").and_then(http_date) },
        _ => Thaw::Frozen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_restore_header_is_read() {
        assert_eq!(thaw("ongoing-request=\"true\""), Thaw::Thawing);
        let ready = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        let until = Some("2012-12-21T00:00:00Z".parse().unwrap());
        assert_eq!(thaw(ready), Thaw::Ready { until });
        assert_eq!(thaw("ongoing-request=\"false\""), Thaw::Ready { until: None });
        let odd = "ongoing-request=\"false\", expiry-date=\"soon\"";
        assert_eq!(thaw(odd), Thaw::Ready { until: None });
        assert_eq!((thaw(""), thaw("ongoing-request=\"")), (Thaw::Frozen, Thaw::Frozen));
    }

    #[test]
    fn a_class_that_needs_no_thaw_is_no_reason_to_try_later() {
        let error = |kind, cause| explained(Error::new(kind, "thaw", "o", cause));
        let refused = error(ErrorKind::Archived, "InvalidObjectState: m");
        assert_eq!(refused.kind, ErrorKind::Refused);
        let denied = error(ErrorKind::Refused, "AccessDenied: m");
        assert!(denied.cause.contains("s3:RestoreObject"), "{denied}");
    }
}
