//! `bts-manifest gc` as people run it: on directories and on S3 servers, beside
//! backups that must survive it.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bts::lock::Lock;
use bts::store::{Archive, PartBody, PutOptions, UploadOptions, Url};
use bts_tests::Host;
use bts_tests::program::{Command, Ran, shell};
use bts_tests::s3::{Moto, Reach, S3Server};
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

const DEAD: &str = "subvol/data/full/20260108T020000Z-0000000a";
const DAY: u64 = 24 * 3600;

/// An archive and a machine with a config.
struct Scene {
    dir: TempDir,
    store: String,
    environment: Vec<(&'static str, String)>,
}

impl Scene {
    /// An archive in a directory.
    fn in_a_directory() -> Self {
        let dir = TempDir::new().unwrap();
        let archive = dir.path().join("archive");
        fs::create_dir(&archive).unwrap();
        Self::with(dir, format!("file://{}", archive.display()), Vec::new())
    }

    /// An archive on a server.
    fn on(reach: &Reach) -> Self {
        Self::with(TempDir::new().unwrap(), reach.url("host"), reach.environment())
    }

    fn with(dir: TempDir, store: String, environment: Vec<(&'static str, String)>) -> Self {
        let config = format!(
            "[global]\nstate_path = \"{0}/state.json\"\nlock_path = \"{0}/lock\"\n\
             [s3]\nstorage_class_chunks = \"STANDARD\"\n",
            dir.path().display()
        );
        fs::write(dir.path().join("config.toml"), config).unwrap();
        Self { dir, store, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, script: &str) -> Command {
        let mut command = shell(script);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.env("STORE", &self.store).env("CONFIG", self.path("config.toml"));
        command.env("DATA", Path::new(env!("CARGO_MANIFEST_DIR")).join("data"));
        command.env("WORK", self.dir.path());
        command
    }

    /// Backs the recorded full stream up.
    fn back_up(&self) {
        let script = r#"
            common=(--config "$CONFIG" --store "$STORE")
            bts-chunk --chunk-size 16KiB < "$DATA/full.btrfs" |
                bts-put "${common[@]}" --backup subvol/data/full/20260101T020000Z-00000001 \
                    > "$WORK/records"
            bts-manifest publish "${common[@]}" < "$WORK/records" > /dev/null"#;
        self.command(script).run().ok();
    }

    /// What is in the backup, downloaded and checked.
    fn restores(&self) {
        let script = r#"
            bts-manifest chain --store "$STORE" --subvolume data | bts-get --store "$STORE" |
                cmp - "$DATA/full.btrfs""#;
        self.command(script).run().ok();
    }

    fn gc(&self, arguments: &str) -> Ran {
        let script = format!("bts-manifest gc --config \"$CONFIG\" --store \"$STORE\" {arguments}");
        self.command(&script).run()
    }

    /// Leaves what a run leaves that is killed: a chunk, and an upload with a part.
    fn dead_run(&self, archive: &Archive) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let chunk = archive.key(format_args!("{DEAD}/chunks/part-00000.bin")).unwrap();
            let body = Bytes::from_static(b"chunk");
            archive.store.put(&chunk, body, &PutOptions::default()).await.unwrap();
            let options = UploadOptions {
                storage_class: None,
                part_size: 5 << 20,
                metadata: Default::default(),
            };
            let chunk = archive.key(format_args!("{DEAD}/chunks/part-00001.bin")).unwrap();
            let upload = archive.store.create_upload(&chunk, &options).await.unwrap();
            let piece = Bytes::from_static(b"part");
            let (len, crc32) = (piece.len() as u64, crc32fast::hash(&piece));
            let body = PartBody { pieces: vec![piece], len, crc32 };
            archive.store.put_part(&upload, 1, body).await.unwrap();
        });
    }

    /// The archive in the directory, for this process.
    fn directory(&self) -> Archive {
        let url: Url = self.store.parse().unwrap();
        let store = std::sync::Arc::new(bts::store::dir::DirStore::new(&self.path("archive")));
        Archive { store, url }
    }
}

fn archive_on(reach: &Reach) -> Archive {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reach = Reach { prefix: "host".into(), ..reach.clone() };
    runtime.block_on(reach.open()).unwrap()
}

/// The kinds and keys of the orphans, and the end.
fn orphans(ran: &Ran) -> (Vec<(String, String)>, Value) {
    let mut records: Vec<Value> =
        ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = records.pop().unwrap();
    assert_eq!(end["type"], "end");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let kinds = records.iter().map(|it| (text(&it["kind"]), text(&it["key"]))).collect();
    (kinds, end)
}

/// Nothing that is young is named; a dead run's remains are; they go when that is
/// asked for, and the backup beside them restores.
fn cleans_up(scene: &Scene, prefix: &str, kinds: &[&str]) {
    assert!(orphans(&scene.gc("").ok()).0.is_empty());
    let listed = scene.gc("--older-than 0s").ok().says("give --delete to remove them");
    let (found, end) = orphans(&listed);
    assert_eq!(found.iter().map(|(kind, _)| kind).collect::<Vec<_>>(), kinds);
    assert!(found.iter().all(|(_, key)| key.starts_with(&format!("{prefix}{DEAD}/"))), "{found:?}");
    assert_eq!(end["deleted"], false);
    assert_eq!(orphans(&scene.gc("--older-than 0s").ok()).0, found);

    let removed = scene.gc("--older-than 0s --delete").ok().says("removed ");
    assert_eq!(orphans(&removed).0, found);
    scene.gc("--older-than 0s --delete").ok().says("nothing lies in the archive");
    scene.restores();
}

#[test]
fn a_dead_run_in_a_directory_is_cleaned_up_and_the_backup_restores() {
    let scene = Scene::in_a_directory();
    scene.back_up();
    scene.dead_run(&scene.directory());
    cleans_up(&scene, "", &["upload", "object"]);
}

#[test]
fn a_dead_run_on_a_server_is_cleaned_up_and_the_backup_restores() {
    let moto = Moto::start();
    let scene = Scene::on(moto.reach());
    scene.back_up();
    scene.dead_run(&archive_on(moto.reach()));
    let sizes = scene.gc("--older-than 0s").ok();
    assert_eq!(orphans(&sizes).1["size"], 9, "the part's 4 bytes and the chunk's 5");
    cleans_up(&scene, "host/", &["upload", "object"]);
}

#[test]
fn objects_go_where_signatures_are_checked() {
    let server = S3Server::start();
    let scene = Scene::on(server.reach());
    scene.back_up();
    scene.dead_run(&archive_on(server.reach()));
    scene.gc("--older-than 0s --delete").ok();
    let dead = server.bucket_dir().join("host").join(DEAD).join("chunks/part-00000.bin");
    assert!(!dead.exists());
    scene.restores();
}

#[test]
fn while_another_run_holds_the_lock_nothing_is_removed_and_listing_goes_on() {
    let scene = Scene::in_a_directory();
    scene.dead_run(&scene.directory());
    let held = Lock::take(&scene.path("lock")).unwrap();
    let refused = scene.gc("--older-than 0s --delete").expect_status(75);
    let pid = std::process::id();
    refused.says(&format!("another run holds {}: process {pid}", scene.path("lock").display()));
    assert_eq!(orphans(&scene.gc("--older-than 0s").ok()).0.len(), 2);
    drop(held);
    scene.gc("--older-than 0s --delete").ok();
}

#[test]
fn the_wrapper_and_gc_keep_each_other_out() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let held = Lock::take(&host.lock()).unwrap();
    let pid = std::process::id();
    host.backup().run().expect_status(75).says(&format!("process {pid}"));
    drop(held);

    let script = format!(
        "\"$REAL\" gc --delete --config '{}' >&2 || echo \"gc: $?\" >&2\nexec \"$REAL\" \"$@\"",
        host.config().display()
    );
    let programs = host.sabotage("bts-manifest", &script);
    let ran = host.backup().env("BTS_BIN_DIR", programs).run().ok();
    assert!(!host.chain("data").is_empty());
    ran.says("another run holds").says("gc: 75");
}

#[test]
fn a_run_that_says_that_it_is_alive_is_left_alone_for_thirty_days() {
    let scene = Scene::in_a_directory();
    scene.dead_run(&scene.directory());
    let intent = scene.path("archive").join(DEAD).join("intent.json");
    fs::write(&intent, "{}").unwrap();
    for (days, count) in [(0, 0), (29, 0), (31, 3)] {
        let time = SystemTime::now() - Duration::from_secs(days * DAY);
        File::open(&intent).unwrap().set_modified(time).unwrap();
        assert_eq!(orphans(&scene.gc("--older-than 0s").ok()).0.len(), count, "{days} days");
    }
}

#[test]
fn what_it_cannot_understand_stops_it_before_anything_goes() {
    let scene = Scene::in_a_directory();
    scene.back_up();
    scene.dead_run(&scene.directory());
    let chunk = scene.path("archive").join(DEAD).join("chunks/part-00000.bin");
    let manifest = scene.path("archive/subvol/data/full/manifest-20260101T020000Z.json");
    fs::write(&manifest, "{}").unwrap();
    let stopped = scene.gc("--older-than 0s --delete").expect_status(65);
    let said = stopped.says("manifest-20260101T020000Z.json");
    assert!(said.text().contains("\"type\":\"error\""));
    fs::remove_file(&manifest).unwrap();

    let journal = scene.path("runs/data.jsonl");
    fs::create_dir_all(&journal).unwrap();
    scene.gc("--older-than 0s --delete").expect_status(74).says(&journal.display().to_string());
    assert!(chunk.exists());
}

#[test]
fn ages_are_written_in_days_hours_and_seconds() {
    let scene = Scene::in_a_directory();
    for age in ["7d", "1d12h", "36h", "90s"] {
        scene.gc(&format!("--older-than {age}")).ok();
    }
    for age in ["7", "soon", "-1d", "1mo"] {
        scene.gc(&format!("--older-than={age}")).expect_status(64);
    }
}
