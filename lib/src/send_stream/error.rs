//! Why a send stream is refused.

use std::fmt;

use uuid::Uuid;

use super::format::{Command, VERSION_MAX};
use crate::exit::{HasStatus, Status};

/// A send stream that is no whole backup: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// Where the command at fault begins, or where the input ends, in bytes.
    pub offset: u64,
    /// The command at fault, where there is one.
    pub command: Option<Command>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a send stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no input at all.
    #[error("the input is empty, a send stream should come")]
    Empty,
    /// The input begins with something else.
    #[error("this is not a Btrfs send stream: it does not begin with \"btrfs-stream\"")]
    NotASendStream,
    /// The input ends within the header.
    #[error("the input ends in the middle of the header: `btrfs send` did not finish")]
    CutInHeader,
    /// The header's version is none that this program knows.
    #[error("version {0} of the send stream, this program knows 1 to {VERSION_MAX}")]
    Version(u32),
    /// A payload longer than any that a kernel writes.
    #[error("a payload of {len} bytes, at most {max} can be: the stream is damaged")]
    Length {
        /// What the command says.
        len: u32,
        /// What is plausible.
        max: u32,
    },
    /// The command's bytes are not those that were sent.
    #[error("its CRC-32C is {said:08x}, that of its bytes {actual:08x}: the stream is damaged")]
    Crc {
        /// What the command says.
        said: u32,
        /// What its bytes come to.
        actual: u32,
    },
    /// The stream holds no file contents.
    #[error("the stream leaves out what files hold: send without --no-data")]
    NoData,
    /// The stream begins with a command that names no snapshot.
    #[error("the first command should be SUBVOL or SNAPSHOT")]
    FirstCommand,
    /// The stream holds more than one snapshot.
    #[error("a second snapshot in one stream: send each by itself, without -e")]
    SecondSnapshot,
    /// Bytes follow the end.
    #[error("bytes follow the end of the stream: one backup is one stream, not several in a row")]
    AfterEnd,
    /// The input ends between two commands, before END.
    #[error("the input ends before the END command: `btrfs send` did not finish")]
    NoEnd,
    /// The input ends within a command.
    #[error("the input ends in the middle of a command: `btrfs send` did not finish")]
    CutInCommand,
    /// An extent comes from a snapshot that a restore would not have.
    #[error(
        "an extent is cloned from subvolume {0}, which is neither the snapshot nor its parent: \
         send without -c"
    )]
    ForeignClone(Uuid),
    /// The snapshot's name cannot be a directory entry's.
    #[error("the snapshot's name {0:?} is not UTF-8, or no name for one directory")]
    SnapshotName(String),
    /// The command does not say what it should.
    #[error("{0}")]
    Malformed(&'static str),
    /// The header's version has no such command.
    #[error("version {0} of the send stream has no such command")]
    UnknownCommand(u32),
    /// The kernel began the stream again: everything before is half a stream.
    #[error(
        "`btrfs send` started its stream again here, most likely because it was stopped and \
         continued (a signal, a suspended machine): send again"
    )]
    Restarted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "send stream, byte {}", self.offset)?;
        if let Some(command) = self.command {
            write!(f, ", command {command}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl HasStatus for Error {
    fn status(&self) -> Status {
        match self.problem {
            Problem::Restarted => Status::SendRestarted,
            _ => Status::Data,
        }
    }
}
