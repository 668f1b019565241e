//! Input that was made to hurt: every parser reads what others wrote, and some of
//! it comes from a bucket that somebody else may write to.
//!
//! For each of the six parsers the property is the same: it comes to an end
//! without a panic, in bounded memory; what it refuses it refuses with a status
//! and a message of bounded length; what it accepts agrees with itself, as an
//! independent look at the same bytes shows. The inputs are sound samples with a
//! few things done to them ([`mutate`]), since random bytes never get past the
//! first check.
//!
//! A few hundred inputs a parser by default. For days of it:
//!
//! ```sh
//! PROPTEST_CASES=1000000 cargo test -p bts-tests --test hostile --release
//! ```
//!
//! What was thought of, and what was found that way, is kept in
//! `tests/data/hostile/` ([`vectors`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod config;
mod frames;
mod journal;
mod manifest;
mod mutate;
mod parser;
mod records;
mod send_stream;
mod vectors;

/// The samples of `tests/data`.
fn data(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
