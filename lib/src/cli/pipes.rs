//! stdin and stdout for data: buffered where records are read, unbuffered where
//! bytes are written in large pieces.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;

/// The buffer before stdin, in bytes.
const BUFFER: usize = 64 << 10;

/// stdin, buffered; may be sent to another thread.
///
/// # Errors
/// When stdin is closed.
pub fn stdin() -> io::Result<BufReader<File>> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(BufReader::with_capacity(BUFFER, file))
}

/// stdout without a buffer; may be sent to another thread. Rust's own stdout
/// looks for line ends, which bytes have no use for.
///
/// # Errors
/// When stdout is closed.
pub fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}
