//! What can go wrong with a store, said so that a caller can decide and a person
//! can act.

use std::fmt;
use std::time::Duration;

use crate::exit::{HasStatus, Status};

/// A failed call of a store, after all retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What was being done: "upload part 7 of".
    pub action: String,
    /// The object's or the store's URL.
    pub object: String,
    /// What a caller can decide on.
    pub kind: ErrorKind,
    /// What the server or the system said, in its own words.
    pub cause: String,
    /// How often it was tried; 1 when a retry made no sense.
    pub attempts: u32,
    /// How long it was tried.
    pub elapsed: Duration,
}

/// What a caller can decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// The key is taken, or holds another ETag.
    PreconditionFailed,
    /// The multipart upload is gone: completed, aborted or lost.
    NoSuchUpload,
    /// The object must be thawed first (InvalidObjectState).
    Archived,
    /// The server does not do this: it rejected a header or a call.
    Unsupported,
    /// The server refused for good: permissions, bucket, key, signature.
    Refused,
    /// The server said something that contradicts itself or us.
    BadAnswer,
    /// No answer, or none but "later", until retries were over.
    Unavailable,
    /// This machine's disk or filesystem failed.
    Io,
}

impl Error {
    /// An error of the first attempt.
    pub fn new(
        kind: ErrorKind,
        action: impl Into<String>,
        object: impl Into<String>,
        cause: impl Into<String>,
    ) -> Self {
        Self {
            action: action.into(),
            object: object.into(),
            kind,
            cause: cause.into(),
            attempts: 1,
            elapsed: Duration::ZERO,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, object, cause, attempts, elapsed, .. } = self;
        write!(f, "cannot {action} {object}: {cause}")?;
        if *attempts > 1 {
            write!(f, " (tried {attempts} times over {} s)", elapsed.as_secs())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl HasStatus for Error {
    fn status(&self) -> Status {
        match self.kind {
            ErrorKind::NotFound | ErrorKind::BadAnswer => Status::Data,
            ErrorKind::NoSuchUpload | ErrorKind::Archived => Status::TryLater,
            ErrorKind::PreconditionFailed | ErrorKind::Unsupported | ErrorKind::Refused => {
                Status::Refused
            }
            ErrorKind::Unavailable => Status::Unavailable,
            ErrorKind::Io => Status::Io,
        }
    }
}
