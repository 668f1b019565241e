//! Publishing from a journal, in a directory store.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::cli::status_of;
use crate::record::to_line;
use crate::testing::{Backup, Faulty, Place, When, archive, finished};

/// A journal in a folder of its own.
struct Noted {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Noted {
    /// What an upload prints is also what its journal says, but for the order.
    fn new(records: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.jsonl");
        fs::write(&path, records).unwrap();
        Self { _dir: dir, path }
    }

    async fn publish(&self, archive: &Archive) -> Result<Vec<u8>, anyhow::Error> {
        let mut out = Vec::new();
        publish_noted(archive, &self.path, "STANDARD", &mut out).await.map(|()| out)
    }

    async fn refused(&self, archive: &Archive) -> (Status, String) {
        let error = self.publish(archive).await.unwrap_err();
        (status_of(&error), format!("{error:#}"))
    }

    fn stage(&self) -> Stage {
        Past::load(&self.path).unwrap().unwrap().stage()
    }
}

/// The records with the objects in the opposite order, as they may be completed.
fn reversed(records: &[u8]) -> Vec<u8> {
    let mut lines: Vec<_> = std::str::from_utf8(records).unwrap().lines().collect();
    let end = lines.len() - 1;
    lines[1..end].reverse();
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

#[tokio::test]
async fn a_journal_is_published_as_the_uploads_own_records_are() {
    let place = Place::new();
    let records = place.upload(&Backup::new(1, None)).await;
    let noted = Noted::new(&reversed(&records));
    let out = noted.publish(&place.archive).await.unwrap();
    let manifest = "host/subvol/data/full/20260101T020000Z-00000001/manifest.json";
    let (bytes, pointer) = (fs::read(place.file(manifest)).unwrap(), place.pointer());
    let mut again = Vec::new();
    super::super::publish_records(&place.archive, &*records, "STANDARD", &mut again).await.unwrap();
    assert_eq!(out, again);
    assert_eq!(fs::read(place.file(manifest)).unwrap(), bytes);
    assert_eq!(place.pointer(), pointer);
    assert_eq!(noted.stage(), Stage::Uploaded, "the journal is for bts-plan to remove");
}

#[tokio::test]
async fn what_is_not_stored_whole_is_not_published() {
    let place = Place::new();
    let records = place.upload(&Backup::new(1, None)).await;
    let text = String::from_utf8(records.clone()).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let given_up = text.clone() + &to_line(&Abandoned { reason: "why".into() }).unwrap() + "\n";
    for (journal, status, words) in [
        (String::new(), Status::TryLater, "no backup waits to be published"),
        (lines[..lines.len() - 1].concat(), Status::TryLater, "its upload is not finished"),
        (given_up, Status::TryLater, "it is given up, why"),
        // An end that came too early is none.
        (
            [&lines[..2], &lines[lines.len() - 1..]].concat().concat(),
            Status::TryLater,
            "its upload is not finished",
        ),
        (text.replace("s3://bucket/host", "s3://other"), Status::Config, "is stored in s3://other"),
    ] {
        let (found, said) = Noted::new(journal.as_bytes()).refused(&place.archive).await;
        assert_eq!(found, status, "{said}");
        assert!(said.contains(words), "{said:?} lacks {words:?}");
    }
    let missing = Noted { path: "/none/such.jsonl".into(), ..Noted::new(b"") };
    assert_eq!(missing.refused(&place.archive).await.0, Status::TryLater);
    assert_eq!(place.pointer(), None);
    let noted = Noted::new(&records);
    let (_held, _) = Journal::open(&noted.path).unwrap();
    let (status, said) = noted.refused(&place.archive).await;
    assert_eq!(status, Status::TryLater);
    assert!(said.contains("another bts-put"), "{said}");
}

#[tokio::test]
async fn a_chunk_that_is_gone_has_to_be_sent_again_and_no_other() {
    let place = Place::new();
    let noted = Noted::new(&place.upload(&Backup::new(1, None)).await);
    fs::remove_file(place.file(CHUNK)).unwrap();
    let (status, said) = noted.refused(&place.archive).await;
    assert_eq!(status, Status::TryLater);
    assert!(said.contains("part-00001.bin is gone"), "{said}");
    let past = Past::load(&noted.path).unwrap().unwrap();
    assert_eq!(past.stage(), Stage::Unfinished);
    assert_eq!(past.objects.keys().collect::<Vec<_>>(), [&0, &2]);
}

#[tokio::test]
async fn a_run_of_which_a_chunk_has_changed_is_given_up() {
    let place = Place::new();
    let noted = Noted::new(&place.upload(&Backup::new(1, None)).await);
    fs::write(place.file(CHUNK), "other").unwrap();
    assert_eq!(noted.refused(&place.archive).await.0, Status::Data);
    let Stage::GivenUp(why) = noted.stage() else { panic!("{:?}", noted.stage()) };
    assert!(why.contains("part-00001.bin"), "{why}");
}

const CHUNK: &str = "host/subvol/data/full/20260101T020000Z-00000001/chunks/part-00001.bin";

#[tokio::test]
async fn a_run_that_is_refused_five_times_is_given_up_by_the_plan() {
    let place = Place::new();
    let full = place.publish(&Backup::new(1, None)).await;
    let noted = Noted::new(&place.upload(&Backup::new(2, Some(&full))).await);
    place.publish(&Backup::new(3, Some(&full))).await;
    for attempt in 1..=5 {
        assert_eq!(noted.refused(&place.archive).await.0, Status::TryLater);
        assert_eq!(Past::load(&noted.path).unwrap().unwrap().fruitless, attempt);
        assert_eq!(noted.stage(), Stage::Uploaded);
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_the_run_nothing() {
    for when in [When::Before, When::After] {
        for call in 0.. {
            let place = Place::new();
            let records = place.upload(&Backup::new(1, None)).await;
            let noted = Noted::new(&records);
            let faulty = Faulty::failing(place.archive.store.clone(), call, when);
            let faulty = Archive { url: place.archive.url.clone(), ..archive(Arc::new(faulty)) };
            if noted.publish(&faulty).await.is_ok() {
                assert!(call > 5, "{call} calls are too few to be all");
                break;
            }
            assert_eq!(fs::read(&noted.path).unwrap(), records);
            noted.publish(&place.archive).await.unwrap();
            let manifest = place.pointer().unwrap();
            publish(&place.archive, &finished(&records).unwrap(), "STANDARD").await.unwrap();
            assert_eq!(place.pointer().unwrap(), manifest);
        }
    }
}
