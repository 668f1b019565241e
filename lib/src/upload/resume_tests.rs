//! Uploads that die, and the attempts that go on from there, on a real directory.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::ledger::Ledger;
use super::tests::{BACKUP, CHUNK, bytes, framed, options, run};
use super::{Options, upload};
use crate::cli::status_of;
use crate::exit::Status;
use crate::journal::{Journal, Past, Stage};
use crate::record::{Frames, Reader, StreamEnd};
use crate::store::dir::DirStore;
use crate::store::{Archive, Shared, Url};
use crate::testing::{Completion, Faulty};

/// Three chunks: three parts, three parts, one.
const LEN: usize = 2 * CHUNK + 12345;
const PARTS: u32 = 7;

/// An archive and a journal that outlive attempts.
struct Place {
    dir: tempfile::TempDir,
}

/// What an attempt came to.
struct Attempt {
    /// How many parts it sent.
    parts: u32,
    records: Vec<Value>,
    end: anyhow::Result<StreamEnd>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("archive")).unwrap();
        Self { dir }
    }

    fn archive_dir(&self) -> PathBuf {
        self.dir.path().join("archive")
    }

    fn store(&self) -> Shared {
        Arc::new(DirStore::new(&self.archive_dir()))
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("data.jsonl")
    }

    fn past(&self) -> Past {
        Past::load(&self.journal()).unwrap().unwrap()
    }

    fn options(&self) -> Options {
        // One at a time, so that none is in flight when another one fails.
        Options { journal: Some(self.journal()), concurrency: 1, ..options() }
    }

    async fn attempt(&self, bytes: &[u8], store: Faulty) -> Attempt {
        self.attempt_with(bytes, store, &self.options()).await
    }

    async fn attempt_with(&self, bytes: &[u8], store: Faulty, options: &Options) -> Attempt {
        let store = Arc::new(store);
        let archive = Archive { store: store.clone(), url: Url::Dir(self.archive_dir()) };
        let (records, end) = run(&archive, framed(bytes), options).await;
        // What was abandoned may end a little later than who abandoned it.
        while options.journal.as_deref().is_some_and(|path| Journal::open(path).is_err()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Attempt { parts: store.parts(), records, end }
    }

    /// Dies when `parts` parts are stored.
    async fn dies_after(&self, bytes: &[u8], parts: u32) {
        let attempt = self.attempt(bytes, Faulty::taking_parts(self.store(), parts)).await;
        assert_eq!(status_of(&attempt.end.unwrap_err()), Status::Unavailable);
        assert_eq!(attempt.parts, parts);
    }

    /// Succeeds, and leaves in the archive what `bytes` are and no upload.
    async fn succeeds(&self, bytes: &[u8], store: Faulty) -> Attempt {
        let attempt = self.attempt(bytes, store).await;
        attempt.end.as_ref().unwrap();
        self.holds(bytes).await;
        attempt
    }

    async fn holds(&self, bytes: &[u8]) {
        let chunks = bytes.chunks(CHUNK).enumerate();
        for (index, chunk) in chunks {
            let stored = std::fs::read(self.chunk(index)).unwrap();
            assert!(stored == chunk, "chunk {index} differs");
        }
        assert_eq!(self.store().list_uploads("").await.unwrap(), []);
    }

    fn chunk(&self, index: usize) -> PathBuf {
        self.archive_dir().join(format!("{BACKUP}/chunks/part-{index:05}.bin"))
    }
}

/// A journal without the checksums of its lines, so that it can be changed.
fn unsealed(journal: &Path) -> String {
    let text = std::fs::read_to_string(journal).unwrap();
    let lines = text.lines().map(|line| line.split_once(",\"sum\":").unwrap().0.to_owned() + "}\n");
    lines.collect()
}

fn sound(place: &Place) -> Faulty {
    Faulty::sound(place.store())
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_died_after_any_part_sends_only_the_others() {
    let all = bytes(LEN);
    let whole = Place::new().succeeds_in_a_new_place(&all).await;
    for parts in 0..PARTS {
        let place = Place::new();
        place.dies_after(&all, parts).await;
        assert_eq!(place.past().stage(), Stage::Unfinished);
        let attempt = place.succeeds(&all, sound(&place)).await;
        assert_eq!(attempt.parts, PARTS - parts, "after {parts}");
        assert_eq!(place.past().stage(), Stage::Uploaded);
        let objects = |attempt: &Attempt| -> Vec<Value> {
            let objects = attempt.records.iter().filter(|record| record["type"] == "object");
            objects.map(|object| object["parts"].clone()).collect()
        };
        assert_eq!(objects(&attempt), objects(&whole), "after {parts}");
    }
}

impl Place {
    async fn succeeds_in_a_new_place(self, bytes: &[u8]) -> Attempt {
        self.succeeds(bytes, sound(&self)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_upload_that_is_run_again_sends_nothing() {
    let (place, all) = (Place::new(), bytes(LEN));
    let first = place.succeeds(&all, sound(&place)).await;
    let second = place.succeeds(&all, sound(&place)).await;
    assert_eq!((first.parts, second.parts), (PARTS, 0));
    assert_eq!(first.records, second.records, "the run and its objects are the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_whose_bytes_changed_is_sent_again_and_no_other() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 2).await;
    let stored = place.past().begun[&0].parts.keys().copied().next().unwrap();
    let changed = flipped(&all, (stored as usize - 1) * (5 << 20) + 77);
    let attempt = place.succeeds(&changed, sound(&place)).await;
    assert_eq!(attempt.parts, PARTS - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_became_shorter_or_longer_is_stored_as_it_is_now() {
    for (before, after) in [(LEN, CHUNK - 5), (CHUNK + 12345, LEN), (CHUNK - 7, CHUNK)] {
        let place = Place::new();
        // Dies before its last chunk is complete.
        let parts = before.div_ceil(5 << 20) as u32 - 1;
        place.dies_after(&bytes(before), parts.min(2)).await;
        place.succeeds(&bytes(after), sound(&place)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_chunk_whose_bytes_changed_ends_the_run() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 5).await;
    assert!(place.past().objects.contains_key(&0), "the first chunk is complete");
    let attempt = place.attempt(&flipped(&all, 99), sound(&place)).await;
    let error = attempt.end.unwrap_err();
    assert_eq!(status_of(&error), Status::TryLater);
    assert!(error.to_string().contains("part-00000.bin is stored"), "{error}");
    assert!(matches!(place.past().stage(), Stage::GivenUp(_)));
    assert_eq!(place.store().list_uploads("").await.unwrap(), [], "its uploads are aborted");
    // The same backup cannot be made any more.
    let attempt = place.attempt(&all, sound(&place)).await;
    assert_eq!(status_of(&attempt.end.unwrap_err()), Status::Usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_replaced_ends_the_run_and_stays() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 5).await;
    std::fs::write(place.chunk(0), b"not ours").unwrap();
    let attempt = place.attempt(&all, sound(&place)).await;
    assert_eq!(status_of(&attempt.end.unwrap_err()), Status::TryLater);
    assert_eq!(std::fs::read(place.chunk(0)).unwrap(), b"not ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_lost_is_sent_again() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 5).await;
    std::fs::remove_file(place.chunk(0)).unwrap();
    for upload in place.past().begun.into_values() {
        place.store().abort_upload(&upload.upload).await.unwrap();
    }
    let attempt = place.succeeds(&all, sound(&place)).await;
    assert_eq!(attempt.parts, PARTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_the_store_has_otherwise_is_sent_again() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 2).await;
    let text = unsealed(&place.journal());
    let etag = place.past().begun[&0].parts.values().next().unwrap().etag.clone();
    std::fs::write(place.journal(), text.replacen(&etag, "another", 1)).unwrap();
    let attempt = place.succeeds(&all, sound(&place)).await;
    assert_eq!(attempt.parts, PARTS - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_complete_that_is_lost_is_told_from_lost_parts() {
    let (place, all) = (Place::new(), bytes(LEN));
    let lost = [Completion::AnswerLost; 3];
    place.succeeds(&all, Faulty::completing(place.store(), &lost)).await;

    let place = Place::new();
    let eaten = Faulty::completing(place.store(), &[Completion::PartsEaten]);
    let attempt = place.attempt(&all, eaten).await;
    let error = attempt.end.unwrap_err();
    assert_eq!(status_of(&error), Status::TryLater, "{error}");
    assert!(error.to_string().contains("its parts are lost"), "{error}");
    let attempt = place.succeeds(&all, sound(&place)).await;
    assert!(attempt.parts >= 1 && attempt.parts <= PARTS, "{}", attempt.parts);
}

/// Whoever dies after Complete and before its note finds the object there.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nobody_noted_is_recognised_by_its_bytes() {
    let all = bytes(LEN);
    for changed in [false, true] {
        let place = Place::new();
        place.dies_after(&all, 5).await;
        // The note of the object, and what came after it, did not survive.
        let text = unsealed(&place.journal());
        let noted = text.find("{\"type\":\"object\"").unwrap();
        let kept: String = text[..noted].to_owned();
        std::fs::write(place.journal(), kept).unwrap();
        let now = if changed { flipped(&all, 5) } else { all.clone() };
        let attempt = place.attempt(&now, sound(&place)).await;
        match changed {
            false => {
                attempt.end.unwrap();
                place.holds(&all).await;
                assert!(attempt.parts < PARTS);
            }
            true => assert_eq!(status_of(&attempt.end.unwrap_err()), Status::TryLater),
        }
    }
}

/// Whatever a journal says of parts: what is published of them is computed anew.
#[tokio::test(flavor = "multi_thread")]
async fn part_digests_that_a_journal_has_wrong_are_not_handed_on() {
    let (place, all) = (Place::new(), bytes(LEN));
    let first = place.succeeds(&all, sound(&place)).await;
    let text = unsealed(&place.journal());
    let right = first.records[1]["parts"][0].as_str().unwrap();
    let wrong = right.chars().rev().collect::<String>();
    std::fs::write(place.journal(), text.replace(right, &wrong)).unwrap();
    let second = place.succeeds(&all, sound(&place)).await;
    assert_eq!(second.records, first.records);
    assert_eq!(place.past().objects[&0].parts[0].to_string(), right, "and noted anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_ended_before_it_stores_anything_is_not_counted() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 5).await;
    assert_eq!(place.past().fruitless, 0);
    place.attempt(&all, Faulty::taking_parts(place.store(), 0)).await.end.unwrap_err();
    assert_eq!(place.past().fruitless, 1, "one that tried");
    let options = place.options();
    let archive = Archive { store: place.store(), url: Url::Dir(place.archive_dir()) };
    // Read to its middle and dropped, as by a signal.
    let half = framed(&all[..CHUNK]);
    let (input, _open) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut &_open, &half[..60_000]).unwrap();
    let frames = Frames::new(Reader::new(BufReader::new(input), "stdin"));
    let ended = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        upload(&archive, frames, &options, Vec::new()),
    );
    assert!(ended.await.is_err());
    assert_eq!(place.past().fruitless, 1, "one that did not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_gone_on_with_is_given_up_once_and_for_all() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 2).await;
    let mut run = place.past().run;
    // As another version of btrfs-progs would make it.
    run.send_version = Some(2);
    let archive = Archive { store: place.store(), url: Url::Dir(place.archive_dir()) };
    let open = Ledger::open(&archive, Some(&place.journal()), &mut run, true).await;
    let refused = open.unwrap_err();
    assert_eq!(refused.status, Status::TryLater);
    assert!(refused.message.contains("the stream or the settings"), "{refused}");
    assert!(matches!(place.past().stage(), Stage::GivenUp(_)));
    assert_eq!(place.store().list_uploads("").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_another_backup_is_replaced_and_its_uploads_are_aborted() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 2).await;
    let other = "subvol/data/full/20260118T220511Z-0a1b2c3e";
    let options = Options { backup: Some(other.parse().unwrap()), ..place.options() };
    let attempt = place.attempt_with(&all, sound(&place), &options).await;
    attempt.end.unwrap();
    assert_eq!(attempt.parts, PARTS);
    assert_eq!(place.past().run.backup.to_string(), other);
    assert_eq!(place.store().list_uploads("").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_make_it_another_run() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 2).await;
    let options = Options { part_size: Some(6 << 20), ..place.options() };
    place.attempt_with(&all, sound(&place), &options).await.end.unwrap();
    place.holds(&all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_nothing_is_left_for_nobody() {
    let (place, all) = (Place::new(), bytes(LEN));
    let options = Options { journal: None, ..place.options() };
    let dying = Faulty::taking_parts(place.store(), 2);
    place.attempt_with(&all, dying, &options).await.end.unwrap_err();
    assert_eq!(place.store().list_uploads("").await.unwrap(), []);
    assert!(!Path::new(&place.journal()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_says_that_the_run_is_alive_until_nobody_can_go_on_with_it() {
    let (place, all) = (Place::new(), bytes(LEN));
    place.dies_after(&all, 1).await;
    let key = format!("{BACKUP}/intent.json").parse().unwrap();
    assert!(place.store().head(&key).await.unwrap().is_some());
    let options = Options { journal: None, ..place.options() };
    let dying = Faulty::taking_parts(place.store(), 1);
    place.attempt_with(&all, dying, &options).await.end.unwrap_err();
    assert_eq!(place.store().head(&key).await.unwrap(), None);
}
