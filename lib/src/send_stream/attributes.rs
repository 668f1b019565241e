//! The attributes of a command: u16 number, u16 length, value.

use std::collections::HashSet;

use uuid::Uuid;

use super::error::Problem;
use super::format::attribute;

/// The payload of a command that is read, cut into its attributes.
pub(super) struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// Cuts `payload` into its attributes. One that is given twice is refused:
    /// two readers could each believe another.
    pub(super) fn parse(payload: &'a [u8], version: u32) -> Result<Self, Problem> {
        let mut all: Vec<(u16, &[u8])> = Vec::new();
        let mut seen = HashSet::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let (number, value, after) =
                next(rest, version).ok_or(Problem::Malformed("an attribute is cut short"))?;
            if !seen.insert(number) {
                return Err(Problem::Malformed("an attribute is given twice"));
            }
            all.push((number, value));
            rest = after;
        }
        Ok(Self(all))
    }

    /// The value of the attribute with this number.
    pub(super) fn bytes(&self, number: u16) -> Result<&'a [u8], Problem> {
        let found = self.0.iter().find(|(seen, _)| *seen == number);
        found.map(|(_, value)| *value).ok_or(Problem::Malformed(match number {
            attribute::UUID => "the snapshot's UUID is missing",
            attribute::CTRANSID => "the snapshot's ctransid is missing",
            attribute::PATH => "the snapshot's name is missing",
            attribute::CLONE_UUID => "the UUID to clone from is missing",
            attribute::CLONE_CTRANSID => "the ctransid to clone from is missing",
            _ => "an attribute is missing",
        }))
    }

    /// The value as a UUID.
    pub(super) fn uuid(&self, number: u16) -> Result<Uuid, Problem> {
        Uuid::from_slice(self.bytes(number)?)
            .map_err(|_| Problem::Malformed("a UUID does not have 16 bytes"))
    }

    /// The value as a number.
    pub(super) fn number(&self, number: u16) -> Result<u64, Problem> {
        let bytes = self.bytes(number)?;
        bytes
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| Problem::Malformed("a number does not have 8 bytes"))
    }
}

/// The first attribute of `rest`, and what follows it.
fn next(rest: &[u8], version: u32) -> Option<(u16, &[u8], &[u8])> {
    let (number, rest) = rest.split_first_chunk().map(|(n, r)| (u16::from_le_bytes(*n), r))?;
    if number == attribute::DATA && version >= 2 {
        return Some((number, rest, &[]));
    }
    let (len, rest) = rest.split_first_chunk().map(|(n, r)| (u16::from_le_bytes(*n), r))?;
    let (value, rest) = rest.split_at_checked(usize::from(len))?;
    Some((number, value, rest))
}
