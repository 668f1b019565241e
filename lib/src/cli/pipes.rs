//! stdin and stdout for data: buffered where records are read, unbuffered where
//! bytes go by in large pieces. Rust's own would copy those once more and, on
//! stdout, look for line ends in them.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;

use anyhow::Context;

/// The buffer before stdin, in bytes: records are short, and larger payloads
/// bypass it.
const BUFFER: usize = 64 << 10;

/// stdin, buffered; may be sent to another thread.
///
/// # Errors
/// When stdin is closed.
pub fn stdin() -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(BUFFER, raw_stdin()?))
}

/// stdin without a buffer; may be sent to another thread.
///
/// # Errors
/// When stdin is closed.
pub fn raw_stdin() -> anyhow::Result<File> {
    own(&io::stdin()).context("cannot open stdin")
}

/// stdout without a buffer; may be sent to another thread.
///
/// # Errors
/// When stdout is closed.
pub fn stdout() -> anyhow::Result<File> {
    own(&io::stdout()).context("cannot open stdout")
}

fn own(stream: &impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}
