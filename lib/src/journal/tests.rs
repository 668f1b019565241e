//! A journal through crashes, damage and full disks.

use std::fs;
use std::io::Cursor;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::exit::Status;
use crate::record::{
    Abandoned, Attempt, Checksum, Crc32, Digest, Lost, Object, Part, Run, StreamEnd, Upload,
    to_line,
};
use crate::testing::{Backup, PART};
use crate::time::Time;

fn run() -> Run {
    Backup::new(1, None).run()
}

fn upload(index: u64, id: &str) -> Upload {
    Upload {
        index,
        key: format!("host/chunks/part-{index:05}.bin"),
        upload_id: id.into(),
        checksum: Checksum::None,
        part_size: PART,
    }
}

fn part(index: u64, number: u32) -> Part {
    Part {
        index,
        number,
        size: PART,
        etag: format!("e{number}"),
        crc32: Crc32(number),
        blake3: Digest([7; 32]),
    }
}

fn object(index: u64) -> Object {
    let json = serde_json::json!({
        "index": index, "key": "k", "size": 5, "sha256": Digest([1; 32]), "etag": "e",
    });
    serde_json::from_value(json).unwrap()
}

/// Of the objects 0 and 1.
fn end() -> StreamEnd {
    let stream_sha256 = Digest(Sha256::digest([[1; 32]; 2].concat()).into());
    StreamEnd { chunks: 2, size: 10, stream_sha256 }
}

/// All kinds of lines, in an order that a run could write them.
fn lines() -> Vec<String> {
    let attempt = || to_line(&Attempt { at: Time::now() });
    let lines = [
        to_line(&run()),
        attempt(),
        to_line(&upload(0, "a")),
        to_line(&part(0, 1)),
        to_line(&upload(1, "b")),
        to_line(&part(1, 2)),
        to_line(&object(0)),
        attempt(),
        to_line(&Lost { index: 1, upload_id: Some("b".into()) }),
        to_line(&upload(1, "c")),
        to_line(&part(1, 1)),
        to_line(&object(1)),
        to_line(&end()),
        to_line(&Abandoned { reason: "why".into() }),
    ];
    lines.map(|line| line.unwrap() + "\n").into()
}

fn read(text: &str) -> Option<Past> {
    Past::read(Cursor::new(text)).unwrap().0
}

#[test]
fn what_was_noted_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(&dir.path().join("state.json"), &"data".parse().unwrap());
    let (journal, past) = Journal::open(&path).unwrap();
    assert_eq!(past, None);
    journal.begin(&run()).unwrap();
    journal.note(&upload(0, "a"));
    journal.note(&part(0, 1));
    journal.note(&object(0));
    journal.note(&upload(1, "b"));
    journal.note(&part(1, 3));
    drop(journal);

    let (_journal, past) = Journal::open(&path).unwrap();
    let past = past.unwrap();
    assert_eq!(past.run, run());
    assert_eq!(past.objects[&0], object(0));
    assert_eq!(past.begun.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(past.begun[&1].upload.id, "b");
    assert_eq!(past.begun[&1].parts[&3], part(1, 3));
    assert_eq!(past.stage(), Stage::Unfinished);
    assert_eq!(all(&dir.path().join("state.json")).unwrap(), [(path, past)]);
}

#[test]
fn a_journal_that_another_process_writes_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runs/data.jsonl");
    let (journal, _) = Journal::open(&path).unwrap();
    let refused = Journal::open(&path).unwrap_err();
    assert_eq!(refused.status, Status::TryLater);
    assert!(refused.to_string().contains("another bts-put"), "{refused}");
    drop(journal);
    Journal::open(&path).unwrap();
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    for text in ["my notes\n", "{}", "[1]\n"] {
        fs::write(&path, text).unwrap();
        assert_eq!(Journal::open(&path).unwrap_err().status, Status::Usage, "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    for damage in ["", "{\"type\":\"r", "\0\0\0\0", "{\"type\":\"run\",\"x\n"] {
        fs::write(&path, damage).unwrap();
        let (journal, past) = Journal::open(&path).unwrap();
        assert_eq!(past, None, "{damage:?}");
        journal.begin(&run()).unwrap();
        assert_eq!(Past::load(&path).unwrap().unwrap().run, run());
    }
}

#[test]
fn a_line_whose_bits_flipped_ends_what_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.jsonl");
    let (journal, _) = Journal::open(&path).unwrap();
    journal.begin(&run()).unwrap();
    journal.note(&upload(0, "a"));
    let sound = fs::read_to_string(&path).unwrap();
    journal.note(&part(0, 1));
    journal.note(&part(0, 2));
    drop(journal);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"etag\":\"e1\"", "\"etag\":\"e0\"")).unwrap();
    assert_eq!(Past::load(&path).unwrap(), read(&sound));
}

#[test]
fn an_end_that_its_objects_do_not_add_up_to_is_none() {
    let text = lines();
    let without = format!("{}{}", text[..11].concat(), text[12]);
    assert_eq!(read(&without).unwrap().stage(), Stage::Unfinished);
}

#[test]
fn a_lost_upload_is_forgotten_and_may_be_begun_again() {
    let text = lines();
    let past = read(&text[..9].concat()).unwrap();
    assert!(past.begun.is_empty());
    let past = read(&text[..11].concat()).unwrap();
    assert_eq!(past.begun[&1].upload.id, "c");
    assert_eq!(past.begun[&1].parts.keys().collect::<Vec<_>>(), [&1]);
}

#[test]
fn a_lost_object_makes_a_run_unfinished_that_was_uploaded() {
    let text = lines();
    let uploaded = text[..13].concat();
    assert_eq!(read(&uploaded).unwrap().stage(), Stage::Uploaded);
    let lost = to_line(&Lost { index: 1, upload_id: None }).unwrap();
    let past = read(&format!("{uploaded}{lost}\n")).unwrap();
    assert_eq!(past.stage(), Stage::Unfinished);
    assert_eq!(past.objects.keys().collect::<Vec<_>>(), [&0]);
}

#[test]
fn a_run_is_given_up_after_five_attempts_in_a_row_that_store_nothing() {
    let text = lines();
    let attempts = |count| text[1].repeat(count);
    let first = format!("{}{}{}", text[0], attempts(1), text[2..4].concat());
    let stage = |more| read(&format!("{first}{}", attempts(more))).unwrap().stage();
    assert_eq!(stage(4), Stage::Unfinished);
    assert_eq!(stage(5), Stage::GivenUp("5 attempts in a row stored nothing".into()));
    assert_eq!(read(&text.concat()).unwrap().stage(), Stage::GivenUp("why".into()));
    assert_eq!(read(&text[..13].concat()).unwrap().stage(), Stage::Uploaded);
}

#[test]
fn damage_at_the_end_is_cut_off_and_what_comes_next_is_readable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.jsonl");
    let sound = lines()[..4].concat();
    for damage in
        ["{\"type\":\"pa", "\0\0\0\0", "{}\n", "{\"type\":\"part\"}\n{\"type\":\"run\"}\n"]
    {
        fs::write(&path, format!("{sound}{damage}")).unwrap();
        let (journal, past) = Journal::open(&path).unwrap();
        assert_eq!(past, read(&sound), "{damage:?}");
        journal.note(&part(0, 2));
        drop(journal);
        assert_eq!(Past::load(&path).unwrap().unwrap().begun[&0].parts.len(), 2, "{damage:?}");
    }
}

#[test]
fn records_that_contradict_the_run_end_what_is_believed() {
    let text = lines();
    for wrong in [
        to_line(&part(3, 1)),
        to_line(&part(0, 0)),
        to_line(&part(0, 10_001)),
        to_line(&Part { size: PART + 1, ..part(0, 1) }),
        to_line(&Upload { part_size: PART + 1, ..upload(2, "d") }),
        to_line(&Upload { key: String::new(), ..upload(2, "d") }),
        to_line(&run()),
    ] {
        let wrong = wrong.unwrap() + "\n";
        let damaged = format!("{}{wrong}{}", text[..3].concat(), text[3]);
        assert_eq!(read(&damaged), read(&text[..3].concat()), "{wrong}");
    }
    assert_eq!(read(&text[1..].concat()), None);
    let novel = "{\"type\":\"novel\",\"x\":1}\n";
    assert_eq!(
        read(&format!("{}{novel}{}", text[..3].concat(), text[3])),
        read(&text[..4].concat())
    );
}

proptest! {
    #[test]
    fn a_journal_cut_or_flipped_anywhere_is_read_as_what_came_before(
        at in 0.0..1.0_f64,
        flip in prop::option::of(any::<u8>()),
    ) {
        let text = lines().concat().into_bytes();
        let at = ((text.len() as f64 * at) as usize).min(text.len() - 1);
        let mut damaged = text.clone();
        match flip {
            None => damaged.truncate(at),
            Some(byte) => damaged[at] = byte,
        }
        let (_, sound) = Past::read(Cursor::new(&damaged)).unwrap();
        prop_assert!(sound as usize <= damaged.len());
        prop_assert!(sound == 0 || damaged[sound as usize - 1] == b'\n');
        let (again, all) = Past::read(Cursor::new(&damaged[..sound as usize])).unwrap();
        prop_assert_eq!(all, sound);
        let whole_lines = damaged[..at].iter().filter(|byte| **byte == b'\n').count();
        let before = lines()[..whole_lines].concat();
        if flip.is_none() {
            prop_assert_eq!(again, read(&before));
        }
    }
}
