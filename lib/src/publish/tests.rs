//! Publishing into a real directory store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::chain::{Selected, resolve};
use crate::cli::status_of;
use crate::record::{Hash, to_line};
use crate::testing::{Backup, Faulty, Place, When, archive, finished};

/// The backup that the pointer names, whole.
async fn restorable(place: &Place) -> Vec<String> {
    let newest = Selected::Newest("data".parse().unwrap());
    let links = resolve(&place.archive, &newest, false).await.unwrap();
    let current = chain::current(&place.archive, &"data".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(current.chain.missing, Vec::<String>::new());
    links.into_iter().map(|link| link.key.to_string()).collect()
}

async fn refused(place: &Place, records: &[u8]) -> (Status, String) {
    let before = place.pointer();
    let result = match finished(records) {
        Ok(finished) => publish(&place.archive, &finished, "STANDARD").await,
        Err(error) => Err(error),
    };
    let error = result.expect_err("these records must be refused");
    assert_eq!(place.pointer(), before, "the pointer moved: {error}");
    (status_of(&error), format!("{error:#}"))
}

/// The records with one line changed; `None` leaves it out.
fn edited(records: &[u8], line: usize, edit: impl FnOnce(&mut Value) -> bool) -> Vec<u8> {
    let mut lines: Vec<String> =
        std::str::from_utf8(records).unwrap().lines().map(str::to_owned).collect();
    let mut value: Value = serde_json::from_str(&lines[line]).unwrap();
    match edit(&mut value) {
        true => lines[line] = value.to_string(),
        false => drop(lines.remove(line)),
    }
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

fn set<'a>(pointer: &'a str, to: Value) -> impl FnOnce(&mut Value) -> bool + 'a {
    move |value| {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[field] = to;
        true
    }
}

#[tokio::test]
async fn a_full_and_its_incrementals_become_one_chain() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    assert_eq!((full.chain.length, full.chain.size), (1, 2500));
    let second = place.publish(&Backup::new(2, Some(&full))).await;
    let third = place.publish(&Backup::new(3, Some(&second))).await;
    assert_eq!((third.chain.length, third.chain.size), (3, 7500));
    assert_eq!(third.chain.full_manifest_key, full.manifest_key);
    let keys = [&full, &second, &third].map(|one| one.manifest_key.clone());
    assert_eq!(restorable(&place).await, keys);
    assert_eq!(
        chain::current(&place.archive, &third.subvolume).await.unwrap(),
        Some(third),
        "publish reports what a reader finds"
    );
}

#[tokio::test]
async fn the_part_digests_lie_beside_the_manifest() {
    let place = Place::new();
    let current = place.publish(&Backup::new(1, None)).await;
    let links = resolve(&place.archive, &Selected::Newest(current.subvolume), true).await.unwrap();
    let parts = links[0].manifest.parts.clone().unwrap();
    let stored = std::fs::read(place.file(&parts.key)).unwrap();
    let bytes = Backup::new(1, None).bytes();
    let expected: Vec<u8> = bytes
        .chunks(crate::testing::CHUNK as usize)
        .flat_map(|chunk| chunk.chunks(crate::testing::PART as usize))
        .flat_map(|part| *blake3::hash(part).as_bytes())
        .collect();
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn instructions_for_the_whole_chain_lie_beside_the_manifest_and_stay() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let records = finished(&place.upload(&Backup::new(2, Some(&full))).await).unwrap();
    let next = publish(&place.archive, &records, "STANDARD").await.unwrap();
    let at = place.file(&next.manifest_key.replace("manifest.json", "RESTORE.txt"));
    let text = std::fs::read_to_string(&at).unwrap();
    assert!(text.contains("/full/20260101T020000Z-00000001/chunks/part-00002.bin'"), "{text}");
    assert!(text.contains("/incremental/20260102T020000Z-00000002/chunks/part-00002.bin'"));

    // By an earlier version: the manifest is there, and the words stay.
    std::fs::write(&at, "other words").unwrap();
    publish(&place.archive, &records, "STANDARD").await.unwrap();
    assert_eq!(std::fs::read_to_string(&at).unwrap(), "other words");
    // By an attempt that was given up before its manifest.
    std::fs::remove_file(place.file(&next.manifest_key)).unwrap();
    let Current { manifest_key, kind, created_at, .. } = &full;
    let pointer = json!({ "manifest_key": manifest_key, "kind": kind, "created_at": created_at });
    place.put("host/subvol/data/current.json", pointer.to_string()).await;
    publish(&place.archive, &records, "STANDARD").await.unwrap();
    assert_eq!(std::fs::read_to_string(&at).unwrap(), text, "the same bytes");
}

#[tokio::test]
async fn publishing_the_same_records_again_changes_nothing() {
    let place = Place::new();
    let records = place.upload(&Backup::new(1, None)).await;
    let mut printed = Vec::new();
    for _ in 0..2 {
        let mut out = Vec::new();
        publish_records(&place.archive, &*records, "STANDARD", &mut out).await.unwrap();
        printed.push(out);
    }
    assert_eq!(printed[0], printed[1]);
    assert!(printed[0].ends_with(b"{\"type\":\"end\",\"backups\":1}\n"));
}

#[tokio::test]
async fn wherever_publishing_stops_the_pointer_names_a_backup_that_restores() {
    for when in [When::Before, When::After] {
        for call in 0.. {
            let place = Place::new();
            let full = place.publish(&Backup::new(1, None)).await;
            let records = place.upload(&Backup::new(2, Some(&full))).await;
            let finished = finished(&records).unwrap();
            let old = place.pointer();
            let faulty = Faulty::failing(place.archive.store.clone(), call, when);
            let cut = publish(&archive(Arc::new(faulty)), &finished, "STANDARD").await;
            let moved = place.pointer() != old;
            assert_eq!(restorable(&place).await.len(), if moved { 2 } else { 1 });
            let Err(error) = cut else {
                assert!(moved && call > 8, "{call} calls are too few to be all");
                break;
            };
            assert!(!moved || when == When::After, "call {call}: moved although it never arrived");
            assert_eq!(status_of(&error), Status::Unavailable, "{error:#}");
            publish(&place.archive, &finished, "STANDARD").await.unwrap();
            assert_eq!(restorable(&place).await.len(), 2, "after a rerun");
        }
    }
}

#[tokio::test]
async fn of_two_that_publish_at_the_same_time_exactly_one_wins() {
    for incremental in [false, true] {
        let place = Place::new();
        let full = place.publish(&Backup::new(1, None)).await;
        let parent = incremental.then_some(&full);
        let one = finished(&place.upload(&Backup::new(2, parent)).await).unwrap();
        let other = finished(&place.upload(&Backup::new(3, parent)).await).unwrap();
        // Each has read the pointer before either moves it.
        let meet = Arc::new(tokio::sync::Barrier::new(2));
        let at = |meet: &Arc<tokio::sync::Barrier>| {
            let store = place.archive.store.clone();
            archive(Arc::new(Faulty::meeting(store, "host/subvol/data/current.json", meet.clone())))
        };
        let (first, second) = (at(&meet), at(&meet));
        let (one, other) =
            tokio::join!(publish(&first, &one, "STANDARD"), publish(&second, &other, "STANDARD"));
        let (winner, loser) = match (one, other) {
            (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
            both => panic!("not one of two: {both:?}"),
        };
        assert_eq!(status_of(&loser), Status::TryLater, "{loser:#}");
        assert!(loser.to_string().contains("run the backup again"), "{loser:#}");
        assert_eq!(restorable(&place).await.last(), Some(&winner.manifest_key));
    }
}

#[tokio::test]
async fn what_kept_the_clean_up_away_is_gone_once_the_pointer_moved() {
    let place = Place::new();
    let key = "host/subvol/data/full/20260101T020000Z-00000001/intent.json";
    let records = finished(&place.upload(&Backup::new(1, None)).await).unwrap();
    place.put(key, "{}").await;
    publish(&place.archive, &records, "STANDARD").await.unwrap();
    assert!(!place.file(key).exists());
    // After a crash between the two.
    place.put(key, "{}").await;
    publish(&place.archive, &records, "STANDARD").await.unwrap();
    assert!(!place.file(key).exists());
}

#[tokio::test]
async fn an_incremental_whose_parent_is_no_longer_current_is_refused() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let late = place.upload(&Backup::new(2, Some(&full))).await;
    let first = place.publish(&Backup::new(3, Some(&full))).await;
    let (status, said) = refused(&place, &late).await;
    assert_eq!(status, Status::TryLater);
    assert!(said.contains(&first.manifest_key) && said.contains(&full.manifest_key), "{said}");
}

#[tokio::test]
async fn an_incremental_into_an_empty_archive_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    let full = other.publish(&Backup::new(1, None)).await;
    let records = place.upload(&Backup::new(2, Some(&full))).await;
    assert_eq!(refused(&place, &records).await.0, Status::TryLater);
}

#[tokio::test]
async fn an_old_full_is_not_published_over_a_newer_backup() {
    let place = Place::new();
    let records = place.upload(&Backup::new(1, None)).await;
    publish(&place.archive, &finished(&records).unwrap(), "STANDARD").await.unwrap();
    place.publish(&Backup::new(2, None)).await;
    let (status, said) = refused(&place, &records).await;
    assert_eq!(status, Status::TryLater);
    assert!(said.contains("the pointer stays"), "{said}");
}

#[tokio::test]
async fn a_lost_race_for_the_pointer_is_told_and_changes_nothing() {
    let place = Place::new();
    let winner = place.upload(&Backup::new(1, None)).await;
    publish(&place.archive, &finished(&winner).unwrap(), "STANDARD").await.unwrap();
    let before = place.pointer();
    let write = write::Exactly { archive: &place.archive, storage_class: "STANDARD" };
    let key = chain::pointer_key(&place.archive, &"data".parse().unwrap()).unwrap();
    let error = write.point(&key, "other".into(), Condition::IfAbsent).await.unwrap_err();
    assert_eq!(status_of(&error), Status::TryLater);
    let error = write.create(&key, "other".into(), "application/json").await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
    assert_eq!(place.pointer(), before);
    let ours = before.clone().unwrap();
    write.point(&key, ours.into(), Condition::IfAbsent).await.unwrap();
}

#[tokio::test]
async fn records_that_do_not_agree_are_refused_before_anything_is_written() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let good = place.upload(&Backup::new(2, Some(&full))).await;
    let zeros = "0".repeat(64);
    let cut = |lines: usize| edited(&good, lines, |_| false);
    for (records, word) in [
        (Vec::new(), "without an end"),
        (cut(4), "without an end"),
        (cut(0), "a run record must come first"),
        (cut(1), "chunk 1 where chunk 0 should be"),
        (cut(3), "add up to 2"),
        ([good.clone(), good.clone()].concat(), "after the end"),
        (edited(&good, 2, set("/index", json!(0))), "chunk 0 where chunk 1"),
        (edited(&good, 2, set("/size", json!(999))), "only the last chunk"),
        (edited(&good, 2, set("/size", json!(0))), "no chunk is ever empty"),
        (edited(&good, 2, set("/size", json!(1001))), "only the last chunk"),
        (edited(&good, 3, set("/size", json!(499))), "2500"),
        (edited(&good, 2, set("/sha256", json!(zeros))), "digest"),
        (edited(&good, 2, set("/sha256", json!(null))), "sha256: it is missing"),
        (edited(&good, 0, set("/hash", json!("blake3"))), "blake3: it is missing"),
        (edited(&good, 2, set("/parts", json!([]))), "part digests"),
        (edited(&good, 1, set("/parts", json!([]))), "part digests"),
        (edited(&good, 1, set("/parts", json!([zeros]))), "part digests"),
        (edited(&good, 4, set("/chunks", json!(4))), "it says 4 chunks"),
        (edited(&good, 4, set("/stream_sha256", json!(zeros))), "digest"),
        (edited(&good, 0, set("/format", json!("raw"))), "bts-get < RECORDS"),
        (edited(&good, 0, set("/filter", json!([["zstd"]]))), "filter"),
        (edited(&good, 0, set("/kind", json!("full"))), "its id says otherwise"),
        (edited(&good, 0, set("/parent_manifest", json!(null))), "--plan"),
        (edited(&good, 0, set("/snapshot/parent_uuid", json!(null))), "does not name its parent"),
        (edited(&good, 0, set("/snapshot/path", json!("/snap/.."))), "snapshot.path"),
    ] {
        let (status, said) = refused(&place, &records).await;
        assert_eq!(status, Status::Data, "{said}");
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    }
    assert!(finished(&good).is_ok());
}

#[tokio::test]
async fn a_full_that_names_a_parent_is_refused() {
    let place = Place::new();
    let good = place.upload(&Backup::new(1, None)).await;
    let bad = edited(&good, 0, set("/parent_manifest", json!("host/x")));
    assert!(refused(&place, &bad).await.1.contains("a full that names a parent"));
}

#[tokio::test]
async fn an_earlier_stage_s_failure_is_handed_on() {
    let said = crate::record::ErrorRecord {
        program: "bts-put".into(),
        status: Status::Unavailable.code(),
        code: "unavailable".into(),
        message: "no answer".into(),
    };
    let line = to_line(&said).unwrap() + "\n";
    assert_eq!(status_of(&finished(line.as_bytes()).unwrap_err()), Status::Unavailable);
}

#[tokio::test]
async fn chunks_that_are_not_what_the_records_say_are_refused() {
    let place = Place::new();
    let good = place.upload(&Backup::new(1, None)).await;
    let key = "host/subvol/data/full/20260101T020000Z-00000001/chunks/part-00001.bin";
    for (records, status, word) in [
        (edited(&good, 2, set("/etag", json!("other"))), Status::Data, "etag"),
        (
            edited(&good, 2, set("/key", json!("host/subvol/data/other.bin"))),
            Status::Data,
            "outside of its backup's folder",
        ),
    ] {
        let (found, said) = refused(&place, &records).await;
        assert_eq!(found, status, "{said}");
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    }
    let unseen = edited(&good, 2, set("/etag", json!(null)));
    std::fs::write(place.file(key), [0; 999]).unwrap();
    let (status, said) = refused(&place, &unseen).await;
    assert_eq!(status, Status::Data);
    assert!(said.contains("size: 999 in the store, 1000"), "{said}");
    std::fs::remove_file(place.file(key)).unwrap();
    let (status, said) = refused(&place, &unseen).await;
    assert_eq!(status, Status::TryLater);
    assert!(said.contains("run the backup again"), "{said}");
}

#[tokio::test]
async fn a_parent_that_changed_or_is_another_snapshot_is_refused() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let good = place.upload(&Backup::new(2, Some(&full))).await;
    let other = "00000000-0000-0000-0000-0000000000ff";
    let zeros = "0".repeat(64);
    for (pointer, value) in
        [("/parent_manifest_sha256", json!(zeros)), ("/snapshot/parent_uuid", json!(other))]
    {
        let (status, said) = refused(&place, &edited(&good, 0, set(pointer, value))).await;
        assert_eq!(status, Status::Data);
        assert!(said.contains(pointer.rsplit('/').next().unwrap()), "{said}");
    }
}

#[tokio::test]
async fn nothing_is_published_on_a_chain_that_lost_an_object() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let records = place.upload(&Backup::new(2, Some(&full))).await;
    let lost = "host/subvol/data/full/20260101T020000Z-00000001/chunks/part-00000.bin";
    std::fs::remove_file(place.file(lost)).unwrap();
    let (status, said) = refused(&place, &records).await;
    assert_eq!(status, Status::Data);
    assert!(said.contains(lost), "{said}");
}

#[tokio::test]
async fn a_manifest_by_another_run_is_never_replaced() {
    let place = Place::new();
    let records = place.upload(&Backup::new(1, None)).await;
    let key = "host/subvol/data/full/20260101T020000Z-00000001/manifest.json";
    place.put(key, "someone else's").await;
    let (status, said) = refused(&place, &records).await;
    assert_eq!(status, Status::Data);
    assert!(said.contains("other bytes"), "{said}");
    assert_eq!(std::fs::read(place.file(key)).unwrap(), b"someone else's");
}

#[tokio::test]
async fn blake3_chunks_carry_no_sha256_so_that_older_readers_stop() {
    let place = Place::new();
    let current = place.publish(&Backup { hash: Hash::Blake3, ..Backup::new(1, None) }).await;
    let text = std::fs::read_to_string(place.file(&current.manifest_key)).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert!(manifest["chunks"][0].get("sha256").is_none());
    assert!(manifest["chunks"][0]["blake3"].is_string());
}
