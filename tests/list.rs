//! `bts-manifest list` and `chain --at` as people run them: on directories and on
//! servers, in a time zone where the clock changes twice a year.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use bts_tests::program::{Command, Ran, shell};
use bts_tests::s3::{Moto, Op, Reach, S3Server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An archive with backups of the recorded stream at chosen times.
struct Scene {
    dir: TempDir,
    store: String,
    environment: Vec<(&'static str, String)>,
}

impl Scene {
    fn in_a_directory() -> Self {
        let dir = TempDir::new().unwrap();
        let archive = dir.path().join("archive");
        fs::create_dir(&archive).unwrap();
        let store = format!("file://{}", archive.display());
        Self { dir, store, environment: Vec::new() }
    }

    fn on(reach: &Reach) -> Self {
        let (dir, store) = (TempDir::new().unwrap(), reach.url("host"));
        Self { dir, store, environment: reach.environment() }
    }

    /// Fulls of `name` at these times, in the compact form.
    fn back_up(&self, name: &str, times: &[&str], class: &str) {
        let script = r#"
            for time in $TIMES; do
                bts-chunk --chunk-size 16KiB < "$DATA/full.btrfs" |
                    bts-put --store "$STORE" --backup "subvol/$NAME/full/$time-00000001" \
                        > "$WORK/records"
                bts-manifest publish --store "$STORE" < "$WORK/records" > /dev/null
            done"#;
        let mut command = self.command(script);
        command.env("NAME", name).env("TIMES", times.join(" "));
        command.env("BTRFS_TO_S3_S3_STORAGE_CLASS_CHUNKS", class);
        command.env("WORK", self.dir.path());
        command.env("DATA", Path::new(env!("CARGO_MANIFEST_DIR")).join("data")).run().ok();
    }

    fn command(&self, script: &str) -> Command {
        let mut command = shell(script);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.env("STORE", &self.store).env("TZ", "Europe/Berlin");
        command
    }

    fn manifest(&self, arguments: &str) -> Ran {
        self.command(&format!("bts-manifest {arguments} --store \"$STORE\"")).run()
    }

    /// The time of the backup that `--at` picks.
    fn at(&self, time: &str) -> String {
        let chain = format!("chain --subvolume data --at '{time}' --print0 created_at");
        self.manifest(&chain).ok().text().trim_end_matches('\0').to_owned()
    }
}

fn records(ran: &Ran) -> Vec<Value> {
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_time_picks_the_right_backup_on_both_sides_of_each_boundary_and_clock_change() {
    let scene = Scene::in_a_directory();
    let times = [
        "20260328T010000Z", // 02:00 winter time
        "20260329T003000Z", // 01:30 winter time, the night that skips 02:00 to 03:00
        "20260329T010500Z", // 03:05 summer time
        "20261025T003000Z", // 02:30 summer time, the night that has 02:00 to 03:00 twice
        "20261025T013000Z", // 02:30 winter time
        "20261026T010007Z", // 02:00:07 winter time
    ];
    scene.back_up("data", &times, "STANDARD");
    let [before, skipping, skipped, first, second, last] =
        times.map(|time| time.parse::<bts::time::Time>().unwrap().to_string());
    for (time, wanted) in [
        ("2026-03-28T02:00", &before),
        ("2026-03-29T01:29:59", &before),
        ("2026-03-29T01:30", &skipping),
        ("2026-03-29T02:30", &skipping),
        ("2026-03-29T03:04:59", &skipping),
        ("2026-03-29T03:05:00", &skipped),
        ("2026-03-28", &before),
        ("2026-03-29", &skipped),
        ("2026-10-25T02:29:59+02:00", &skipped),
        ("2026-10-25T02:30:00+02:00", &first),
        ("2026-10-25T02:29:59+01:00", &first),
        ("2026-10-25T02:30:00+01:00", &second),
        ("2026-10-25T02:30", &second),
        ("2026-10-25T00:30:00Z", &first),
        ("2026-10-25", &second),
        ("2026-10-26T02:00:06", &second),
        ("2026-10-26T02:00", &last),
        ("2026-10-26", &last),
        ("20261026T010007Z", &last),
    ] {
        assert_eq!(&scene.at(time), wanted, "{time}");
    }
    let early = scene.manifest("chain --subvolume data --at 2026-03-27").expect_status(65);
    early.says("the oldest is of 2026-03-28T02:00:00+01:00");
    scene
        .manifest("chain --subvolume data --at yesterday")
        .expect_status(64)
        .says("2026-01-17T02:00");
    scene.manifest("chain --manifest-key x --at 2026-03-27").expect_status(64);
    scene.manifest("chain --at 2026-03-27").expect_status(64);
}

/// Two backups of one subvolume and one of another.
fn three_backups(scene: &Scene, class: &str) {
    scene.back_up("data", &["20260117T010007Z", "20260717T000007Z"], class);
    scene.back_up("home", &["20260117T010008Z"], class);
}

#[test]
fn the_table_shows_local_times_that_chain_takes() {
    let scene = Scene::in_a_directory();
    three_backups(&scene, "STANDARD");
    let ran = scene.manifest("list").ok();
    let lines: Vec<Vec<_>> = ran.text().lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SUBVOLUME", "TIME", "KIND", "SIZE", "CHAIN", "CLASS", "STATE"]);
    let times: Vec<_> = lines[1..].iter().map(|line| (line[0], line[1])).collect();
    assert_eq!(
        times,
        [
            ("data", "2026-01-17T02:00:07+01:00"),
            ("data", "2026-07-17T02:00:07+02:00"),
            ("home", "2026-01-17T02:00:08+01:00"),
        ]
    );
    assert_eq!(scene.at(times[0].1), "2026-01-17T01:00:07Z");
    assert_eq!(scene.at(times[1].1), "2026-07-17T00:00:07Z");
    assert!(ran.text().ends_with("complete, current\n"), "{}", ran.text());
    assert_eq!(scene.manifest("list --subvolume home").ok().text().lines().count(), 2);
    assert_eq!(scene.manifest("list --subvolume none").ok().says("there is no backup").text(), "");
}

#[test]
fn a_server_is_asked_for_one_list_and_the_manifests_and_for_no_chunk() {
    let server = S3Server::start();
    let scene = Scene::on(server.reach());
    three_backups(&scene, "STANDARD");
    let heads = server.control().count(Op::HeadObject).requests;
    let found = records(&scene.manifest("list --json").ok());
    assert_eq!(server.control().count(Op::HeadObject).requests, heads);
    assert_eq!(found.len(), 4);
    assert_eq!(found[3], json!({ "type": "end", "backups": 3 }));
    assert!(found[..3].iter().all(|point| point["complete"] == true), "{found:?}");
}

#[test]
fn storage_classes_are_those_that_the_server_tells() {
    let moto = Moto::start();
    let scene = Scene::on(moto.reach());
    three_backups(&scene, "DEEP_ARCHIVE");
    let found = records(&scene.manifest("list --json --subvolume data").ok());
    assert_eq!(found.len(), 3);
    assert!(found[..2].iter().all(|point| point["storage_class"] == "DEEP_ARCHIVE"), "{found:?}");
}

#[test]
fn what_is_broken_is_named_after_all_else_was_listed() {
    let scene = Scene::in_a_directory();
    three_backups(&scene, "STANDARD");
    let broken = "subvol/data/full/20260117T010007Z-00000001/manifest.json";
    fs::write(scene.dir.path().join("archive").join(broken), "{").unwrap();
    let ran = scene.manifest("list").expect_status(65).says(broken);
    let states: Vec<_> =
        ran.text().lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(states, ["broken", "current", "current"]);
    let found = records(&scene.manifest("list --json").expect_status(65));
    assert_eq!(found.last().unwrap(), &json!({ "type": "end", "backups": 3 }));
    assert!(found[0]["problem"].as_str().unwrap().contains(broken));
    scene.manifest("list --subvolume home").ok();

    scene.manifest("chain --subvolume data --at 2026-01-17").expect_status(65).says(broken);
    assert_eq!(scene.at("2026-07-17"), "2026-07-17T00:00:07Z");
}
