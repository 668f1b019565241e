//! What S3 allows
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>). Every
//! store keeps to it, so that an archive does not depend on where it lies.

/// The most parts that one object may have.
pub const PARTS_MAX: u32 = 10_000;
/// The smallest part, in bytes; the last part of an object may be smaller.
pub const PART_SIZE_MIN: u64 = 5 << 20;
/// The largest part, in bytes.
pub const PART_SIZE_MAX: u64 = 5 << 30;
/// The largest object, in bytes.
pub const OBJECT_SIZE_MAX: u64 = 5 << 40;
