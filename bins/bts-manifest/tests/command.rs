//! What callers of `bts-manifest` see: records, words and exit statuses.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const MANIFEST: &str = "subvol/data/full/manifest-20260101T020000Z.json";

/// Runs `bts-manifest` on the store in `dir` with `input` on stdin.
fn manifest(dir: &TempDir, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bts-manifest"))
        .arg("--store")
        .arg(format!("file://{}", dir.path().display()))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A store with one backup of the existing program.
fn store() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let put = |key: &str, bytes: &str| {
        let path = dir.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let chunk = "subvol/data/full/chunk-20260101T020000Z-0.bin";
    put(chunk, "abc");
    let manifest = json!({
        "version": 1, "subvolume": "data", "kind": "full", "created_at": "20260101T020000Z",
        "snapshot": { "name": "x", "path": "/snap/x", "uuid": null, "parent_uuid": null },
        "parent_manifest": null, "total_bytes": 3, "chunk_size": 3,
        "chunks": [{ "key": chunk, "size": 3, "etag": null,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }],
        "s3": { "storage_class": "STANDARD" },
    });
    put(MANIFEST, &manifest.to_string());
    let pointer = json!({ "manifest_key": MANIFEST, "kind": "full",
                          "created_at": "20260101T020000Z" });
    put("subvol/data/current.json", &pointer.to_string());
    dir
}

fn records(done: &Output) -> Vec<Value> {
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::str::from_utf8(&done.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(done: &Output) -> Vec<String> {
    records(done).iter().map(|record| record["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn current_prints_a_record_for_each_subvolume_that_has_a_backup() {
    let dir = store();
    for (arguments, expected) in [
        (&["current", "--all"][..], &["current", "end"][..]),
        (&["current", "--subvolume", "data", "--subvolume", "home"], &["current", "end"]),
        (&["current", "--subvolume", "home"], &["end"]),
    ] {
        assert_eq!(types(&manifest(&dir, arguments, "")), expected, "{arguments:?}");
    }
}

#[test]
fn a_chain_is_records_or_values() {
    let dir = store();
    for which in [["--subvolume", "data"], ["--manifest-key", MANIFEST]] {
        let done = manifest(&dir, &["chain", which[0], which[1]], "");
        assert_eq!(types(&done), ["backup", "object", "end"]);
    }
    let arguments = ["chain", "--subvolume", "data", "--only", "--print0", "manifest_key,size"];
    let done = manifest(&dir, &arguments, "");
    assert_eq!(done.stdout, format!("{MANIFEST}\x003\x00").into_bytes());
}

#[test]
fn show_prints_the_manifest_as_it_is_stored() {
    let dir = store();
    let done = manifest(&dir, &["show", "--subvolume", "data"], "");
    assert_eq!(done.stdout, std::fs::read(dir.path().join(MANIFEST)).unwrap());
}

#[test]
fn a_failure_is_told_on_stderr_and_as_a_record_where_records_are_expected() {
    let dir = store();
    std::fs::write(dir.path().join(MANIFEST), "{").unwrap();
    for (arguments, record) in [
        (&["chain", "--subvolume", "data"][..], true),
        (&["current", "--all"], true),
        (&["chain", "--subvolume", "data", "--print0", "kind"], false),
    ] {
        let done = manifest(&dir, arguments, "");
        assert_eq!(done.status.code(), Some(65), "{arguments:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(MANIFEST) && said.lines().count() == 1, "{said}");
        let text = String::from_utf8(done.stdout).unwrap();
        assert_eq!(text.contains("\"type\":\"error\""), record, "{text}");
    }
}

#[test]
fn publish_passes_an_earlier_failure_on_and_refuses_an_empty_input() {
    let dir = store();
    let upstream = json!({ "type": "error", "program": "bts-put", "status": 69,
                           "code": "unavailable", "message": "no answer" });
    let done = manifest(&dir, &["publish"], &format!("{upstream}\n"));
    assert_eq!((done.status.code(), done.stderr.len()), (Some(69), 0));
    assert_eq!(serde_json::from_slice::<Value>(&done.stdout).unwrap(), upstream);
    assert_eq!(manifest(&dir, &["publish"], "").status.code(), Some(65));
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    let dir = store();
    for arguments in [
        &[][..],
        &["current"],
        &["current", "--all", "--subvolume", "data"],
        &["chain"],
        &["chain", "--subvolume", "data", "--manifest-key", "x"],
        &["chain", "--subvolume", "a/b"],
        &["chain", "--subvolume", "data", "--print0", "colour"],
        &["show"],
        &["nonsense"],
    ] {
        assert_eq!(manifest(&dir, arguments, "").status.code(), Some(64), "{arguments:?}");
    }
}
