//! The Btrfs send stream, walked command by command as its bytes go by.
//!
//! [`Checker`] is fed the stream in slices of any size and promises that what it
//! lets pass to the end is one whole backup of one snapshot: a known version,
//! every command's CRC-32C right, the snapshot named first and only once, file
//! contents not left out (`--no-data`), nothing cloned from elsewhere than the
//! snapshot and its parent, an END, and nothing after it. A send that the kernel
//! started again in the middle is told apart ([`Problem::Restarted`]): sending
//! again cures it. Memory is constant: payloads are summed, not held, but for
//! those of the few small commands that are read.
//!
//! The checker does not judge what the other commands do to the tree that
//! receives them; that is for whoever runs `btrfs receive`.
//!
//! The format is that of the kernel's `fs/btrfs/send.h`, checked against streams
//! that Linux 6.18 made.

mod attributes;
mod checker;
mod error;
mod format;
mod identity;
mod restart;

pub use checker::Checker;
pub use error::{Error, Problem};
pub use format::Command;
pub use identity::{Identity, Parent};

#[cfg(test)]
mod tests;
