//! Parts: gathered from the bytes of a chunk without copying them, and stored.

use bytes::Bytes;
use crc32fast::Hasher;

use crate::record::{self, Crc32, Digest};
use crate::store::{PartBody, PartDone};

/// A part that is stored, and our own digest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What the store acknowledged.
    pub done: PartDone,
    /// BLAKE3 of its bytes.
    pub blake3: Digest,
}

impl From<record::Part> for Sent {
    fn from(part: record::Part) -> Self {
        let record::Part { number, size, etag, crc32: Crc32(crc32), blake3, .. } = part;
        Self { done: PartDone { number, size, etag, crc32 }, blake3 }
    }
}

impl Sent {
    /// The note of this part in the journal; `index` is its chunk's number.
    pub fn note(&self, index: u64) -> record::Part {
        let PartDone { number, size, etag, crc32 } = self.done.clone();
        record::Part { index, number, size, etag, crc32: Crc32(crc32), blake3: self.blake3 }
    }
}

/// CRC-32 of two byte strings' concatenation, from theirs.
pub fn combine(first: u32, second: u32, second_len: u64) -> u32 {
    let mut hasher = Hasher::new_with_initial(first);
    hasher.combine(&Hasher::new_with_initial_len(second, second_len));
    hasher.finalize()
}

/// Gathers pieces until they make a part.
#[derive(Debug)]
pub struct Gatherer {
    part_size: u64,
    part: PartBody,
}

impl Gatherer {
    /// Makes parts of `part_size` bytes.
    pub fn new(part_size: u64) -> Self {
        Self { part_size, part: PartBody::default() }
    }

    /// Whether a part was begun that [`Gatherer::rest`] would give.
    pub fn is_empty(&self) -> bool {
        self.part.len == 0
    }

    /// Adds a piece whose CRC-32 is known. Gives a part when it is full, and what
    /// of the piece belongs to the next one.
    pub fn add(&mut self, piece: Bytes, crc32: u32) -> (Option<PartBody>, Option<(Bytes, u32)>) {
        let room = self.part_size - self.part.len;
        if piece.len() as u64 <= room {
            self.push(piece, crc32);
            let full = self.part.len == self.part_size;
            return (full.then(|| std::mem::take(&mut self.part)), None);
        }
        // Less than piece.len(), so it fits a usize.
        let (head, tail) = (piece.slice(..room as usize), piece.slice(room as usize..));
        let (head_crc, tail_crc) = (crc32fast::hash(&head), crc32fast::hash(&tail));
        self.push(head, head_crc);
        (Some(std::mem::take(&mut self.part)), Some((tail, tail_crc)))
    }

    /// What is left at the end of a chunk.
    pub fn rest(&mut self) -> Option<PartBody> {
        (!self.is_empty()).then(|| std::mem::take(&mut self.part))
    }

    fn push(&mut self, piece: Bytes, crc32: u32) {
        let len = piece.len() as u64;
        if len > 0 {
            self.part.crc32 = combine(self.part.crc32, crc32, len);
            self.part.len += len;
            self.part.pieces.push(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gather(pieces: &[Vec<u8>], part_size: u64) -> Vec<PartBody> {
        let mut gatherer = Gatherer::new(part_size);
        let mut parts = Vec::new();
        for piece in pieces {
            let mut next = Some((Bytes::from(piece.clone()), crc32fast::hash(piece)));
            while let Some((piece, crc32)) = next {
                let (part, rest) = gatherer.add(piece, crc32);
                parts.extend(part);
                next = rest;
            }
        }
        parts.extend(gatherer.rest());
        parts
    }

    proptest! {
        #[test]
        fn parts_hold_the_bytes_in_order_with_the_right_sizes_and_checksums(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..20),
            part_size in 1u64..70,
        ) {
            let all = pieces.concat();
            let parts = gather(&pieces, part_size);
            let sizes: Vec<_> = parts.iter().map(|part| part.len).collect();
            let expected: Vec<_> =
                all.chunks(part_size as usize).map(|part| part.len() as u64).collect();
            prop_assert_eq!(sizes, expected);
            for (part, bytes) in parts.iter().zip(all.chunks(part_size as usize)) {
                prop_assert_eq!(&part.pieces.concat(), bytes);
                prop_assert_eq!(part.crc32, crc32fast::hash(bytes));
            }
        }
    }
}
