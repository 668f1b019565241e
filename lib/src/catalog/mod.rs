//! What an archive holds: every backup, whether a pointer leads to it or not.
//!
//! Promises that everything that can be told is told: a manifest that cannot be
//! read is a point that cannot be restored, beside the others, and no reason to
//! hide them. What is complete was compared with one list of the store's objects
//! and their sizes, not read.

mod at;
mod fate;
mod list;
mod read;
pub(crate) mod search;
mod table;

#[cfg(test)]
mod tests;

pub use at::at;
pub use list::{Form, list};
