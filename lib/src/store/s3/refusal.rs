//! What a refusal means: for the next attempt, and for who asked.
//!
//! Codes from <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>;
//! servers other than AWS use the same ones, or none.

use super::transport::Answer;
use super::xml::{self, Refusal};
use crate::retry::{Again, Failed};
use crate::store::ErrorKind;

/// What an answer that is no success means; `silent` says that the request's
/// method (HEAD) lets it have no words.
pub(super) async fn refused(answer: Answer, silent: bool) -> Failed {
    let status = answer.status();
    let words = answer.status_words();
    let region = answer.header("x-amz-bucket-region").map(str::to_owned);
    let text = match answer.text().await {
        Ok(text) => text,
        Err(failed) if failed.again == Again::Timed => return failed,
        Err(_) => String::new(),
    };
    // A proxy's page, or nothing at all (an answer to HEAD): the status must do.
    let mut refusal: Refusal = xml::read(&text).unwrap_or_default();
    refusal.region = refusal.region.or(region);
    let failed = meaning(status, &words, &refusal);
    match (silent, status) {
        // It may be an expired token.
        (true, 400) => Failed { again: Again::Renewed, ..failed },
        _ => failed,
    }
}

/// What a refusal means that came with `status`; `status_words` are said when the
/// refusal says nothing.
pub(super) fn meaning(status: u16, status_words: &str, refusal: &Refusal) -> Failed {
    let (again, kind) = judge(status, &refusal.code);
    let mut cause = match (refusal.code.as_str(), refusal.message.as_str()) {
        ("", _) => status_words.to_owned(),
        (code, "") => format!("{code} ({status_words})"),
        (code, message) => format!("{code}: {message}"),
    };
    if let Some(hint) = hint(status, refusal) {
        cause = format!("{cause} ({hint})");
    }
    Failed { again, kind, cause }
}

fn judge(status: u16, code: &str) -> (Again, ErrorKind) {
    use {Again::*, ErrorKind::*};
    match (status, code) {
        (_, "NoSuchKey" | "NoSuchVersion") => (Never, NotFound),
        (_, "NoSuchUpload") => (Never, NoSuchUpload),
        (_, "NoSuchBucket") => (Never, Refused),
        (_, "InvalidObjectState") => (Never, Archived),
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => {
            (Renewed, Refused)
        }
        (_, "NotImplemented") | (501, _) => (Never, Unsupported),
        (_, "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch") => (Counted, BadAnswer),
        (_, "XAmzContentChecksumMismatch") => (Counted, BadAnswer),
        (_, "RequestTimeout" | "SlowDown" | "InternalError") => (Counted, Unavailable),
        (_, "ServiceUnavailable" | "Throttling" | "ThrottlingException") => (Counted, Unavailable),
        // Capacity for it does not come back within a minute.
        (_, "GlacierExpeditedRetrievalNotAvailable") => (Never, Unavailable),
        (_, "ConditionalRequestConflict" | "OperationAborted") => (Counted, Unavailable),
        (408 | 429 | 500..=599, _) => (Counted, Unavailable),
        (_, "PreconditionFailed") | (412, _) => (Never, PreconditionFailed),
        (404, "") => (Never, NotFound),
        (200, "") => (Counted, BadAnswer),
        _ => (Never, Refused),
    }
}

fn hint(status: u16, refusal: &Refusal) -> Option<String> {
    if let Some(region) = &refusal.region
        && matches!(status, 301 | 307 | 400)
    {
        return Some(format!("the bucket is in region {region}: set that one"));
    }
    match (status, refusal.code.as_str()) {
        (403, "AccessDenied" | "") => {
            Some("a missing key looks like this too, without permission s3:ListBucket".to_owned())
        }
        (_, "GlacierExpeditedRetrievalNotAvailable") => {
            Some("ask with tier Standard, or try again later".to_owned())
        }
        (403, "RequestTimeTooSkewed") => Some("this machine's clock is wrong".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, code: &str) -> Failed {
        let refusal = Refusal { code: code.into(), message: "in its words".into(), region: None };
        meaning(status, "HTTP", &refusal)
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, code) in [
            (500, "InternalError"),
            (502, ""),
            (503, "SlowDown"),
            (504, ""),
            (429, ""),
            (400, "RequestTimeout"),
            (409, "ConditionalRequestConflict"),
            (200, "InternalError"),
        ] {
            let failed = said(status, code);
            let expected = (Again::Counted, ErrorKind::Unavailable);
            assert_eq!((failed.again, failed.kind), expected, "{status} {code}");
        }
        assert_eq!(said(400, "ExpiredToken").again, Again::Renewed);
    }

    #[test]
    fn a_tier_that_is_out_of_capacity_is_not_asked_for_again_and_again() {
        let failed = said(503, "GlacierExpeditedRetrievalNotAvailable");
        assert_eq!((failed.again, failed.kind), (Again::Never, ErrorKind::Unavailable));
        assert!(failed.cause.contains("tier Standard"), "{}", failed.cause);
    }

    #[test]
    fn what_callers_decide_on_is_told_apart() {
        for (status, code, kind) in [
            (404, "NoSuchKey", ErrorKind::NotFound),
            (404, "", ErrorKind::NotFound),
            (404, "NoSuchBucket", ErrorKind::Refused),
            (404, "NoSuchUpload", ErrorKind::NoSuchUpload),
            (409, "RestoreAlreadyInProgress", ErrorKind::Refused),
            (412, "PreconditionFailed", ErrorKind::PreconditionFailed),
            (200, "PreconditionFailed", ErrorKind::PreconditionFailed),
            (200, "NoSuchUpload", ErrorKind::NoSuchUpload),
            (403, "InvalidObjectState", ErrorKind::Archived),
            (403, "SignatureDoesNotMatch", ErrorKind::Refused),
            (501, "NotImplemented", ErrorKind::Unsupported),
            (301, "PermanentRedirect", ErrorKind::Refused),
            (405, "MethodNotAllowed", ErrorKind::Refused),
        ] {
            let failed = said(status, code);
            assert_eq!((failed.again, failed.kind), (Again::Never, kind), "{status} {code}");
        }
    }

    #[test]
    fn the_servers_own_words_are_passed_on_with_what_to_do() {
        assert_eq!(said(404, "NoSuchBucket").cause, "NoSuchBucket: in its words");
        assert!(said(403, "AccessDenied").cause.contains("s3:ListBucket"));
        let moved = Refusal { region: Some("eu-west-1".into()), ..Refusal::default() };
        let failed = meaning(301, "HTTP 301", &moved);
        assert_eq!(failed.cause, "HTTP 301 (the bucket is in region eu-west-1: set that one)");
    }
}
