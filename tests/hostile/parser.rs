//! The six parsers behind one door, and what all of them have to keep to.

use bts::exit::HasStatus;
use serde::Deserialize;

use crate::{config, frames, journal, manifest, records, send_stream};

/// A parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parser {
    /// Of Btrfs send streams.
    SendStream,
    /// Of framed streams.
    Frames,
    /// Of records, one by one.
    Records,
    /// Of manifests.
    Manifest,
    /// Of the config file.
    Config,
    /// Of journals.
    Journal,
}

/// Why an input was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The exit status that comes of it.
    pub status: u8,
    /// What a person reads.
    pub text: String,
}

/// The longest message, in bytes: it has to fit a terminal, a journal's line and
/// an `error` record.
const MESSAGE_MAX: usize = 8192;

/// The most memory that this process may ever have taken, in bytes: the inputs,
/// their copies and every parser's own bounds, for as many threads as there are.
const MEMORY_MAX: u64 = 1 << 30;

impl Refused {
    /// An error of the library.
    pub fn of(error: &(impl HasStatus + std::fmt::Display)) -> Self {
        Self { status: error.status().code(), text: error.to_string() }
    }
}

impl Parser {
    /// Reads `input` to its end, and looks at what was accepted.
    ///
    /// # Panics
    /// When the parser breaks a promise.
    pub fn read(self, input: &[u8]) -> Result<(), Refused> {
        let read = match self {
            Self::SendStream => send_stream::read(input),
            Self::Frames => frames::read(input),
            Self::Records => records::read(input),
            Self::Manifest => manifest::read(input),
            Self::Config => config::read(input),
            Self::Journal => journal::read(input),
        };
        if let Err(refused) = &read {
            let start: String = refused.text.chars().take(300).collect();
            assert!(refused.text.len() <= MESSAGE_MAX, "{} bytes: {start}", refused.text.len());
            assert!([65, 76, 78].contains(&refused.status), "{refused:?}");
        }
        assert!(peak() <= MEMORY_MAX, "{} bytes of memory", peak());
        read
    }
}

/// The most memory that this process had so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
