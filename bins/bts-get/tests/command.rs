//! What callers of `bts-get` see: bytes, words and exit statuses.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Runs `bts-get` on the store in `dir` with `input` on stdin.
fn get(dir: &Path, input: &str) -> Output {
    let mut child = command(dir).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bts-get"));
    command.arg("--store").arg(format!("file://{}", dir.display()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A store with one object, and the records that want it.
fn store(bytes: &[u8]) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("chunk"), bytes).unwrap();
    let sha256 = format!("{:x}", Sha256::digest(bytes));
    let backup = json!({
        "type": "backup", "subvolume": "data", "manifest_key": "m", "kind": "full",
        "created_at": "2026-01-01T00:00:00Z", "format": "btrfs-send", "chunks": 1,
        "size": bytes.len(), "storage_class": "STANDARD",
        "snapshot": { "name": "x", "path": "/x" },
    });
    let object = json!({ "type": "object", "index": 0, "key": "chunk", "size": bytes.len(),
                         "sha256": sha256 });
    let end = json!({ "type": "end", "backups": 1 });
    (dir, format!("{backup}\n{object}\n{end}\n"))
}

#[test]
fn checked_bytes_come_out_and_nothing_else() {
    let bytes: Vec<u8> = (0..3_000_000).map(|i| (i % 253) as u8).collect();
    let (dir, records) = store(&bytes);
    let done = get(dir.path(), &records);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(done.stdout == bytes);
}

#[test]
fn failures_are_one_line_and_the_documented_status() {
    let (dir, records) = store(b"abc");
    let upstream = json!({ "type": "error", "program": "bts-manifest", "status": 77,
                           "code": "refused", "message": "no" });
    let gone = tempfile::tempdir().unwrap();
    for (dir, input, status, word) in [
        (dir.path(), "", 65, "without an end record"),
        (dir.path(), "nonsense\n", 65, "stdin, line 1"),
        (dir.path(), &format!("{upstream}\n"), 77, ""),
        (gone.path(), &records, 65, "chunk: it does not exist"),
    ] {
        let done = get(dir, input);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(status), "{input}: {said}");
        assert!(said.contains(word) && said.lines().count() <= 1, "{said}");
        assert_eq!(said.is_empty(), word.is_empty(), "an earlier stage has said it: {said}");
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn a_reader_that_left_ends_it_by_sigpipe() {
    use std::os::unix::process::ExitStatusExt;
    let (dir, records) = store(&vec![7; 8_000_000]);
    let mut child = command(dir.path()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(records.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.signal(), Some(13), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn without_a_store_it_says_how_to_name_one() {
    let done = Command::new(env!("CARGO_BIN_EXE_bts-get")).stdin(Stdio::null()).output().unwrap();
    assert_eq!(done.status.code(), Some(78));
    assert!(String::from_utf8(done.stderr).unwrap().contains("--store"));
}
