//! How large the parts of a chunk are, within what S3 allows.

use crate::exit::Failure;
use crate::store::limits::{OBJECT_SIZE_MAX, PART_SIZE_MAX, PART_SIZE_MIN, PARTS_MAX};

/// Where a chunk is large enough, parts have at least this size, in bytes: a
/// request for each 16 MiB costs nothing beside the transfer.
const PART_SIZE_USUAL: u64 = 16 << 20;

/// The part size for chunks of `chunk_size` bytes, where none is given: the
/// smallest power of two, 16 MiB or more, that keeps a chunk within
/// [`PARTS_MAX`] parts. Small chunks are halved instead, down to S3's minimum, so
/// that their parts can still overlap. A pure function: a resumed run must cut
/// where the first one did.
pub fn part_size_for(chunk_size: u64) -> u64 {
    if chunk_size < 2 * PART_SIZE_USUAL {
        return chunk_size.div_ceil(2).max(PART_SIZE_MIN);
    }
    chunk_size.div_ceil(PARTS_MAX.into()).next_power_of_two().max(PART_SIZE_USUAL)
}

/// Checks that chunks of `chunk_size` bytes in parts of `part_size` bytes are
/// within S3's limits.
///
/// # Errors
/// A [`Failure`] with [`crate::exit::Status::Usage`] that names the limit.
pub fn check(chunk_size: u64, part_size: u64) -> Result<(), Failure> {
    if !(PART_SIZE_MIN..=PART_SIZE_MAX).contains(&part_size) {
        return Err(Failure::usage(format!(
            "parts of {part_size} bytes: S3 takes {PART_SIZE_MIN} (5 MiB) to {PART_SIZE_MAX} (5 GiB)"
        )));
    }
    if chunk_size > OBJECT_SIZE_MAX {
        return Err(Failure::usage(format!(
            "chunks of {chunk_size} bytes: S3 takes objects up to {OBJECT_SIZE_MAX} (5 TiB)"
        )));
    }
    let parts = chunk_size.div_ceil(part_size);
    if parts > PARTS_MAX.into() {
        return Err(Failure::usage(format!(
            "chunks of {chunk_size} bytes need {parts} parts of {part_size} bytes, S3 takes \
             {PARTS_MAX}: choose larger parts or smaller chunks"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_size_gets_parts_within_the_limits() {
        let mut chunk_size = 1;
        while chunk_size <= OBJECT_SIZE_MAX {
            for size in [chunk_size - 1, chunk_size, chunk_size + 1] {
                if (1..=OBJECT_SIZE_MAX).contains(&size) {
                    assert_eq!(check(size, part_size_for(size)), Ok(()), "{size}");
                }
            }
            chunk_size *= 2;
        }
    }

    #[test]
    fn part_sizes_are_the_documented_ones() {
        for (chunk_size, part_size) in [
            (8 << 20, 5 << 20),
            (16 << 20, 8 << 20),
            (1 << 30, 16 << 20),
            (200 << 30, 32 << 20),
            (5 << 40, 1 << 30),
        ] {
            assert_eq!(part_size_for(chunk_size), part_size, "{chunk_size}");
        }
    }

    #[test]
    fn sizes_that_s3_refuses_are_refused_with_the_limit() {
        for (chunk_size, part_size, word) in [
            (1 << 30, 4 << 20, "5 MiB"),
            (1 << 30, 6 << 30, "5 GiB"),
            (6 << 40, 5 << 30, "5 TiB"),
            (200 << 30, 16 << 20, "need 12800 parts"),
        ] {
            let said = check(chunk_size, part_size).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
