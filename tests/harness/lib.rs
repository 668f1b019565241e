//! What the tests of bts share.
//!
//! Real parts only: Btrfs filesystems on loop devices ([`Btrfs`]), S3 servers by
//! others ([`s3`]), on loopback, and the programs as they were built ([`program`]).
//! What every store must do is in [`conformance`].
//! A helper that cannot do its work panics with what is missing, so that no test
//! passes because nothing was there to test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod btrfs;
mod compare;
pub mod conformance;
mod dataset;
mod host;
pub mod kill;
pub mod program;
pub mod s3;
mod wait;

pub use btrfs::Btrfs;
pub use compare::assert_same;
pub use dataset::Dataset;
pub use host::Host;
pub use wait::{next_second, wait_for};
