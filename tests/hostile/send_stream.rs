//! Btrfs send streams.

use bts::send_stream::{Checker, Error, Identity};
use proptest::prelude::*;

use crate::data;
use crate::mutate::{plan, recipes};
use crate::parser::{Parser, Refused};

const HEADER_LEN: usize = 17;
const COMMAND_LEN: usize = 10;

fn samples() -> Vec<Vec<u8>> {
    let names = ["inc.btrfs", "inc-v2.btrfs", "full-v2.btrfs", "full-no-data.btrfs", "full.btrfs"];
    names.map(data).into()
}

/// Feeds the stream in pieces of up to `size` bytes.
fn check(input: &[u8], size: usize) -> Result<Identity, Error> {
    let mut checker = Checker::new();
    for piece in input.chunks(size) {
        checker.feed(piece)?;
    }
    checker.finish()
}

/// Checks a stream whole and in pieces, and walks over it once more when it is
/// accepted.
pub fn read(input: &[u8]) -> Result<(), Refused> {
    let whole = check(input, input.len().max(1));
    // However the bytes come, the answer is the same.
    for size in [7, 4096] {
        assert_eq!(check(input, size), whole, "in pieces of {size}");
    }
    let identity = whole.map_err(|error| Refused::of(&error))?;
    assert_eq!(&input[..13], b"btrfs-stream\0");
    assert_eq!(u32_at(input, 13), identity.version);
    let commands: Vec<u16> = commands(input).map(|(number, _)| number).collect();
    let opens = if identity.parent.is_some() { 2 } else { 1 };
    assert_eq!(commands.first(), Some(&opens));
    assert_eq!(commands.iter().position(|number| *number == 21), Some(commands.len() - 1));
    assert!(commands[1..].iter().all(|number| ![1, 2, 22].contains(number)));
    for (_, command) in self::commands(input) {
        let mut blank = command.to_vec();
        let said = u32_at(&blank, 6);
        blank[6..10].fill(0);
        assert_eq!(said, crc(&blank));
    }
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The kernel's CRC-32C of a command whose CRC field is zero.
pub fn crc(command: &[u8]) -> u32 {
    !crc32c::crc32c_append(!0, command)
}

/// The numbers and bytes of the commands that are there whole.
fn commands(stream: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = stream.get(HEADER_LEN..).unwrap_or_default();
    std::iter::from_fn(move || {
        let head = rest.get(..COMMAND_LEN)?;
        let len = COMMAND_LEN.checked_add(u32_at(head, 0) as usize)?;
        let (command, after) = rest.split_at_checked(len)?;
        rest = after;
        Some((u16::from_le_bytes([head[4], head[5]]), command))
    })
}

/// The stream with every CRC right, so that what lies behind them is reached.
fn repaired(stream: &[u8]) -> Vec<u8> {
    let mut repaired = stream.to_vec();
    let mut at = HEADER_LEN;
    for (_, command) in commands(stream) {
        repaired[at + 6..at + 10].fill(0);
        let crc = crc(&repaired[at..at + command.len()]);
        repaired[at + 6..at + 10].copy_from_slice(&crc.to_le_bytes());
        at += command.len();
    }
    repaired
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn send_streams_end_in_a_verdict(recipe in recipes()) {
        let _ = Parser::SendStream.read(&recipe.bytes(&samples()));
    }

    #[test]
    fn send_streams_with_right_checksums_end_in_a_verdict(recipe in recipes()) {
        let _ = Parser::SendStream.read(&repaired(&recipe.bytes(&samples())));
    }
}
