//! Archives of the existing program restore by the wrapper without any option,
//! and a reader that knows only the contract's fields restores ours.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use bts_tests::program::shell;
use bts_tests::{Host, assert_same};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MIB: u64 = 1 << 20;
const TIMES: [&str; 2] = ["20260110T020000Z", "20260117T020000Z"];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An archive made by hand, as the existing program makes it: a full of at least
/// eleven chunks, and an incremental.
struct Foreign {
    host: Host,
    snapshots: Vec<PathBuf>,
}

impl Foreign {
    /// `edit` makes the variation: of each manifest, before it is written.
    fn or_skip(edit: impl Fn(&Foreign, &mut Value)) -> Option<Self> {
        let host = Host::or_skip(&["data"])?;
        let mut foreign = Self { host, snapshots: Vec::new() };
        let mut parent = Value::Null;
        for (number, time) in TIMES.into_iter().enumerate() {
            let mut data = foreign.host.dataset("data", 1 + number as u64);
            match number {
                0 => data.fill(3 * MIB),
                _ => data.change(),
            };
            let mut manifest = foreign.manifest(number, time, &parent);
            edit(&foreign, &mut manifest);
            parent = foreign.publish(time, &manifest).into();
        }
        Some(foreign)
    }

    /// Sends a snapshot into chunks without padding in their names.
    fn manifest(&mut self, number: usize, time: &str, parent: &Value) -> Value {
        let kind = ["full", "incremental"][number];
        let name = format!("data__{time}__{}", ["full", "inc"][number]);
        let host = &self.host;
        let snapshot = host.fs().snapshot(&host.path("data"), format!("snapshots/{name}"));
        let stream = host.fs().outside().join("stream");
        let mut send = shell(r#"btrfs -q send ${PARENT:+-p "$PARENT"} -f "$STREAM" "$SNAPSHOT""#);
        send.env("SNAPSHOT", &snapshot).env("STREAM", &stream);
        send.env("PARENT", self.snapshots.last().map_or(Path::new(""), PathBuf::as_path));
        send.run().ok();
        let bytes = fs::read(&stream).unwrap();
        fs::remove_file(stream).unwrap();

        let size = bytes.len().div_ceil(11);
        let mut chunks = Vec::new();
        for (index, chunk) in bytes.chunks(size).enumerate() {
            let key = format!("subvol/data/{kind}/chunk-{time}-{index}.bin");
            self.put(&key, chunk);
            chunks.push(json!({
                "key": key, "size": chunk.len(), "sha256": hex(&Sha256::digest(chunk)),
                "etag": format!("\"{index}\""),
            }));
        }
        let shown = shell(r#"btrfs subvolume show "$SNAPSHOT" | sed -n 's/^\tUUID:[ \t]*//p'"#)
            .env("SNAPSHOT", &snapshot)
            .run()
            .ok();
        let uuid = shown.text().trim().to_owned();
        self.snapshots.push(snapshot.clone());
        json!({
            "version": 1, "subvolume": "data", "kind": kind, "created_at": time,
            "snapshot": { "name": name, "path": snapshot, "uuid": uuid, "parent_uuid": null },
            "parent_manifest": parent, "chunks": chunks, "total_bytes": bytes.len(),
            "chunk_size": size, "s3": { "storage_class": "DEEP_ARCHIVE" },
        })
    }

    /// Writes a manifest and the pointer to it; gives back its key.
    fn publish(&self, time: &str, manifest: &Value) -> String {
        let kind = manifest["kind"].as_str().unwrap();
        let key = format!("subvol/data/{kind}/manifest-{time}.json");
        self.put(&key, manifest.to_string().as_bytes());
        let pointer = json!({ "manifest_key": key, "kind": kind, "created_at": time });
        self.put("subvol/data/current.json", pointer.to_string().as_bytes());
        key
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.host.archive().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Restores the newest backup, and the full by its manifest, on another
    /// machine that has only the archive, and compares.
    fn restores(&self) {
        let mut other = Host::or_skip(&[]).unwrap();
        other.share_archive(&self.host);
        other.restore("data", "newest").run().ok();
        assert_same(&self.snapshots[1], &other.path("newest"));
        let full = &other.chain("data")[0];
        other.restore("data", "full").args(["--manifest-key", full]).run().ok();
        assert_same(&self.snapshots[0], &other.path("full"));
        let listed = other.program("bts-manifest", &["list"]).ok();
        assert_eq!(listed.text().matches("complete").count(), 2, "{}", listed.text());
    }
}

#[test]
fn chunks_without_padding_come_in_the_order_of_the_array() {
    let Some(foreign) = Foreign::or_skip(|_, _| ()) else { return };
    let chunks = fs::read_dir(foreign.host.archive().join("subvol/data/full")).unwrap().count();
    assert!(chunks > 11, "the tenth sorts before the second");
    foreign.restores();
}

#[test]
fn uuids_and_etags_may_be_unknown() {
    let edit = |_: &Foreign, manifest: &mut Value| {
        manifest["snapshot"]["uuid"] = Value::Null;
        for chunk in manifest["chunks"].as_array_mut().unwrap() {
            chunk["etag"] = Value::Null;
        }
    };
    if let Some(foreign) = Foreign::or_skip(edit) {
        foreign.restores();
    }
}

#[test]
fn a_parents_uuid_may_be_said_and_times_may_be_rfc_3339() {
    let edit = |_: &Foreign, manifest: &mut Value| {
        let full = manifest["kind"] == "full";
        manifest["created_at"] =
            json!(if full { "2026-01-10T02:00:00Z" } else { "2026-01-17T03:00:00+01:00" });
        manifest["more"] = json!({ "fields": ["may", "be", "added"] });
    };
    if let Some(foreign) = Foreign::or_skip(edit) {
        foreign.restores();
    }
}

#[test]
fn keys_need_no_layout_but_the_order_of_the_array() {
    // Numbered from the end, in a folder of their own.
    let edit = |foreign: &Foreign, manifest: &mut Value| {
        let kind = manifest["kind"].as_str().unwrap().to_owned();
        for (index, chunk) in manifest["chunks"].as_array_mut().unwrap().iter_mut().enumerate() {
            let key = format!("old stuff/{kind}/{}", 100 - index);
            let bytes = fs::read(foreign.host.archive().join(chunk["key"].as_str().unwrap()));
            foreign.put(&key, &bytes.unwrap());
            chunk["key"] = key.into();
        }
    };
    if let Some(foreign) = Foreign::or_skip(edit) {
        foreign.restores();
    }
}

#[test]
fn the_snapshot_may_be_called_otherwise_than_in_its_stream() {
    let edit = |_: &Foreign, manifest: &mut Value| manifest["snapshot"]["name"] = json!("a label");
    if let Some(foreign) = Foreign::or_skip(edit) {
        foreign.restores();
    }
}

/// All that the contract says of a manifest; whatever else is there is not read.
#[derive(Deserialize)]
struct Contract {
    version: u32,
    subvolume: String,
    kind: String,
    created_at: String,
    snapshot: Snapshot,
    parent_manifest: Option<String>,
    chunks: Vec<Chunk>,
    total_bytes: u64,
    chunk_size: u64,
    s3: Storage,
}

#[derive(Deserialize)]
struct Snapshot {
    name: String,
    path: PathBuf,
    uuid: Option<String>,
    parent_uuid: Option<String>,
}

#[derive(Deserialize)]
struct Chunk {
    key: String,
    size: u64,
    sha256: String,
    etag: Option<String>,
}

#[derive(Deserialize)]
struct Storage {
    storage_class: String,
}

#[derive(Deserialize)]
struct Pointer {
    manifest_key: String,
    kind: String,
    created_at: String,
}

/// The chain that a reader of these fields finds, the full first.
fn chain(archive: &Path) -> Vec<Contract> {
    let read = |key: &str| fs::read(archive.join(key)).unwrap();
    let pointer: Pointer = serde_json::from_slice(&read("subvol/data/current.json")).unwrap();
    let mut chain: Vec<Contract> = Vec::new();
    let mut next = Some(pointer.manifest_key);
    while let Some(key) = next {
        let manifest: Contract = serde_json::from_slice(&read(&key)).unwrap();
        next = manifest.parent_manifest.clone();
        chain.insert(0, manifest);
    }
    let newest = chain.last().unwrap();
    assert_eq!(
        (pointer.kind, pointer.created_at),
        (newest.kind.clone(), newest.created_at.clone())
    );
    chain
}

impl Contract {
    fn check(&self) {
        assert_eq!((self.version, &*self.subvolume), (1, "data"));
        assert_eq!(self.kind == "full", self.parent_manifest.is_none());
        assert_eq!(self.snapshot.path.file_name().unwrap().to_str(), Some(&*self.snapshot.name));
        assert_eq!(self.kind == "full", self.snapshot.parent_uuid.is_none());
        assert!(self.snapshot.uuid.is_some() && self.chunks.iter().all(|it| it.etag.is_some()));
        assert_eq!(self.chunks.iter().map(|chunk| chunk.size).sum::<u64>(), self.total_bytes);
        let (_, but_last) = self.chunks.split_last().unwrap();
        assert!(but_last.iter().all(|chunk| chunk.size == self.chunk_size));
        assert_eq!(self.s3.storage_class, "STANDARD");
    }
}

#[test]
fn a_reader_that_knows_only_the_contracts_fields_restores_our_archives() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    sleep(Duration::from_millis(1100));
    host.dataset("data", 2).change();
    host.backup().arg("--once").run().ok();

    let Some(other) = Host::or_skip(&[]) else { return };
    fs::create_dir(other.path("staging")).unwrap();
    let mut last = PathBuf::new();
    for manifest in chain(&host.archive()) {
        manifest.check();
        let mut stream = Vec::new();
        for chunk in &manifest.chunks {
            let bytes = fs::read(host.archive().join(&chunk.key)).unwrap();
            assert_eq!(bytes.len() as u64, chunk.size);
            assert_eq!(hex(&Sha256::digest(&bytes)), chunk.sha256);
            stream.extend(bytes);
        }
        let path = other.fs().outside().join("stream");
        fs::write(&path, stream).unwrap();
        let receive = r#"btrfs -q receive -C -f "$STREAM" "$STAGING""#;
        shell(receive).env("STREAM", path).env("STAGING", other.path("staging")).run().ok();
        last = other.path("staging").join(manifest.snapshot.path.file_name().unwrap());
    }
    assert_same(&host.newest("data"), &last);
}
