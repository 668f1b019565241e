//! Archives with orphans in them: what is named, what is removed, and what never.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::chain;
use crate::cli::status_of;
use crate::exit::Status;
use crate::intent;
use crate::journal::{self, Journal};
use crate::names::BackupId;
use crate::record::{self, Current, StreamEnd};
use crate::store::{Shared, UploadOptions};
use crate::testing::{Backup, Faulty, Place, When, archive};

const DAY: u64 = 24 * 3600;

/// An archive, and the state folder of the machine that looks at it.
struct Scene {
    place: Place,
    state: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { place: Place::new(), state: tempfile::tempdir().unwrap() }
    }

    /// One whose subvolume has a full, and an incremental on it.
    async fn with_backups() -> (Self, Current) {
        let scene = Self::new();
        let full = scene.place.publish(&Backup::new(1, None)).await;
        let newest = scene.place.publish(&Backup::new(2, Some(&full))).await;
        (scene, newest)
    }

    fn state(&self) -> std::path::PathBuf {
        self.state.path().join("state.json")
    }

    async fn run(&self, archive: &Archive, days: u64, delete: bool) -> anyhow::Result<Vec<Value>> {
        let mut out = Vec::new();
        let older_than = Duration::from_secs(days * DAY);
        let state = &self.state();
        gc(archive, &Options { older_than, delete, state }, &mut out).await?;
        let text = String::from_utf8(out).unwrap();
        Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// The keys of what is named, however young it is.
    async fn named(&self) -> Vec<String> {
        keys(&self.run(&self.place.archive, 0, false).await.unwrap())
    }

    /// What stops gc, on either way: its status and words.
    async fn stops(&self) -> (Status, String) {
        let before = files(&self.place);
        let error = self.run(&self.place.archive, 0, false).await.unwrap_err();
        let again = self.run(&self.place.archive, 0, true).await.unwrap_err();
        assert_eq!(error.to_string(), again.to_string());
        assert_eq!(files(&self.place), before, "something was removed");
        (status_of(&error), format!("{error:#}"))
    }

    /// Chunks that nobody published, and an upload; their owner.
    async fn dead_run(&self, number: u8) -> BackupId {
        let backup = Backup::new(number, None);
        self.place.upload(&backup).await;
        let id = backup.run().backup;
        self.upload(&format!("host/{id}/chunks/part-00003.bin")).await;
        id
    }

    async fn upload(&self, key: &str) {
        let options =
            UploadOptions { storage_class: None, part_size: 300, metadata: Default::default() };
        let key = key.parse().unwrap();
        self.place.archive.store.create_upload(&key, &options).await.unwrap();
    }

    /// Makes everything of a backup as old as this.
    fn age(&self, id: &BackupId, days: u64) {
        for key in files(&self.place).iter().filter(|key| key.contains(&id.to_string())) {
            set_age(&self.place.file(key), days);
        }
    }
}

fn set_age(path: &Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * DAY);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn keys(records: &[Value]) -> Vec<String> {
    let (end, orphans) = records.split_last().unwrap();
    assert_eq!(end["type"], "end");
    assert!(orphans.iter().all(|orphan| orphan["type"] == "orphan"));
    orphans.iter().map(|orphan| orphan["key"].as_str().unwrap().to_owned()).collect()
}

/// The keys of all objects, and the folders of uploads.
fn files(place: &Place) -> Vec<String> {
    fn walk(root: &Path, at: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let (root, mut found) = (place.file(""), Vec::new());
    walk(&root, &root, &mut found);
    found.sort();
    found
}

async fn whole(place: &Place, newest: &Current) {
    let found = chain::current(&place.archive, &newest.subvolume).await.unwrap();
    assert_eq!(found.as_ref(), Some(newest));
    assert!(newest.chain.missing.is_empty());
}

#[tokio::test]
async fn nothing_that_a_manifest_reaches_is_named_even_when_no_pointer_leads_to_it() {
    let (scene, _) = Scene::with_backups().await;
    // A generation of its own: the pointer leaves the first one behind.
    let newest = scene.place.publish(&Backup::new(3, None)).await;
    let before = files(&scene.place);
    assert_eq!(before.iter().filter(|key| key.ends_with("/RESTORE.txt")).count(), 3);
    let records = scene.run(&scene.place.archive, 0, true).await.unwrap();
    let end = json!({ "type": "end", "uploads": 0, "objects": 0, "size": 0, "deleted": true });
    assert_eq!(records, [end]);
    assert_eq!(files(&scene.place), before);
    whole(&scene.place, &newest).await;
}

#[tokio::test]
async fn what_a_dead_run_left_is_named_and_goes_when_that_is_asked_for() {
    let (scene, newest) = Scene::with_backups().await;
    let before = files(&scene.place);
    let id = scene.dead_run(4).await;
    let listed = scene.run(&scene.place.archive, 0, false).await.unwrap();
    let parts = [3, 0, 1, 2].map(|number| format!("host/{id}/chunks/part-{number:05}.bin"));
    assert_eq!(keys(&listed), parts);
    let upload = &listed[0];
    assert_eq!((&upload["kind"], &upload["size"]), (&json!("upload"), &json!(0)));
    assert!(upload["upload_id"].is_string() && upload["begun"].is_string());
    let object = &listed[1];
    assert_eq!((&object["kind"], &object["size"]), (&json!("object"), &json!(1000)));
    assert!(object["modified"].is_string() && object["upload_id"].is_null());
    assert_eq!(object["reason"], "no manifest names it");
    let end = json!({ "type": "end", "uploads": 1, "objects": 3, "size": 2500, "deleted": false });
    assert_eq!(listed[4], end);

    let removed = scene.run(&scene.place.archive, 0, true).await.unwrap();
    assert_eq!(keys(&removed), parts);
    assert!(removed.iter().all(|record| record["deleted"] == true));
    assert_eq!(files(&scene.place), before);
    whole(&scene.place, &newest).await;
}

#[tokio::test]
async fn of_all_that_one_run_left_the_youngest_decides_how_old_it_is() {
    let scene = Scene::new();
    let (old, young) = (scene.dead_run(4).await, scene.dead_run(5).await);
    for folder in fs::read_dir(scene.place.file(".bts-uploads")).unwrap() {
        let key = folder.unwrap().path().join("key");
        if key.exists() {
            set_age(&key, 8);
        }
    }
    scene.age(&old, 8);
    scene.age(&young, 8);
    set_age(&scene.place.file(&format!("host/{young}/chunks/part-00001.bin")), 6);
    let named = keys(&scene.run(&scene.place.archive, 7, false).await.unwrap());
    assert_eq!(named.len(), 4, "{named:?}");
    assert!(named.iter().all(|key| key.contains(&old.to_string())), "{named:?}");
    assert!(keys(&scene.run(&scene.place.archive, 9, false).await.unwrap()).is_empty());
}

#[tokio::test]
async fn an_intent_keeps_its_backup_for_thirty_days() {
    let scene = Scene::new();
    let id = scene.dead_run(4).await;
    let run = Backup::new(4, None).run();
    intent::renew(&scene.place.archive, &run, "STANDARD").await.unwrap();
    let file = scene.place.file(intent::key(&scene.place.archive, &id).unwrap().as_str());
    set_age(&file, 29);
    assert!(scene.named().await.is_empty());
    set_age(&file, 30);
    assert_eq!(scene.named().await.len(), 5);
}

#[tokio::test]
async fn a_run_that_this_machine_can_go_on_with_is_left_alone_until_it_is_given_up() {
    let scene = Scene::new();
    scene.dead_run(4).await;
    let path = journal::path(&scene.state(), &"data".parse().unwrap());
    let (journal, _) = Journal::open(&path).unwrap();
    journal.begin(&Backup::new(4, None).run()).unwrap();
    assert!(scene.named().await.is_empty());
    journal.note(&StreamEnd { chunks: 3, size: 2500, stream_sha256: record::Digest([0; 32]) });
    assert!(scene.named().await.is_empty());
    journal.note(&record::Abandoned { reason: "why".into() });
    assert_eq!(scene.named().await.len(), 4);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_stops_it() {
    let scene = Scene::new();
    scene.dead_run(4).await;
    fs::create_dir_all(scene.state.path().join("runs/data.jsonl")).unwrap();
    let (status, said) = scene.stops().await;
    assert_eq!(status, Status::Io);
    assert!(said.contains("runs/data.jsonl"), "{said}");
}

#[tokio::test]
async fn a_manifest_or_pointer_that_is_not_understood_stops_it_before_anything_goes() {
    for (key, bytes) in [
        ("host/subvol/data/full/manifest-20260101T020000Z.json", "{}"),
        ("host/subvol/data/full/20260101T020000Z-00000009/manifest.json", "{\"version\":2}"),
        ("host/subvol/data/unheard/of/manifest-v7.json", ""),
        ("host/subvol/other/current.json", "[]"),
        (
            "host/subvol/other/current.json",
            r#"{"manifest_key":"host/subvol/other/full/manifest-1.json","kind":"full","created_at":"20260101T020000Z"}"#,
        ),
    ] {
        let (scene, _) = Scene::with_backups().await;
        scene.dead_run(4).await;
        scene.place.put(key, bytes).await;
        let (status, said) = scene.stops().await;
        assert_eq!(status, Status::Data, "{said}");
        assert!(said.contains(key), "{said}");
    }
}

#[tokio::test]
async fn what_a_lost_manifest_had_is_kept_while_a_backup_stands_on_it() {
    let (scene, newest) = Scene::with_backups().await;
    fs::remove_file(scene.place.file(&newest.chain.full_manifest_key)).unwrap();
    assert!(scene.named().await.is_empty());
}

/// An archive of the existing program: a manifest and its chunk.
async fn flat_backup(scene: &Scene) {
    let chunk = "host/subvol/old/full/chunk-20260101T020000Z-0.bin";
    scene.place.put(chunk, "abc").await;
    let manifest = json!({
        "version": 1, "subvolume": "old", "kind": "full", "created_at": "20260101T020000Z",
        "snapshot": { "name": "x", "path": "/snap/x", "uuid": null, "parent_uuid": null },
        "parent_manifest": null, "total_bytes": 3, "chunk_size": 3,
        "chunks": [{ "key": chunk, "size": 3, "etag": null,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }],
        "s3": { "storage_class": "STANDARD" },
    });
    let key = "host/subvol/old/full/manifest-20260101T020000Z.json";
    scene.place.put(key, manifest.to_string()).await;
}

#[tokio::test]
async fn archives_of_the_existing_program_are_kept_and_what_is_nobodys_is_never_named() {
    let scene = Scene::new();
    flat_backup(&scene).await;
    for foreign in [
        "host/subvol/old/full/notes.txt",
        "host/subvol/old/full/chunk-yesterday-0.bin",
        "host/other/data/full/20260101T020000Z-00000009/chunks/part-00000.bin",
        "elsewhere/subvol/old/full/chunk-20260101T020000Z-0.bin",
    ] {
        scene.place.put(foreign, "x").await;
    }
    scene.upload("host/subvol/old/full/notes.txt").await;
    let before = files(&scene.place);
    let orphan = "host/subvol/old/full/chunk-20260108T020000Z-0.bin";
    scene.place.put(orphan, "x").await;
    scene.upload("host/subvol/old/full/chunk-20260108T020000Z-1.bin").await;
    let removed = scene.run(&scene.place.archive, 0, true).await.unwrap();
    assert_eq!(keys(&removed)[1..], [orphan]);
    assert_eq!(keys(&removed).len(), 2);
    assert_eq!(files(&scene.place), before);
}

/// `archive`, in which something happens as soon as a manifest is read: after the
/// objects were listed, and before anything is removed.
fn meanwhile(scene: &Scene, happens: impl Fn() + Send + Sync + 'static) -> Archive {
    let store: Shared = Arc::clone(&scene.place.archive.store);
    archive(Arc::new(Faulty::twisting(store, move |_, answer| {
        happens();
        answer
    })))
}

#[tokio::test]
async fn a_backup_that_is_published_meanwhile_loses_nothing() {
    let (scene, _) = Scene::with_backups().await;
    let id = scene.dead_run(4).await;
    let before = files(&scene.place);
    let manifest = scene.place.file(&format!("host/{id}/manifest.json"));
    let archive = meanwhile(&scene, move || fs::write(&manifest, "{}").unwrap());
    assert!(keys(&scene.run(&archive, 0, true).await.unwrap()).is_empty());
    assert_eq!(files(&scene.place).len(), before.len() + 1);
}

#[tokio::test]
async fn a_run_that_says_meanwhile_that_it_is_alive_loses_nothing() {
    let (scene, _) = Scene::with_backups().await;
    let id = scene.dead_run(4).await;
    let before = files(&scene.place);
    let intent = scene.place.file(&format!("host/{id}/intent.json"));
    let archive = meanwhile(&scene, move || fs::write(&intent, "{}").unwrap());
    assert!(keys(&scene.run(&archive, 0, true).await.unwrap()).is_empty());
    assert_eq!(files(&scene.place).len(), before.len() + 1);
}

#[tokio::test]
async fn wherever_it_dies_the_backups_are_whole_and_the_next_one_finishes() {
    let (scene, newest) = Scene::with_backups().await;
    let before = files(&scene.place);
    let mut call = 0;
    loop {
        scene.dead_run(4).await;
        let store = Arc::clone(&scene.place.archive.store);
        let archive = archive(Arc::new(Faulty::failing(store, call, When::After)));
        let done = scene.run(&archive, 0, true).await;
        whole(&scene.place, &newest).await;
        if done.is_ok() {
            break;
        }
        call += 1;
    }
    assert!(call > 5, "{call}");
    assert_eq!(files(&scene.place), before);
}

#[tokio::test]
async fn a_server_that_cannot_list_uploads_is_no_obstacle_to_objects() {
    let scene = Scene::new();
    scene.dead_run(4).await;
    let store = Arc::clone(&scene.place.archive.store);
    let archive = archive(Arc::new(Faulty::blind(store)));
    assert_eq!(keys(&scene.run(&archive, 0, false).await.unwrap()).len(), 3);
}
