//! Adds up the chunks of one backup, wherever they are listed: records of a run,
//! records of a chain, a manifest.

use sha2::{Digest as _, Sha256};

use crate::record::{Digest, Digests, Hash};

/// The running sums over the chunks of one backup, in order.
#[derive(Clone, Debug)]
pub struct Tally {
    hash: Option<Hash>,
    chunks: u64,
    size: u64,
    digests: Sha256,
}

/// A chunk that does not belong where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Wrong {
    /// The chunk's field at fault.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: String,
}

fn wrong(field: &'static str, what: impl Into<String>) -> Wrong {
    Wrong { field, what: what.into() }
}

impl Tally {
    /// No chunk yet. `hash` is the one that all digests are made by; `None` takes
    /// the first chunk's.
    pub fn new(hash: Option<Hash>) -> Self {
        Self { hash, chunks: 0, size: 0, digests: Sha256::new() }
    }

    /// The next chunk, where the list numbers its chunks.
    ///
    /// # Errors
    /// As [`Tally::add`], and when a number is missing or comes twice.
    pub fn add_numbered(
        &mut self,
        index: u64,
        size: u64,
        digests: &Digests,
    ) -> Result<Digest, Wrong> {
        if index != self.chunks {
            let due = self.chunks;
            return Err(wrong("index", format!("chunk {index} where chunk {due} should be")));
        }
        self.add(size, digests)
    }

    /// The next chunk; gives back the digest that vouches for it.
    ///
    /// # Errors
    /// When it is empty, carries no digest of the hash in use, or the sum of
    /// sizes overflows.
    pub fn add(&mut self, size: u64, digests: &Digests) -> Result<Digest, Wrong> {
        if size == 0 {
            return Err(wrong("size", "0 bytes, and no chunk is ever empty"));
        }
        let digest = self.digest(digests)?;
        let sum = self.size.checked_add(size);
        self.size = sum.ok_or_else(|| wrong("size", "the sizes add up to more than 2^64 bytes"))?;
        self.chunks += 1;
        self.digests.update(digest.0);
        Ok(digest)
    }

    fn digest(&mut self, digests: &Digests) -> Result<Digest, Wrong> {
        let Some(hash) = self.hash else {
            let (hash, digest) = digests.one().ok_or_else(|| {
                wrong("sha256", "no digest that this version knows, so nothing vouches for it")
            })?;
            self.hash = Some(hash);
            return Ok(digest);
        };
        match hash {
            Hash::Sha256 => digests.sha256.ok_or_else(|| wrong("sha256", "it is missing")),
            Hash::Blake3 => digests.blake3.ok_or_else(|| wrong("blake3", "it is missing")),
        }
    }

    /// The number of chunks so far.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// The sum of their sizes, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash that their digests are made by; SHA-256 before the first chunk.
    pub fn hash(&self) -> Hash {
        self.hash.unwrap_or_default()
    }

    /// SHA-256 over the concatenated chunk digests so far.
    pub fn stream_sha256(&self) -> Digest {
        Digest(self.digests.clone().finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(byte: u8) -> Digests {
        Digests::of(Hash::Sha256, Digest([byte; 32]))
    }

    #[test]
    fn the_stream_digest_is_the_hash_of_the_concatenated_digests() {
        let mut tally = Tally::new(None);
        tally.add(5, &sha256(1)).unwrap();
        tally.add(7, &sha256(2)).unwrap();
        let joined = [[1_u8; 32], [2; 32]].concat();
        assert_eq!(tally.stream_sha256(), Digest(Sha256::digest(joined).into()));
        assert_eq!((tally.chunks(), tally.size()), (2, 12));
    }

    #[test]
    fn a_chunk_out_of_line_names_its_field() {
        let fields = |hash, size, digests: &Digests| {
            Tally::new(hash).add(size, digests).map_err(|wrong| wrong.field).err()
        };
        assert_eq!(fields(None, 0, &sha256(1)), Some("size"));
        assert_eq!(fields(None, 1, &Digests::default()), Some("sha256"));
        assert_eq!(fields(Some(Hash::Blake3), 1, &sha256(1)), Some("blake3"));
        assert_eq!(fields(Some(Hash::Sha256), 1, &sha256(1)), None);
    }

    #[test]
    fn all_chunks_of_a_backup_use_the_same_hash() {
        let mut tally = Tally::new(None);
        tally.add(1, &sha256(1)).unwrap();
        let blake3 = Digests::of(Hash::Blake3, Digest([2; 32]));
        assert_eq!(tally.add(1, &blake3).unwrap_err().field, "sha256");
    }

    #[test]
    fn gaps_and_overflows_are_refused() {
        let mut tally = Tally::new(None);
        assert_eq!(tally.add_numbered(1, 1, &sha256(1)).unwrap_err().field, "index");
        tally.add_numbered(0, u64::MAX, &sha256(1)).unwrap();
        assert_eq!(tally.add_numbered(1, 1, &sha256(1)).unwrap_err().field, "size");
    }
}
