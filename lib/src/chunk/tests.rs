//! Engine tests on recorded streams; the programs' own tests are in `bins/`.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::cli::status_of;
use crate::config::Config;
use crate::exit::Status;
use crate::record::{self, Format, Frames, Hash, Reader, Stream};
use crate::send_stream;
use crate::store::limits::OBJECT_SIZE_MAX;

const FULL: &[u8] = include_bytes!("../../../tests/data/full.btrfs");
const INC: &[u8] = include_bytes!("../../../tests/data/inc.btrfs");

fn cutting(format: Format, chunk_size: u64) -> Cutting {
    let payloads = Payloads::Written;
    Cutting { format, chunk_size, hash: Hash::Sha256, plan: None, payloads }
}

fn cut(input: &[u8], cutting: Cutting) -> anyhow::Result<Vec<u8>> {
    let mut framed = Vec::new();
    let mut cutter = Cutter::new(&mut framed, cutting);
    pump(input, &mut cutter)?;
    cutter.finish()?;
    Ok(framed)
}

fn frames(framed: &[u8]) -> Frames<&[u8]> {
    Frames::new(Reader::new(framed, "stdin"))
}

fn decoded(framed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decode(frames(framed), &mut bytes)?;
    Ok(bytes)
}

fn refusal(result: anyhow::Result<Vec<u8>>) -> (Status, String) {
    let error = result.expect_err("it should be refused");
    (status_of(&error), format!("{error:#}"))
}

#[test]
fn the_stream_record_says_what_the_send_stream_says() {
    let framed = cut(INC, cutting(Format::BtrfsSend, 1 << 20)).unwrap();
    let stream = frames(&framed).stream().unwrap();
    let mut checker = send_stream::Checker::new();
    checker.feed(INC).unwrap();
    let identity = checker.finish().unwrap();
    assert_eq!(stream.snapshot_name.unwrap(), "data__20260124T220511Z__inc");
    assert_eq!((stream.uuid, stream.ctransid), (Some(identity.uuid), Some(identity.ctransid)));
    let parent = identity.parent.unwrap();
    assert_eq!(stream.parent_uuid, Some(parent.uuid));
    assert_eq!(stream.parent_ctransid, Some(parent.ctransid));
    assert_eq!((stream.send_version, stream.chunk_size), (Some(1), 1 << 20));
}

#[test]
fn chunks_have_the_size_asked_for_and_none_is_empty() {
    let len = INC.len() as u64;
    for (size, chunks) in [(len, 1), (len - 1, 2), (len + 1, 1), (1000, 6), (1, len)] {
        let framed = cut(INC, cutting(Format::BtrfsSend, size)).unwrap();
        let mut listed = Vec::new();
        let end = list(frames(&framed), &mut listed).unwrap();
        assert_eq!((end.chunks, end.size), (chunks, len), "{size}");
        assert_eq!(decoded(&framed).unwrap(), INC);
    }
}

#[test]
fn digests_are_those_of_the_chunks() {
    use sha2::{Digest as _, Sha256};
    let framed = cut(INC, cutting(Format::BtrfsSend, 4000)).unwrap();
    let mut listed = Vec::new();
    list(frames(&framed), &mut listed).unwrap();
    let listed = String::from_utf8(listed).unwrap();
    let mut digests = Sha256::new();
    for chunk in INC.chunks(4000) {
        let digest = Sha256::digest(chunk);
        digests.update(digest);
        assert!(listed.contains(&format!("\"sha256\":\"{digest:x}\"")), "{listed}");
    }
    assert!(listed.contains(&format!("\"stream_sha256\":\"{:x}\"", digests.finalize())));
}

#[test]
fn blake3_takes_the_place_of_sha256_where_it_is_asked_for() {
    let cutting = Cutting { hash: Hash::Blake3, ..cutting(Format::BtrfsSend, 4000) };
    let framed = cut(INC, cutting).unwrap();
    assert_eq!(decoded(&framed).unwrap(), INC);
    let digest = format!("\"blake3\":\"{}\"", blake3::hash(&INC[..4000]));
    let text = String::from_utf8_lossy(&framed);
    assert!(text.contains(&digest) && !text.contains("\"sha256\":"));
}

#[test]
fn records_without_data_are_those_of_the_framed_stream() {
    let framed = cut(FULL, cutting(Format::BtrfsSend, 30_000)).unwrap();
    let mut listed = Vec::new();
    list(frames(&framed), &mut listed).unwrap();
    let left_out = Cutting { payloads: Payloads::LeftOut, ..cutting(Format::BtrfsSend, 30_000) };
    assert_eq!(cut(FULL, left_out).unwrap(), listed);
    assert_eq!(listed.iter().filter(|byte| **byte == b'\n').count(), 1 + 3 * 2 + 1);
}

#[test]
fn payloads_are_no_larger_than_a_reader_takes() {
    let input = vec![7; 3 * PAYLOAD + 5];
    let framed = cut(&input, cutting(Format::Raw, 2 * PAYLOAD as u64 + 1)).unwrap();
    let text = String::from_utf8_lossy(&framed);
    let lens: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("\"len\":"))
        .map(|(_, rest)| rest.split_once(',').map_or(rest, |(len, _)| len))
        .collect();
    // Chunk 0 ends one byte into the third payload; the rest of it opens chunk 1.
    assert_eq!(lens, ["1048576", "1048576", "1", "1048575", "5"]);
    assert_eq!(decoded(&framed).unwrap(), input);
}

#[test]
fn an_empty_input_is_refused() {
    for format in [Format::BtrfsSend, Format::Raw] {
        let (status, said) = refusal(cut(b"", cutting(format, 9)));
        assert_eq!(status, Status::Data);
        assert!(said.contains("the input is empty"), "{said}");
    }
}

#[test]
fn a_bad_send_stream_never_gets_an_end() {
    for (input, status) in [
        (&INC[..INC.len() - 1], Status::Data),
        (&[FULL, INC].concat(), Status::Data),
        (&[&INC[..2000], INC].concat(), Status::SendRestarted),
    ] {
        let mut framed = Vec::new();
        let mut cutter = Cutter::new(&mut framed, cutting(Format::BtrfsSend, 1000));
        let result = input.chunks(100).try_for_each(|bytes| cutter.write(bytes));
        let result = result.and_then(|()| cutter.finish().map(|_| ()));
        assert_eq!(status_of(&result.unwrap_err()), status);
        let said = decoded(&framed).unwrap_err().to_string();
        assert!(said.contains("ends without an end record"), "{said}");
    }
}

fn plan(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let parent = {
        let mut checker = send_stream::Checker::new();
        checker.feed(FULL).unwrap();
        checker.finish().unwrap().uuid
    };
    let mut plan = serde_json::json!({
        "type": "plan", "version": 1, "subvolume": "data", "path": "/data",
        "action": "incremental", "reason": "due",
        "backup": "subvol/data/incremental/20260124T220511Z-0a1b2c3d",
        "kind": "incremental", "created_at": "2026-01-24T22:05:11Z",
        "snapshot": { "name": "data__20260124T220511Z__inc", "path": "/s/data__20260124T220511Z__inc" },
        "parent": {
            "name": "data__20260117T220511Z__full", "path": "/s/data__20260117T220511Z__full",
            "uuid": parent, "manifest_key": "k", "manifest_sha256": "00".repeat(32),
        },
    });
    change(&mut plan);
    format!("{plan}\n").into_bytes()
}

fn cut_by_plan(plan: &[u8], input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(plan)?;
    let plan = read_plan(file.path())?;
    cut(input, Cutting { plan: Some(Box::new(plan)), ..cutting(Format::BtrfsSend, 1000) })
}

#[test]
fn a_plan_that_the_stream_carries_out_goes_along_with_it() {
    let framed = cut_by_plan(&plan(|_| {}), INC).unwrap();
    let plan = frames(&framed).stream().unwrap().plan.unwrap();
    assert_eq!(
        plan.backup.unwrap().to_string(),
        "subvol/data/incremental/20260124T220511Z-0a1b2c3d"
    );
}

#[test]
fn a_stream_that_is_not_what_the_plan_asks_for_is_refused() {
    let full = |plan: &mut serde_json::Value| {
        plan["kind"] = "full".into();
        plan["parent"] = serde_json::Value::Null;
    };
    let other = |plan: &mut serde_json::Value| {
        plan["parent"]["uuid"] = "00000000-0000-0000-0000-000000000001".into();
    };
    for (plan, expected) in [
        (plan(|plan| plan["snapshot"]["name"] = "other".into()), "the plan asks for \"other\""),
        (plan(full), "is of kind incremental, the plan asks for full"),
        (plan(other), "the plan asks for 00000000-0000-0000-0000-000000000001 as the parent"),
    ] {
        let (status, said) = refusal(cut_by_plan(&plan, INC));
        assert_eq!(status, Status::Data);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_file_that_holds_no_sound_plan_is_refused() {
    use serde_json::Value::Null;
    let one = plan(|_| {});
    for (text, expected) in [
        (vec![], "holds no plan record"),
        (b"{\"type\":\"note\"}\n".to_vec(), "holds no plan record"),
        ([one.clone(), one].concat(), "holds more than one plan record"),
        (b"nonsense\n".to_vec(), "line 1: not a record"),
        (plan(|plan| plan["subvolume"] = "a/b".into()), "line 1: record plan: "),
        (plan(|plan| plan["backup"] = Null), "asks for no backup"),
        (plan(|plan| plan["kind"] = Null), "does not say what to send"),
        (plan(|plan| plan["snapshot"] = Null), "does not say what to send"),
        (plan(|plan| plan["parent"] = Null), "names no parent for an incremental backup"),
        (plan(|plan| plan["kind"] = "full".into()), "names a parent for a full backup"),
    ] {
        let (status, said) = refusal(cut_by_plan(&text, INC));
        assert_eq!(status, Status::Data, "{said}");
        assert!(said.contains(expected), "{said:?} for {expected:?}");
    }
}

#[test]
fn what_is_damaged_is_not_decoded() {
    let framed = cut(INC, cutting(Format::BtrfsSend, 3000)).unwrap();
    let position = |needle: &[u8]| framed.windows(needle.len()).position(|w| w == needle).unwrap();
    let digest = position(b"\"sha256\":\"") + 10;
    let payload = position(b"btrfs-stream\0");
    for (at, expected) in [(digest, "its end says"), (payload + 99, "the payload's CRC-32 is")] {
        let mut damaged = framed.clone();
        damaged[at] = if damaged[at] == b'1' { b'2' } else { b'1' };
        let (status, said) = refusal(decoded(&damaged));
        assert_eq!(status, Status::Data);
        assert!(said.contains(expected), "{said}");
    }
}

fn flags() -> Flags<'static> {
    Flags { raw: false, chunk_size: None, hash: None, plan: None, records: false }
}

#[test]
fn flags_win_over_the_run_to_resume_and_that_over_the_config() {
    let mut config = Config::default();
    config.s3.chunk_size_bytes = 1000;
    config.pipeline.hash = Hash::Blake3;
    let by_config = Cutting::new(&flags(), &config).unwrap();
    assert_eq!((by_config.chunk_size, by_config.hash), (1000, Hash::Blake3));

    let run = serde_json::json!({
        "version": 1, "run_id": uuid::Uuid::nil(),
        "backup": "subvol/data/incremental/20260124T220511Z-0a1b2c3d", "kind": "incremental",
        "created_at": "2026-01-24T22:05:11Z", "store": "file:///x", "format": "btrfs-send",
        "send_version": 1, "snapshot": null, "parent_manifest": null,
        "parent_manifest_sha256": null, "chunk_size": 2000, "part_size": 2000, "hash": "sha256",
        "send_args": [], "filter": [], "storage_class": "STANDARD", "sse": null,
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&plan(|plan| plan["run"] = run)).unwrap();
    let resume = Flags { plan: Some(file.path()), ..flags() };
    let by_run = Cutting::new(&resume, &config).unwrap();
    assert_eq!((by_run.chunk_size, by_run.hash), (2000, Hash::Sha256));

    let given = Flags { chunk_size: Some(3000), hash: Some(Hash::Blake3), ..resume };
    let by_flags = Cutting::new(&given, &config).unwrap();
    assert_eq!((by_flags.chunk_size, by_flags.hash), (3000, Hash::Blake3));
}

#[test]
fn settings_that_cannot_hold_are_refused() {
    for chunk_size in [0, OBJECT_SIZE_MAX + 1] {
        let given = Flags { chunk_size: Some(chunk_size), ..flags() };
        let error = Cutting::new(&given, &Config::default()).unwrap_err();
        assert_eq!(status_of(&error), Status::Config, "{error}");
    }
    let mut config = Config::default();
    config.s3.chunk_size_bytes = 1000;
    config.pipeline.filter = vec![vec!["zstd".to_owned()]];
    let error = Cutting::new(&flags(), &config).unwrap_err();
    assert!(error.to_string().contains("cannot run filters"), "{error}");
}

proptest! {
    #[test]
    fn whatever_is_cut_decodes_to_itself(
        input in prop::collection::vec(any::<u8>(), 1..3000),
        slice in 1..500usize,
        chunk_size in 1..4000u64,
        hash in prop::sample::select(vec![Hash::Sha256, Hash::Blake3]),
    ) {
        let mut framed = Vec::new();
        let settings = Cutting { hash, ..cutting(Format::Raw, chunk_size) };
        let mut cutter = Cutter::new(&mut framed, settings);
        for bytes in input.chunks(slice) {
            cutter.write(bytes).unwrap();
        }
        let end = cutter.finish().unwrap();
        prop_assert_eq!(end.chunks, (input.len() as u64).div_ceil(chunk_size));
        prop_assert_eq!(decoded(&framed).unwrap(), input);
    }

    #[test]
    fn slices_make_no_difference_to_the_records(slice in 1..3000usize) {
        let settings = Cutting { payloads: Payloads::LeftOut, ..cutting(Format::BtrfsSend, 2000) };
        let mut listed = Vec::new();
        let mut cutter = Cutter::new(&mut listed, settings.clone());
        for bytes in INC.chunks(slice) {
            cutter.write(bytes).unwrap();
        }
        cutter.finish().unwrap();
        prop_assert_eq!(listed, cut(INC, settings).unwrap());
    }

    #[test]
    fn damage_anywhere_never_decodes_to_other_bytes(at: prop::sample::Index, flip in 1..=255u8) {
        let mut framed = cut(INC, cutting(Format::BtrfsSend, 2000)).unwrap();
        let at = at.index(framed.len());
        framed[at] ^= flip;
        if let Ok(bytes) = decoded(&framed) {
            prop_assert_eq!(bytes, INC);
        }
    }
}

#[test]
fn a_stream_record_survives_a_round_trip() {
    let framed = cut(INC, cutting(Format::BtrfsSend, 2000)).unwrap();
    let stream: Stream = frames(&framed).stream().unwrap();
    let line = record::to_line(&stream).unwrap();
    assert!(framed.starts_with(line.as_bytes()));
}
