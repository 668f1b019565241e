//! Digests and checksums as records spell them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which cryptographic hash vouches for a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    /// SHA-256: `sha256sum` and every older reader can check it.
    #[default]
    Sha256,
    /// BLAKE3: faster on processors without SHA instructions; `b3sum` checks it.
    Blake3,
}

/// A text that is not the hex form of the value it stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {digits} lower-case hex digits")]
pub struct BadHex {
    text: String,
    digits: usize,
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], BadHex> {
    let bad = || BadHex { text: text.chars().take(80).collect(), digits: 2 * N };
    let fine = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 * N || !text.bytes().all(fine) {
        return Err(bad());
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
    }
    Ok(bytes)
}

fn to_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A digest of 32 bytes, SHA-256 or BLAKE3; 64 lower-case hex digits in records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// A CRC-32 (IEEE); 8 lower-case hex digits in records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crc32(pub u32);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        to_hex(&self.0, f)
    }
}

impl fmt::Display for Crc32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        to_hex(&self.0.to_be_bytes(), f)
    }
}

impl FromStr for Digest {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        from_hex(text).map(Self)
    }
}

impl FromStr for Crc32 {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        from_hex(text).map(u32::from_be_bytes).map(Self)
    }
}

macro_rules! hex_text {
    ($type:ty) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadHex;

            fn try_from(text: String) -> Result<Self, BadHex> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

hex_text!(Digest);
hex_text!(Crc32);

/// The digest of a chunk's bytes under the hash in use: exactly one is there.
/// A record without `sha256` stops readers that know nothing else, which is
/// meant: they would have to guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// SHA-256 of the chunk, where that is the hash in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// BLAKE3 of the chunk, where that is the hash in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Digest>,
}

impl Digests {
    /// The one digest `value` made by `hash`.
    pub fn of(hash: Hash, value: Digest) -> Self {
        match hash {
            Hash::Sha256 => Self { sha256: Some(value), blake3: None },
            Hash::Blake3 => Self { sha256: None, blake3: Some(value) },
        }
    }

    /// The digest to check and the hash that makes it; `None` when the record
    /// carries neither. SHA-256 wins when a foreign record carries both.
    pub fn one(&self) -> Option<(Hash, Digest)> {
        let sha256 = self.sha256.map(|digest| (Hash::Sha256, digest));
        sha256.or(self.blake3.map(|digest| (Hash::Blake3, digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_survives_a_round_trip_with_leading_zeros() {
        assert_eq!("0a1b2c3d".parse::<Crc32>().unwrap(), Crc32(0x0a1b_2c3d));
        assert_eq!(Crc32(0x0000_00ff).to_string(), "000000ff");
        let digest = Digest([7; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }

    #[test]
    fn anything_but_lower_case_hex_of_the_right_length_is_refused() {
        for text in ["", "0a1b2c3", "0A1B2C3D", "0x1b2c3d", "+a1b2c3d", "ääää"] {
            assert!(text.parse::<Crc32>().is_err(), "{text:?}");
        }
    }
}
