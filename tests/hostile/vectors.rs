//! The cases of `tests/data/hostile/*.json`: what was thought of, and what was
//! found by chance once and must not come back.
//!
//! Each case says its `name`, `what` it is, the `parser` that reads it, its
//! `input` and what is `expected`. An input is a list of pieces, joined:
//!
//! | piece | is |
//! |---|---|
//! | `{"text": "…"}`, `{"hex": "…"}` | these bytes |
//! | `{"repeat": "…", "times": n}` | a text, n times |
//! | `{"file": "full.btrfs", "from": a, "to": b}` | bytes of a file in `tests/data` |
//! | `{"attributes": [a, b]}` | empty attributes of a command, numbered from a to below b |
//! | `{"command": 16, "payload": [pieces]}` | a command of a send stream, its CRC right |
//!
//! Expected is `{"accepted": true}`, for a journal `{"sound_lines": n}`, or the
//! exit `status` and `says`, a part of the message.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::parser::{Parser, Refused};
use crate::{data, journal, send_stream};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    what: String,
    parser: Parser,
    input: Vec<Piece>,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Piece {
    Text { text: String },
    Hex { hex: String },
    Repeat { repeat: String, times: usize },
    File { file: String, from: Option<usize>, to: Option<usize> },
    Attributes { attributes: (u16, u16) },
    Command { command: u16, payload: Vec<Piece> },
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Expected {
    Accepted { accepted: bool },
    Journal { sound_lines: usize },
    Refused { status: u8, says: String },
}

fn joined(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(Piece::bytes).collect()
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text { text } => text.clone().into_bytes(),
            Self::Hex { hex } => {
                let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                (0..hex.len()).step_by(2).map(byte).collect()
            }
            Self::Repeat { repeat, times } => repeat.repeat(*times).into_bytes(),
            Self::File { file, from, to } => {
                let bytes = data(file);
                bytes[from.unwrap_or(0)..to.unwrap_or(bytes.len())].to_vec()
            }
            Self::Attributes { attributes: (from, to) } => {
                (*from..*to).flat_map(|number| [number.to_le_bytes(), [0; 2]].concat()).collect()
            }
            Self::Command { command, payload } => {
                let payload = joined(payload);
                let mut bytes = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
                bytes.extend(command.to_le_bytes());
                bytes.extend([0; 4]);
                bytes.extend(payload);
                let crc = send_stream::crc(&bytes);
                bytes[6..10].copy_from_slice(&crc.to_le_bytes());
                bytes
            }
        }
    }
}

impl Case {
    /// What is not as expected.
    fn wrong(&self) -> Option<String> {
        let input = joined(&self.input);
        let read = self.parser.read(&input);
        match (&self.expected, &read) {
            (Expected::Accepted { accepted: true }, Ok(())) => None,
            (Expected::Refused { status, says }, Err(refused))
                if refused.status == *status && refused.text.contains(says) =>
            {
                None
            }
            (Expected::Journal { sound_lines }, _) => {
                let sound = &input[..journal::sound(&input)];
                let lines = sound.iter().filter(|byte| **byte == b'\n').count();
                (lines != *sound_lines).then(|| format!("{lines} sound lines"))
            }
            (_, Ok(())) => Some("it was accepted".to_owned()),
            (_, Err(Refused { status, text })) => Some(format!("refused with {status}: {text}")),
        }
    }
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/hostile");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let some: Vec<Case> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        cases.extend(some.into_iter().map(|case| (file.clone(), case)));
    }
    cases
}

#[test]
fn every_case_ends_as_it_says() {
    let mut wrong = Vec::new();
    for (file, case) in cases() {
        if let Some(instead) = case.wrong() {
            wrong.push(format!("{file}: {} ({}): {instead}", case.name, case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_parser_has_cases_and_no_name_comes_twice() {
    let cases = cases();
    let mut names = BTreeSet::new();
    let mut parsers: BTreeMap<Parser, usize> = BTreeMap::new();
    for (_, case) in &cases {
        assert!(names.insert(&case.name), "{} comes twice", case.name);
        assert!(!case.what.is_empty(), "{}", case.name);
        *parsers.entry(case.parser).or_default() += 1;
    }
    assert_eq!(parsers.len(), 6);
    assert!(parsers.values().all(|count| *count >= 6), "{parsers:?}");
}
