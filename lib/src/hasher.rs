//! The two hashes that vouch for chunks, behind one type.

use sha2::Digest as _;

use crate::record::{Digest, Hash};

/// Computes the digest of a chunk as its bytes go by.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// SHA-256, with the processor's own instructions where it has them.
    Sha256(sha2::Sha256),
    /// BLAKE3, on the calling thread alone. Boxed: its state is 2 KiB.
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// A hasher that has seen no byte yet.
    pub fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Hash::Blake3 => Self::Blake3(Box::new(blake3::Hasher::new())),
        }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// The digest of all bytes that were taken in.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest(hasher.finalize().into()),
            Self::Blake3(hasher) => Digest(*hasher.finalize().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum_and_b3sum() {
        let digest = |hash| {
            let mut hasher = Hasher::new(hash);
            hasher.update(b"a");
            hasher.update(b"bc");
            hasher.finish().to_string()
        };
        assert_eq!(
            digest(Hash::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest(Hash::Blake3),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
    }
}
