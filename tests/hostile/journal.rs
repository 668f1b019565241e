//! Journals: what a crash, a full disk or a curious person left of one.

use bts::journal::Past;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mutate::{plan, recipes};
use crate::parser::{Parser, Refused};
use crate::records::{object, run};

const DIGEST: &str = "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3";

fn lines() -> Vec<Value> {
    let upload = |index: u64, id: &str| {
        json!({ "type": "upload", "index": index, "key": format!("k{index}"),
        "upload_id": id, "checksum": "none", "part_size": 300 })
    };
    let part = |index: u64, number: u64| {
        json!({ "type": "part", "index": index, "number": number,
        "size": 300, "etag": "e", "crc32": "0a1b2c3d", "blake3": DIGEST })
    };
    let attempt = json!({ "type": "attempt", "at": "2026-01-17T22:05:11Z" });
    vec![
        run(),
        attempt.clone(),
        upload(0, "a"),
        part(0, 1),
        part(0, 2),
        upload(1, "b"),
        part(1, 1),
        object(0, 1000),
        attempt,
        json!({ "type": "lost", "index": 1, "upload_id": "b" }),
        upload(1, "c"),
        part(1, 2),
        object(1, 500),
        json!({ "type": "end", "chunks": 2, "size": 1500, "stream_sha256": DIGEST }),
        json!({ "type": "abandoned", "reason": "why" }),
    ]
}

fn samples() -> Vec<Vec<u8>> {
    let all: Vec<_> = lines().iter().map(|line| format!("{line}\n")).collect();
    [all.len(), all.len() - 1, 7, 1].map(|count| all[..count].concat().into_bytes()).into()
}

/// Reads a journal. It is never refused: what comes before the damage counts, and
/// reads the same without it. Gives back how many bytes those are.
pub fn sound(input: &[u8]) -> usize {
    let (past, sound) = Past::read(input).unwrap();
    let sound = usize::try_from(sound).unwrap();
    assert!(sound <= input.len());
    assert!(sound == 0 || input[sound - 1] == b'\n');
    let (again, all) = Past::read(&input[..sound]).unwrap();
    assert_eq!((&again, all), (&past, sound as u64));
    assert_eq!(past.is_some(), sound > 0);
    if let Some(past) = past {
        for (index, begun) in &past.begun {
            assert!(!past.objects.contains_key(index));
            let numbers = begun.parts.keys();
            assert!(numbers.clone().all(|number| (1..=10_000).contains(number)));
            assert!(begun.parts.values().all(|part| part.size <= past.run.part_size));
        }
        let _ = past.stage();
    }
    sound
}

/// As the other parsers: refused is what has nothing sound in it.
pub fn read(input: &[u8]) -> Result<(), Refused> {
    match sound(input) {
        0 => Err(Refused { status: 65, text: "no sound line".to_owned() }),
        _ => Ok(()),
    }
}

#[test]
fn the_samples_are_sound() {
    for sample in samples() {
        assert_eq!(sound(&sample), sample.len());
    }
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn journals_are_read_up_to_the_damage(recipe in recipes()) {
        let _ = Parser::Journal.read(&recipe.bytes(&samples()));
    }
}
