//! The storage classes of AWS S3
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html>).

use super::suggest::nearest;
use crate::exit::Failure;

const CLASSES: &[&str] = &[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "EXPRESS_ONEZONE",
    "OUTPOSTS",
    "SNOW",
    "FSX_OPENZFS",
];

/// Refuses what AWS would refuse, but before a snapshot is made for it.
pub(super) fn check(key: &str, class: &str) -> Result<(), Failure> {
    if CLASSES.contains(&class) {
        return Ok(());
    }
    let hint = match nearest(class, CLASSES.iter().copied()) {
        Some(class) => format!("did you mean {class:?}?"),
        None => format!("S3 knows {}; other servers' classes need s3.endpoint", CLASSES.join(", ")),
    };
    Err(Failure::config(format!("{key} is {class:?}, which is no storage class: {hint}")))
}

/// Whether an object of this class must be thawed before it can be read.
pub(super) fn is_archive(class: &str) -> bool {
    ["GLACIER", "DEEP_ARCHIVE"].contains(&class)
}
