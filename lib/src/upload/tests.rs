//! The engine against a real directory store.

use std::io::{BufReader, Cursor};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Options, upload};
use crate::cli::status_of;
use crate::exit::Status;
use crate::record::{
    Chunk, ChunkEnd, Digest, Digests, ErrorRecord, Format, Frames, Hash, Reader, Stream, StreamEnd,
    Writer,
};
use crate::store::dir::DirStore;
use crate::store::{Archive, Url};

pub(super) const BACKUP: &str = "subvol/data/full/20260117T220511Z-0a1b2c3d";
pub(super) const CHUNK: usize = 11 << 20;

fn archive(dir: &tempfile::TempDir) -> Archive {
    Archive {
        store: std::sync::Arc::new(DirStore::new(dir.path())),
        url: Url::Dir(dir.path().to_owned()),
    }
}

pub(super) fn options() -> Options {
    Options {
        backup: Some(BACKUP.parse().unwrap()),
        concurrency: 2,
        part_size: Some(5 << 20),
        storage_class: "STANDARD".into(),
        storage_class_small: "STANDARD".into(),
        sse: None,
        journal: None,
        state: "/nowhere/state.json".into(),
        spool: None,
    }
}

pub(super) fn bytes(len: usize) -> Vec<u8> {
    let mut seed = 1u32;
    std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(len)
    .collect()
}

/// `bytes` as a framed stream of raw bytes, in pieces that fit neither parts nor
/// chunks.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    let mut out = Writer::new(&mut framed);
    let stream = Stream {
        version: 1,
        format: Format::Raw,
        send_version: None,
        chunk_size: CHUNK as u64,
        hash: Hash::Sha256,
        snapshot_name: None,
        uuid: None,
        ctransid: None,
        parent_uuid: None,
        parent_ctransid: None,
        plan: None,
    };
    out.write(&stream).unwrap();
    let mut digests = Sha256::new();
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        let index = index as u64;
        out.write(&Chunk { index }).unwrap();
        for piece in chunk.chunks(777_777) {
            out.write_data(piece, crc32fast::hash(piece)).unwrap();
        }
        let digest = Digest(Sha256::digest(chunk).into());
        digests.update(digest.0);
        let digests = Digests::of(Hash::Sha256, digest);
        out.write(&ChunkEnd { index, size: chunk.len() as u64, digests }).unwrap();
    }
    let chunks = bytes.len().div_ceil(CHUNK) as u64;
    let stream_sha256 = Digest(digests.finalize().into());
    out.write(&StreamEnd { chunks, size: bytes.len() as u64, stream_sha256 }).unwrap();
    framed
}

/// Runs the engine over `input`; what it wrote, record by record, and its end.
pub(super) async fn run(
    archive: &Archive,
    input: Vec<u8>,
    options: &Options,
) -> (Vec<Value>, anyhow::Result<StreamEnd>) {
    let frames = Frames::new(Reader::new(BufReader::new(Cursor::new(input)), "stdin"));
    let mut out = Vec::new();
    let end = upload(archive, frames, options, &mut out).await;
    let lines = out.split_inclusive(|&byte| byte == b'\n');
    (lines.map(|line| serde_json::from_slice(line).unwrap()).collect(), end)
}

pub(super) fn files(dir: &tempfile::TempDir) -> Vec<String> {
    fn walk(dir: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => walk(&path, found),
                path => found.push(path.display().to_string()),
            }
        }
    }
    let mut found = Vec::new();
    walk(dir.path(), &mut found);
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_stored_whole_and_reported_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let all = bytes(2 * CHUNK + 12345);
    let (records, end) = run(&archive(&dir), framed(&all), &options()).await;
    assert_eq!(end.unwrap().chunks, 3);
    let kinds: Vec<_> = records.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["run", "object", "object", "object", "end"]);
    for (index, chunk) in all.chunks(CHUNK).enumerate() {
        let object = &records[index + 1];
        assert_eq!(object["index"], index);
        let key = format!("{BACKUP}/chunks/part-0000{index}.bin");
        assert_eq!(object["key"], key);
        assert_eq!(std::fs::read(dir.path().join(key)).unwrap(), chunk);
        assert_eq!(object["crc32"], format!("{:08x}", crc32fast::hash(chunk)));
        let parts: Vec<_> =
            chunk.chunks(5 << 20).map(|part| blake3::hash(part).to_string()).collect();
        assert_eq!(object["parts"], serde_json::json!(parts));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_anywhere_reports_no_end_and_leaves_no_upload() {
    let whole = framed(&bytes(CHUNK + 12345));
    for cut in [100, whole.len() / 3, CHUNK + 2000, whole.len() - 200, whole.len() - 1] {
        let dir = tempfile::tempdir().unwrap();
        let (records, end) = run(&archive(&dir), whole[..cut].to_vec(), &options()).await;
        assert_eq!(status_of(&end.unwrap_err()), Status::Data, "cut at {cut}");
        assert!(records.iter().all(|record| record["type"] != "end"), "cut at {cut}");
        let mut left = files(&dir);
        left.retain(|path| !path.ends_with(".bts-uploads/lock"));
        assert!(left.iter().all(|path| path.ends_with("part-00000.bin")), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_an_earlier_stage_is_handed_on() {
    let mut input = framed(&bytes(1000));
    let line = input.iter().position(|&byte| byte == b'\n').unwrap();
    input.truncate(line + 1);
    let said = ErrorRecord {
        program: "bts-chunk".into(),
        status: Status::SendRestarted.code(),
        code: "send_restarted".into(),
        message: "the stream began again".into(),
    };
    Writer::new(&mut input).write(&said).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (_, end) = run(&archive(&dir), input, &options()).await;
    assert_eq!(status_of(&end.unwrap_err()), Status::SendRestarted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_exists_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let first = bytes(1000);
    run(&archive(&dir), framed(&first), &options()).await.1.unwrap();
    let (_, end) = run(&archive(&dir), framed(&bytes(2000)), &options()).await;
    assert_eq!(status_of(&end.unwrap_err()), Status::Refused);
    let key = dir.path().join(format!("{BACKUP}/chunks/part-00000.bin"));
    assert_eq!(std::fs::read(key).unwrap(), first);
}
