//! The edge that all five programs share: flags, logging, exit statuses.
//!
//! Promises that a program ends the way its callers expect: usage errors exit
//! 64; a failure is one line on stderr, and an `error` record on stdout where
//! stdout carries records; an earlier stage's failure is handed on without
//! another word; a reader that left ends the program by SIGPIPE.

mod common;
mod end;
mod pipes;
mod status;

pub use common::{Common, parse_duration};
pub use end::{Outcome, block_on, run, stdin_is_data, stdout_is_binary};
pub use pipes::{raw_stdin, stdin, stdout};
pub use status::status_of;
