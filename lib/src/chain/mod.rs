//! From a pointer or a manifest down to the full that it stands on.
//!
//! Promises that the backups of a [`Chain`] belong together: each manifest is
//! sound in itself, every key it names lies in this archive, each incremental's
//! parent is the backup whose UUID and digest it recorded, and the root is a
//! full. What contradicts that is [`Invalid`], with the object and the field.
//!
//! Whether the chunks are there is asked by [`current`] and left to the others.
//! Nothing here writes to the store.

mod current;
mod load;
mod print;
mod select;
mod walk;

pub(crate) use current::objects_of;
pub use current::{current, summary, write_current};
pub use load::{Link, Pointed, find, load, pointer, pointer_key};
pub use print::{Field, write_fields, write_records};
pub use select::{Selected, resolve, write_manifest};
pub(crate) use walk::fits;
pub use walk::{Chain, DEPTH_MAX, walk};

#[cfg(doc)]
use crate::manifest::Invalid;

#[cfg(test)]
mod tests;
