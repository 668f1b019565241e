//! Exit statuses: one vocabulary for all five programs, the wrapper and systemd.
//!
//! Promises that every failure maps to exactly one [`Status`]. Errors of this
//! crate carry their status ([`HasStatus`]); which of an error's causes decides is
//! for the edge to say ([`crate::cli::status_of`]).

use std::fmt;
use std::process::ExitCode;

/// What a program tells its caller by its exit status. The numbers are those of
/// sysexits.h where it has a fitting one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// The job is done.
    Done = 0,
    /// The question was answered with no (`bts-plan --status`: overdue).
    No = 1,
    /// The command line makes no sense (EX_USAGE).
    Usage = 64,
    /// A stream, a digest or a manifest is wrong (EX_DATAERR).
    Data = 65,
    /// The store gave no answer after all retries (EX_UNAVAILABLE).
    Unavailable = 69,
    /// Reading or writing on this machine failed (EX_IOERR).
    Io = 74,
    /// The same call may succeed later: locked, thaw pending, upload lost
    /// (EX_TEMPFAIL).
    TryLater = 75,
    /// `btrfs send` started again in the middle of its stream: send again.
    SendRestarted = 76,
    /// The store refused in a way that no retry cures (EX_NOPERM).
    Refused = 77,
    /// The configuration is wrong (EX_CONFIG).
    Config = 78,
}

impl Status {
    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The status with this number, if it is one of ours.
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::Done,
            Self::No,
            Self::Usage,
            Self::Data,
            Self::Unavailable,
            Self::Io,
            Self::TryLater,
            Self::SendRestarted,
            Self::Refused,
            Self::Config,
        ]
        .into_iter()
        .find(|status| status.code() == code)
    }

    /// The short machine-readable word that `error` records carry as `code`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::No => "no",
            Self::Usage => "usage",
            Self::Data => "bad_data",
            Self::Unavailable => "unavailable",
            Self::Io => "io",
            Self::TryLater => "try_later",
            Self::SendRestarted => "send_restarted",
            Self::Refused => "refused",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status.code())
    }
}

/// An error that knows which exit status it deserves.
pub trait HasStatus {
    /// The status to exit with when nobody handles this error.
    fn status(&self) -> Status;
}

/// A failure that needs no type of its own: a message and its status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The status to exit with.
    pub status: Status,
    /// What was being done, to what, what went wrong, what to do next.
    pub message: String,
}

impl Failure {
    /// A failure with this status and message.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: shortened(message.into()) }
    }

    /// Bad data: a stream, digest or manifest that contradicts itself.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Status::Data, message)
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }

    /// A configuration that cannot be used.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Status::Config, message)
    }
}

/// The longest text that a message takes over from elsewhere, in bytes: room for
/// two keys of the longest kind and what there is to say of them.
const TEXT_MAX: usize = 3000;

/// A text without its middle, where it is too long for a person, a terminal or
/// the `error` record that hands it on: what it quotes may be of any length.
pub(crate) fn shortened(text: String) -> String {
    if text.len() <= TEXT_MAX {
        return text;
    }
    let start = &text[..text.floor_char_boundary(TEXT_MAX * 4 / 5)];
    let end = &text[text.ceil_char_boundary(text.len() - TEXT_MAX / 5)..];
    let left_out = text.len() - start.len() - end.len();
    format!("{start} … ({left_out} bytes left out) … {end}")
}

impl HasStatus for Failure {
    fn status(&self) -> Status {
        self.status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_quotes_too_much_loses_its_middle() {
        let text = format!("begin {} end", "ä".repeat(TEXT_MAX));
        let failure = Failure::data(text.clone());
        assert!(failure.message.len() < TEXT_MAX + 100);
        assert!(failure.message.starts_with("begin ä") && failure.message.ends_with("ä end"));
        let kept = "x".repeat(TEXT_MAX);
        assert_eq!(Failure::data(kept.clone()).message, kept);
    }

    #[test]
    fn codes_are_found_again() {
        for code in 0..=u8::MAX {
            if let Some(status) = Status::from_code(code) {
                assert_eq!(status.code(), code);
            }
        }
        assert_eq!(Status::from_code(2), None);
    }
}
