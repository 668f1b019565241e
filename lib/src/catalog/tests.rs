//! Archives with backups in all conditions: what is listed, and which one a time
//! means.

use std::fs;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::*;
use crate::cli::status_of;
use crate::exit::Status;
use crate::moment::Moment;
use crate::names::Name;
use crate::testing::{Backup, Place};

fn data() -> Name {
    "data".parse().unwrap()
}

/// The records of a list and how it ended.
async fn listed(place: &Place, names: &[Name]) -> (Vec<Value>, Status) {
    let mut out = Vec::new();
    let status = list(&place.archive, names, Form::Records, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = records.pop().unwrap();
    assert_eq!(end, json!({ "type": "end", "backups": records.len() }));
    assert!(records.iter().all(|record| record["type"] == "restore_point"));
    (records, status)
}

/// A full, two incrementals on it, and a full that the pointer names.
async fn two_generations(place: &Place) -> Vec<String> {
    let mut keys = Vec::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let second = place.publish(&Backup::new(2, Some(&full))).await;
    let third = place.publish(&Backup::new(3, Some(&second))).await;
    let other = place.publish(&Backup::new(4, None)).await;
    keys.extend([full, second, third, other].map(|current| current.manifest_key));
    keys
}

fn folder(key: &str) -> &str {
    key.strip_suffix("/manifest.json").unwrap()
}

async fn edit(place: &Place, key: &str, edit: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&fs::read(place.file(key)).unwrap()).unwrap();
    edit(&mut manifest);
    place.put(key, manifest.to_string()).await;
}

#[tokio::test]
async fn every_backup_is_listed_also_one_that_no_pointer_leads_to() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    let (points, status) = listed(&place, &[]).await;
    assert_eq!(status, Status::Done);
    let found: Vec<_> =
        points.iter().map(|point| point["manifest_key"].as_str().unwrap()).collect();
    assert_eq!(found, keys);
    let each = |field: &str| points.iter().map(|point| point[field].clone()).collect::<Vec<_>>();
    assert_eq!(each("chain_length"), [1, 2, 3, 1]);
    assert_eq!(each("chain_size"), [2500, 5000, 7500, 2500]);
    assert_eq!(each("size"), [2500; 4]);
    assert_eq!(each("complete"), [true; 4]);
    assert_eq!(each("current"), [false, false, false, true]);
    assert_eq!(each("kind"), ["full", "incremental", "incremental", "full"]);
    assert_eq!(each("storage_class"), ["STANDARD"; 4]);
    assert_eq!(points[1]["created_at"], "2026-01-02T02:00:00Z");
}

#[tokio::test]
async fn one_subvolume_is_listed_alone_and_one_without_a_backup_gives_nothing() {
    let place = Place::new();
    two_generations(&place).await;
    assert_eq!(listed(&place, &[data()]).await.0, listed(&place, &[]).await.0);
    assert_eq!(listed(&place, &["home".parse().unwrap()]).await, (Vec::new(), Status::Done));
}

#[tokio::test]
async fn an_object_that_is_missing_makes_all_that_stand_on_it_incomplete() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    let chunk = format!("{}/chunks/part-00001.bin", folder(&keys[1]));
    fs::write(place.file(&chunk), "short").unwrap();
    let (points, status) = listed(&place, &[]).await;
    assert_eq!(status, Status::Done, "nothing of it is broken");
    let complete: Vec<_> = points.iter().map(|point| point["complete"].clone()).collect();
    assert_eq!(complete, [true, false, false, true]);
    assert_eq!(points[2]["missing"], json!([chunk]));

    fs::remove_file(place.file(&keys[0])).unwrap();
    let (points, _) = listed(&place, &[]).await;
    assert_eq!(points.len(), 3);
    assert_eq!(points[0]["missing"], json!([keys[0], chunk]));
    assert_eq!(points[0]["chain_length"], 1, "those that were found");
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_broken_and_so_is_what_stands_on_it() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    place.put(&keys[1], "{").await;
    let (points, status) = listed(&place, &[]).await;
    assert_eq!(status, Status::Data);
    assert_eq!(points.len(), 4);
    let problem = |at: usize| points[at]["problem"].as_str().unwrap().to_owned();
    assert!(problem(1).contains(&keys[1]), "{}", problem(1));
    assert!(problem(2).contains("which is broken") && problem(2).contains(&keys[1]));
    assert_eq!(
        (&points[1]["kind"], &points[1]["subvolume"]),
        (&json!("incremental"), &json!("data"))
    );
    assert_eq!(points[1]["created_at"], "2026-01-02T02:00:00Z", "by its key");
    assert_eq!(points[1]["size"], Value::Null);
    assert_eq!((&points[0]["complete"], &points[3]["complete"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn chains_that_contradict_themselves_are_broken() {
    type Edit = fn(&mut Value);
    // Changed is the full of the first generation: the second has nothing to do
    // with it, and a full that is sound in itself can be restored.
    let cases: [(Edit, &str, usize); 5] = [
        (|full| full["total_bytes"] = json!(1), "total_bytes: ", 1),
        (
            |full| {
                full["subvolume"] = json!("home");
                full["backup"] = Value::Null;
            },
            "subvolume: ",
            1,
        ),
        (|full| full["chunks"][0]["key"] = json!("other/x"), "chunks[0].key: ", 1),
        (|full| full["kind"] = json!("incremental"), "parent_manifest: ", 1),
        (|full| full["writer"] = json!("somebody else"), "parent_manifest_sha256: ", 2),
    ];
    for (change, word, whole) in cases {
        let place = Place::new();
        let keys = two_generations(&place).await;
        edit(&place, &keys[0], change).await;
        let (points, status) = listed(&place, &[]).await;
        assert_eq!(status, Status::Data, "{word}");
        let problems: Vec<_> =
            points.iter().filter_map(|point| point["problem"].as_str()).collect();
        assert!(problems.iter().any(|problem| problem.contains(word)), "{problems:?}, {word}");
        assert_eq!(problems.len(), 4 - whole, "{word}");
        assert_eq!(
            points.iter().filter(|point| point["complete"] == true).count(),
            whole,
            "{word}"
        );
    }
}

#[tokio::test]
async fn a_chain_that_strays_into_another_subvolume_is_broken_and_lists_nothing_of_it() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    let away = keys[0].replace("/data/", "/home/");
    let mut home: Value = serde_json::from_slice(&fs::read(place.file(&keys[0])).unwrap()).unwrap();
    home["subvolume"] = json!("home");
    home["backup"] = Value::Null;
    place.put(&away, home.to_string()).await;
    edit(&place, &keys[1], |it| it["parent_manifest"] = json!(away)).await;
    let (points, status) = listed(&place, &[data()]).await;
    assert_eq!((points.len(), status), (4, Status::Data));
    assert!(points.iter().all(|point| point["subvolume"] == "data"));
    let problem = points[1]["problem"].as_str().unwrap();
    assert!(
        problem.contains("parent_manifest: ") && problem.contains("subvolume home"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_loop_is_found_wherever_the_look_begins() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    for (child, parent) in [(0, 2), (1, 0), (2, 1)] {
        edit(&place, &keys[child], |it| {
            it["kind"] = json!("incremental");
            it["parent_manifest"] = json!(keys[parent]);
            for field in ["backup", "parent_manifest_sha256"] {
                it[field] = Value::Null;
            }
            it["snapshot"]["parent_uuid"] = Value::Null;
        })
        .await;
    }
    let (points, status) = listed(&place, &[]).await;
    assert_eq!(status, Status::Data);
    let problems: Vec<_> = points.iter().filter_map(|point| point["problem"].as_str()).collect();
    assert_eq!(problems.len(), 3);
    assert_eq!(problems.iter().filter(|it| it.contains("comes back to itself")).count(), 1);
}

#[tokio::test]
async fn a_pointer_that_leads_nowhere_hides_nothing() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    let pointer = "host/subvol/data/current.json";
    fs::remove_file(place.file(&keys[3])).unwrap();
    let (points, status) = listed(&place, &[]).await;
    assert_eq!((points.len(), status), (3, Status::Data));
    place.put(pointer, "{").await;
    let (points, status) = listed(&place, &[]).await;
    assert_eq!((points.len(), status), (3, Status::Data));
    fs::remove_file(place.file(pointer)).unwrap();
    assert_eq!(listed(&place, &[]).await.1, Status::Done);
}

#[tokio::test]
async fn archives_of_the_existing_program_are_listed_wherever_their_chunks_lie() {
    let place = Place::new();
    let key = "host/subvol/data/full/manifest-20260117T220511Z.json";
    let chunk = "host/elsewhere/chunk-20260117T220511Z-0.bin";
    let manifest = json!({
        "version": 1, "subvolume": "data", "kind": "full", "created_at": "20260117T220511Z",
        "snapshot": { "name": "x", "path": "/snap/x", "uuid": null, "parent_uuid": null },
        "parent_manifest": null, "total_bytes": 3, "chunk_size": 3,
        "chunks": [{ "key": chunk, "size": 3, "etag": null,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }],
        "s3": { "storage_class": "DEEP_ARCHIVE" },
    });
    place.put(key, manifest.to_string()).await;
    let (points, _) = listed(&place, &[data()]).await;
    assert_eq!(points[0]["missing"], json!([chunk]));
    assert_eq!(points[0]["storage_class"], "DEEP_ARCHIVE", "as the manifest says");
    place.put(chunk, "abc").await;
    let (points, status) = listed(&place, &[data()]).await;
    assert_eq!((&points[0]["complete"], status), (&json!(true), Status::Done));
    assert_eq!(points[0]["storage_class"], "STANDARD", "as the store says");
    place.put(key, "").await;
    assert_eq!(listed(&place, &[]).await.0[0]["created_at"], "2026-01-17T22:05:11Z");
}

#[tokio::test]
async fn the_table_is_aligned_and_says_what_is_wrong() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    fs::remove_file(place.file(&format!("{}/chunks/part-00001.bin", folder(&keys[1])))).unwrap();
    place.put(&keys[2], "{").await;
    let mut out = Vec::new();
    list(&place.archive, &[], Form::Table, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let column = lines[0].find("STATE").unwrap();
    let states: Vec<_> = lines[1..].iter().map(|line| &line[column..]).collect();
    assert_eq!(states, ["complete", "1 object missing", "broken", "complete, current"]);
    let time = "2026-01-02T02:00:00Z".parse::<jiff::Timestamp>().unwrap();
    let local = time.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let cells: Vec<_> = lines[2].split_whitespace().take(8).collect();
    assert_eq!(cells, ["data", &local, "incremental", "2.5", "kB", "2", "(5.0", "kB)"]);
}

async fn found(place: &Place, time: &str) -> Result<String, String> {
    let moment = Moment::parse_in(time, &TimeZone::UTC).unwrap();
    match at(&place.archive, &data(), &moment).await {
        Ok(key) => Ok(key.to_string()),
        Err(error) => {
            assert_eq!(status_of(&error), Status::Data);
            Err(format!("{error:#}"))
        }
    }
}

#[tokio::test]
async fn a_time_means_the_newest_backup_that_is_not_younger() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    for (time, at) in [
        ("2026-01-01T02:00:00Z", 0),
        ("2026-01-01", 0),
        ("2026-01-02T01:59:59Z", 0),
        ("2026-01-02T01:59Z", 0),
        ("2026-01-02T02:00Z", 1),
        ("2026-01-02T03:00:00+01:00", 1),
        ("2026-01-02T02:59:59+01:00", 0),
        ("2026-01-03", 2),
        ("2030-01-01", 3),
    ] {
        assert_eq!(found(&place, time).await.as_ref(), Ok(&keys[at]), "{time}");
    }
    let said = found(&place, "2026-01-01T01:59:59Z").await.unwrap_err();
    assert!(said.contains("the oldest is of 2026-01-01T"), "{said}");
}

#[tokio::test]
async fn a_backup_that_no_pointer_names_yet_counts() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    fs::remove_file(place.file("host/subvol/data/current.json")).unwrap();
    assert_eq!(found(&place, "2026-01-05").await, Ok(keys[3].clone()));
}

#[tokio::test]
async fn no_older_backup_takes_the_place_of_one_that_cannot_be_read() {
    let place = Place::new();
    let keys = two_generations(&place).await;
    place.put(&keys[2], "{").await;
    assert_eq!(found(&place, "2026-01-02").await, Ok(keys[1].clone()));
    assert_eq!(found(&place, "2026-01-04").await, Ok(keys[3].clone()));
    let said = found(&place, "2026-01-03").await.unwrap_err();
    assert!(said.contains(&keys[2]) && said.contains("ask for 2026-01-02T"), "{said}");
}
