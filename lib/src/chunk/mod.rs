//! The engine of `bts-chunk`: cuts a stream into hashed chunks, and undoes that.
//!
//! Promises that a framed stream gets its `end` only when the whole input was
//! read, its producer (where this engine runs it) exited 0, and a send stream
//! was shown to be one whole backup, of the snapshot that the plan names. What
//! fails before that fails with a typed error and without `end`. Memory is
//! constant: one buffer of a payload's size.
//!
//! How streams are framed is [`crate::record`]'s business, what a send stream
//! must be [`crate::send_stream`]'s.

mod cut;
mod decode;
mod plan;
mod producer;
mod run;
mod settings;

pub use cut::{Cutter, PAYLOAD, pump};
pub use decode::{decode, list};
pub use plan::read_plan;
pub use producer::Producer;
pub use run::{run_cut, run_decode};
pub use settings::{Cutting, Flags, Payloads};

#[cfg(test)]
mod tests;
