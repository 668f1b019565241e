//! Thaws from a store whose objects go through scripted states.

use std::collections::{BTreeMap, VecDeque};
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::cli::status_of;
use crate::download::{Wanted, read};
use crate::record::Reader;
use crate::store::{Archived, ErrorKind, Thaw, ThawRequest, Vault};
use crate::testing::{Faulty, Place, Thaws, archive, digests};
use crate::time::Time;

const FROZEN: Thaw = Thaw::Frozen;
const THAWING: Thaw = Thaw::Thawing;

fn ready_for(days: i64) -> Thaw {
    let now = Time::now().timestamp();
    let until = now + jiff::SignedDuration::from_hours(24 * days);
    Thaw::Ready { until: Some(Time::truncated(until)) }
}

fn options(patience: Option<u64>) -> Options {
    Options {
        tier: Tier::Standard,
        wrong_tier: Status::Usage,
        days: 14,
        patience: patience.map(Duration::from_secs),
        poll: None,
    }
}

/// A store with an object for each of these, and the list that wants them. The
/// heads of an object show its states one after the other, the last for ever.
struct Scene {
    thaws: Arc<Thaws>,
    archive: Archive,
    wanted: Wanted,
    _place: Place,
}

async fn scene(objects: &[(Vault, &[Thaw])]) -> Scene {
    let place = Place::new();
    let mut heads = BTreeMap::new();
    let mut lines = vec![backup(objects.len())];
    for (index, (vault, states)) in objects.iter().enumerate() {
        let key = format!("host/{index}");
        place.put(&key, vec![7; 10]).await;
        let sha256 = digests(crate::record::Hash::Sha256, &[7; 10]).sha256;
        lines.push(json!({ "type": "object", "index": index, "key": key, "size": 10,
                           "sha256": sha256 }));
        let states: VecDeque<_> =
            states.iter().map(|&thaw| Archived { vault: *vault, thaw }).collect();
        heads.insert(key.parse().unwrap(), states);
    }
    lines.push(json!({ "type": "end", "backups": 1 }));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let wanted = read(&mut Reader::new(Cursor::new(text), "stdin")).unwrap();
    let thaws = Arc::new(Thaws { heads: Mutex::new(heads), ..Thaws::default() });
    let store = Faulty::thawing(place.archive.store.clone(), thaws.clone());
    Scene { thaws, archive: archive(Arc::new(store)), wanted, _place: place }
}

fn backup(objects: usize) -> Value {
    json!({ "type": "backup", "subvolume": "data", "manifest_key": "m", "kind": "full",
            "created_at": "2026-01-01T00:00:00Z", "format": "btrfs-send", "chunks": objects,
            "size": 10 * objects, "storage_class": "STANDARD",
            "snapshot": { "name": "x", "path": "/x" } })
}

impl Scene {
    async fn thaw(&self, options: &Options) -> anyhow::Result<()> {
        let seen = survey(&self.archive, &self.wanted).await?;
        thaw(&self.archive, seen, options).await
    }

    /// What was asked for: the keys' last parts in ascending order, and how.
    fn asked(&self) -> Vec<(String, ThawRequest)> {
        let mut asked: Vec<_> = self.thaws.asked.lock().unwrap().clone();
        asked.sort_by_key(|(key, _)| key.to_string());
        asked.into_iter().map(|(key, it)| (key.to_string().split_off(5), it)).collect()
    }

    fn asked_keys(&self) -> String {
        self.asked().into_iter().map(|(key, _)| key).collect()
    }

    async fn printed(&self, options: &Options) -> Vec<Value> {
        let mut out = Vec::new();
        print(&survey(&self.archive, &self.wanted).await.unwrap(), options, &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_asked_for_before_anything_is_waited_for() {
    let states: &[Thaw] = &[FROZEN, THAWING, THAWING, ready_for(14)];
    let other: &[Thaw] = &[THAWING, ready_for(14)];
    let mut objects = vec![(Vault::DeepArchive, states); 40];
    objects.push((Vault::Glacier, other));
    let scene = scene(&objects).await;
    let start = tokio::time::Instant::now();
    scene.thaw(&options(Some(86_400))).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 60 + 120);
    let asked = scene.asked();
    assert_eq!(asked.len(), 40, "what is being thawed is not asked for");
    let request = ThawRequest { days: Some(14), tier: Tier::Standard };
    assert!(asked.iter().all(|(_, asked)| *asked == request), "{asked:?}");
    // The last request came before the first look after it: 41 looks at all.
    assert_eq!(scene.thaws.log.lock().unwrap()[..81], [vec!['h'; 41], vec!['t'; 40]].concat());
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_is_neither_asked_for_nor_waited_for() {
    let scene =
        scene(&[(Vault::Glacier, &[ready_for(10)]), (Vault::DeepArchive, &[ready_for(4)])]).await;
    scene.thaw(&options(None)).await.unwrap();
    assert_eq!(scene.asked_keys(), "");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_would_go_away_too_soon_is_extended_once() {
    let soon = &[ready_for(2)][..];
    let scene = scene(&[
        (Vault::Glacier, &[FROZEN, THAWING, THAWING, ready_for(14)]),
        (Vault::DeepArchive, soon),
        (Vault::DeepArchive, &[ready_for(-1)]),
    ])
    .await;
    scene.thaw(&Options { tier: Tier::Expedited, ..options(Some(3600)) }).await.unwrap();
    let tiers: Vec<_> = scene.asked().into_iter().map(|(key, it)| (key, it.tier)).collect();
    let expected = [("0", Tier::Expedited), ("1", Tier::Standard), ("2", Tier::Standard)];
    assert_eq!(tiers, expected.map(|(key, tier)| (key.to_owned(), tier)));
}

#[tokio::test(start_paused = true)]
async fn a_copy_for_a_few_days_is_extended_at_half_its_time() {
    let scene = scene(&[(Vault::Glacier, &[ready_for(2)])]).await;
    scene.thaw(&Options { days: 3, ..options(None) }).await.unwrap();
    assert_eq!(scene.asked_keys(), "");
}

#[tokio::test(start_paused = true)]
async fn a_refused_extension_does_not_hold_up_what_can_be_read() {
    let scene = scene(&[(Vault::Glacier, &[ready_for(1)])]).await;
    *scene.thaws.refuse.lock().unwrap() = Some(ErrorKind::Refused);
    scene.thaw(&options(None)).await.unwrap();
    assert_eq!(scene.asked_keys(), "0");
}

#[tokio::test(start_paused = true)]
async fn without_waiting_it_is_asked_for_and_ends_with_75_until_it_is_ready() {
    let scene = scene(&[
        (Vault::DeepArchive, &[FROZEN, THAWING, THAWING, ready_for(14)]),
        (Vault::Glacier, &[ready_for(14)]),
    ])
    .await;
    let error = scene.thaw(&options(None)).await.unwrap_err();
    assert_eq!(status_of(&error), Status::TryLater);
    let said = error.to_string();
    assert!(said.contains("1 object (10 B) of 2 objects (20 B) are not thawed"), "{said}");
    assert!(said.contains("DEEP_ARCHIVE") && said.contains("within 12 hours"), "{said}");
    assert_eq!(scene.asked_keys(), "0");
    // The second look finds it thawing, the third ready.
    assert!(scene.thaw(&options(None)).await.is_err());
    scene.thaw(&options(None)).await.unwrap();
    assert_eq!(scene.asked_keys(), "0", "it was asked for once");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_75_after_a_last_look() {
    let scene = scene(&[(Vault::DeepArchive, &[FROZEN, THAWING])]).await;
    let start = tokio::time::Instant::now();
    let error = scene.thaw(&options(Some(90))).await.unwrap_err();
    assert_eq!((status_of(&error), start.elapsed().as_secs()), (Status::TryLater, 90));
    // At the start, after asking, after 60 s, after 90 s.
    let looks = scene.thaws.log.lock().unwrap().iter().filter(|it| **it == 'h').count();
    assert_eq!(looks, 4);
}

#[tokio::test(start_paused = true)]
async fn what_froze_again_is_asked_for_again() {
    let scene =
        scene(&[(Vault::Glacier, &[FROZEN, THAWING, FROZEN, THAWING, ready_for(14)])]).await;
    scene.thaw(&options(Some(86_400))).await.unwrap();
    assert_eq!(scene.asked_keys(), "00");
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_not_there_is_refused_before_anything_is_asked_for() {
    let scene = scene(&[
        (Vault::Glacier, &[FROZEN]),
        (Vault::DeepArchive, &[FROZEN]),
        (Vault::TieredDeepArchive, &[FROZEN]),
    ])
    .await;
    for wrong_tier in [Status::Usage, Status::Config] {
        let options = Options { tier: Tier::Expedited, wrong_tier, ..options(Some(60)) };
        let error = scene.thaw(&options).await.unwrap_err();
        assert_eq!(status_of(&error), wrong_tier);
        let said = error.to_string();
        assert!(said.contains("2 of 3 objects, host/1 first, lie in DEEP_ARCHIVE"), "{said}");
    }
    assert_eq!(scene.asked_keys(), "");
}

#[tokio::test(start_paused = true)]
async fn intelligent_tiering_is_asked_without_days() {
    let scene = scene(&[(Vault::TieredArchive, &[FROZEN, ready_for(9)])]).await;
    scene.thaw(&options(None)).await.unwrap();
    let expected = ThawRequest { days: None, tier: Tier::Standard };
    assert_eq!(scene.asked(), [("0".to_owned(), expected)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_unless_the_object_can_be_read_all_the_same() {
    for (kind, readable) in [
        (ErrorKind::Refused, false),
        (ErrorKind::Unsupported, false),
        (ErrorKind::Refused, true),
        (ErrorKind::Unsupported, true),
        (ErrorKind::Unavailable, true),
    ] {
        let scene = scene(&[(Vault::Glacier, &[FROZEN])]).await;
        *scene.thaws.refuse.lock().unwrap() = Some(kind);
        *scene.thaws.readable.lock().unwrap() = readable;
        let done = scene.thaw(&options(None)).await;
        assert_eq!(done.is_ok(), readable && kind != ErrorKind::Unavailable, "{kind:?} {readable}");
        let status = done.err().map(|error| status_of(&error));
        assert_ne!(status, Some(Status::TryLater), "{kind:?} {readable}");
    }
}

#[tokio::test]
async fn a_missing_object_is_found_before_anything_is_asked_for() {
    let scene = scene(&[(Vault::Glacier, &[FROZEN]), (Vault::Glacier, &[FROZEN])]).await;
    scene.archive.store.delete(&"host/1".parse().unwrap()).await.unwrap();
    let error = scene.thaw(&options(None)).await.unwrap_err();
    assert_eq!(status_of(&error), Status::Data);
    assert!(error.to_string().contains("host/1: it does not exist"), "{error}");
    assert_eq!(scene.asked_keys(), "");
}

#[tokio::test]
async fn a_plan_says_what_each_class_takes_and_asks_for_nothing() {
    let scene = scene(&[
        (Vault::DeepArchive, &[FROZEN]),
        (Vault::DeepArchive, &[THAWING]),
        (Vault::DeepArchive, &[ready_for(1)]),
        (Vault::Glacier, &[ready_for(9)]),
    ])
    .await;
    let bulk = Options { tier: Tier::Bulk, ..options(None) };
    let none: Option<u64> = None;
    assert_eq!(
        scene.printed(&bulk).await,
        [
            json!({ "type": "thaw", "storage_class": "DEEP_ARCHIVE", "objects": 3, "size": 30,
                    "frozen": 1, "thawing": 1, "tier": "Bulk", "wait_seconds": 172_800,
                    "wait": "within 48 hours" }),
            json!({ "type": "thaw", "storage_class": "GLACIER", "objects": 1, "size": 10,
                    "frozen": 0, "thawing": 0, "tier": none, "wait_seconds": none,
                    "wait": none }),
            json!({ "type": "end", "objects": 4, "size": 40, "frozen": 1 }),
        ]
    );
    assert_eq!(scene.asked_keys(), "");
}
