//! Control records: the JSON lines that the programs speak.
//!
//! One JSON object a line, told apart by its `type`. A record with `len`, of any
//! type, is followed by exactly `len` raw bytes and one newline that is not
//! counted; no other record has a payload. The same reader and the same rules
//! serve every pipe of the toolkit:
//!
//! * a type that the reader does not know is skipped, its payload too, unless it
//!   says `"critical": true`;
//! * a `version` higher than [`VERSION`] is refused;
//! * an `error` record of an earlier stage becomes [`Error::Upstream`], so that
//!   the cause, not its consequence, is what a pipeline reports;
//! * a broken record is refused with its line.
//!
//! [`reader`] and [`writer`] hold those rules, [`frames`] those of the framed
//! stream; the other modules hold the fields. Whether an `end` record came is for
//! each protocol to ask: a clean end of file is not success.

mod backup;
mod digest;
mod frames;
mod journal;
mod orphan;
mod plan;
mod reader;
mod restore_point;
mod run;
mod stream;
mod writer;

pub use backup::{Backup, ChainSummary, Current, ListEnd};
pub use digest::{Crc32, Digest, Digests, Hash};
pub use frames::{Frame, Frames};
pub use journal::{Abandoned, Attempt, Lost, Part, Upload};
pub use orphan::{Orphan, OrphanKind, OrphansEnd};
pub use plan::{Action, Parent, Plan, Prune, SnapshotPlace};
pub use reader::{Raw, Reader};
pub use restore_point::RestorePoint;
pub use run::{Checksum, Object, Run, Snapshot};
pub use stream::{Chunk, ChunkEnd, Data, Format, Stream, StreamEnd};
pub use writer::{Writer, to_line};

use serde::{Deserialize, Serialize};

use crate::exit::{HasStatus, Status};

/// The version of the records that this crate writes, and the highest it reads.
pub const VERSION: u32 = 1;

/// The longest control record, in bytes. The longest honest one is the `object`
/// record of a chunk of 10,000 parts: 70 bytes a part digest.
pub const LINE_MAX: usize = 4 << 20;

/// The longest payload that a reader takes into memory, in bytes. Payloads of
/// records that it skips may be longer.
pub const PAYLOAD_MAX: u64 = 16 << 20;

/// What a program says on its stdout when it fails, if it can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// The program that failed.
    pub program: String,
    /// The exit status that it ends with, and that later stages end with.
    pub status: u8,
    /// The status as a word: [`Status::word`].
    pub code: String,
    /// What was being done, to what, what went wrong, what to do next.
    pub message: String,
}

/// Why a stream of records cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pipe itself failed.
    #[error("cannot read {input}: {cause}")]
    Read {
        /// What was being read, as a person would call it.
        input: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The bytes break the protocol.
    #[error("{input}, line {line}: {what}")]
    Broken {
        /// What was being read, as a person would call it.
        input: String,
        /// The record at fault, counted from 1. Payloads count no lines.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// An earlier stage failed and said why.
    #[error("{}: {}", .0.program, .0.message)]
    Upstream(ErrorRecord),
}

impl HasStatus for Error {
    fn status(&self) -> Status {
        match self {
            Self::Read { .. } => Status::Io,
            Self::Broken { .. } => Status::Data,
            Self::Upstream(record) => match Status::from_code(record.status) {
                // A failure is never passed on as success.
                None | Some(Status::Done) => Status::Data,
                Some(status) => status,
            },
        }
    }
}

/// A record's `type`, known at compile time.
pub trait Typed {
    /// The value of the `type` field.
    const TYPE: &'static str;
}

macro_rules! typed {
    ($($name:literal => $type:ty),* $(,)?) => {
        $(impl Typed for $type { const TYPE: &'static str = $name; })*

        /// The types of all records that this crate knows; three kinds of `end`.
        pub const TYPES: &[&str] = &[$($name),*];
    };
}

typed! {
    "stream" => Stream,
    "chunk" => Chunk,
    "data" => Data,
    "chunk_end" => ChunkEnd,
    "end" => StreamEnd,
    "end" => ListEnd,
    "error" => ErrorRecord,
    "run" => Run,
    "object" => Object,
    "plan" => Plan,
    "prune" => Prune,
    "current" => Current,
    "backup" => Backup,
    "restore_point" => RestorePoint,
    "attempt" => Attempt,
    "upload" => Upload,
    "part" => Part,
    "lost" => Lost,
    "abandoned" => Abandoned,
    "orphan" => Orphan,
    "end" => OrphansEnd,
}
