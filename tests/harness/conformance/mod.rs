//! The promises of [`bts::store::Store`], each as a test for any store.
//!
//! A store is asked what it promises ([`bts::store::Store::conditional`],
//! [`bts::store::Upload::checksum`]); what a server is known to do worse than it
//! says is in [`Lacks`].

mod conditions;
mod lists;
mod objects;
mod unfinished;
mod uploads;

use std::pin::Pin;

use bts::store::{Get, Key, PartBody, PutOptions, Shared, UploadOptions, Whole};
use bytes::Bytes;
use futures::StreamExt;
use tokio::task::JoinSet;

/// The smallest part that S3 takes, in bytes.
pub const PART: usize = 5 << 20;

/// What the server behind a store is known to do worse than it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lacks {
    /// Compares and writes in two steps, so that a race has several winners.
    pub atomic_conditions: bool,
    /// Keeps a checksum, but does not compare it with what came.
    pub checks: bool,
    /// Fails when asked for an upload that is gone, instead of saying so.
    pub unknown_uploads: bool,
    /// Keeps no metadata.
    pub metadata: bool,
}

/// A store under test and a part of it that nothing else uses.
#[derive(Clone, Debug)]
pub struct Subject {
    store: Shared,
    prefix: String,
    lacks: Lacks,
}

type Promise = fn(Subject) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lists async functions with their names.
macro_rules! promises {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((stringify!($name), (|subject| Box::pin($module::$name(subject))) as Promise)),*]
    };
}

/// Holds `store`, below `prefix` (empty, or ends with `/`), to every promise.
///
/// # Panics
/// Names the promises that were broken.
pub async fn check(store: Shared, prefix: &str, lacks: Lacks) {
    let mut running = JoinSet::new();
    for (name, promise) in promises![
        objects::what_was_written_is_read,
        objects::ranges_are_read_to_the_byte,
        objects::what_is_not_there_is_not_found,
        objects::the_last_writer_wins,
        objects::strange_keys_are_kept_to_the_letter,
        objects::keys_that_look_like_paths_are_kept_or_refused,
        objects::metadata_is_kept,
        conditions::a_create_only_write_replaces_nothing,
        conditions::one_of_many_creators_wins,
        conditions::a_stale_etag_writes_nothing,
        conditions::one_of_many_swappers_wins,
        conditions::a_create_only_completion_replaces_nothing,
        uploads::parts_in_any_order_make_the_object,
        uploads::an_unfinished_upload_is_no_object,
        uploads::a_part_can_be_replaced,
        uploads::an_aborted_upload_is_gone,
        uploads::completing_twice_is_noticed_or_harmless,
        uploads::an_upload_goes_on_in_another_process,
        uploads::a_damaged_part_is_refused,
        uploads::a_wrong_whole_is_noticed,
        unfinished::parts_are_listed_as_they_were_acknowledged,
        unfinished::a_replaced_part_is_listed_as_its_successor,
        unfinished::an_upload_that_ended_has_no_parts_to_list,
        unfinished::uploads_are_listed_until_they_end,
        unfinished::many_parts_are_all_listed,
        unfinished::many_uploads_are_all_listed,
        lists::lists_are_in_the_order_of_bytes,
        lists::folders_are_folded,
        lists::a_long_list_comes_in_pages,
    ] {
        let prefix = format!("{prefix}conformance/{}/{name}/", uuid::Uuid::new_v4());
        let subject = Subject { store: Shared::clone(&store), prefix, lacks };
        running.spawn(async move {
            // Of a task of its own, so that its panic is caught and named.
            (name, tokio::spawn(promise(subject)).await.is_ok())
        });
    }
    let mut broken: Vec<_> = running.join_all().await;
    broken.retain(|(_, kept)| !kept);
    let names: Vec<_> = broken.into_iter().map(|(name, _)| name).collect();
    assert!(names.is_empty(), "{store:?} breaks: {}", names.join(", "));
}

impl Subject {
    fn key(&self, name: &str) -> Key {
        format!("{}{name}", self.prefix).parse().unwrap()
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Key {
        let key = self.key(name);
        let body = Bytes::copy_from_slice(bytes);
        self.store.put(&key, body, &PutOptions::default()).await.unwrap();
        key
    }

    async fn read(&self, key: &Key) -> Vec<u8> {
        collect(self.store.get(key, None).await.unwrap()).await
    }

    fn upload_options(&self) -> UploadOptions {
        UploadOptions {
            storage_class: None,
            part_size: PART as u64,
            metadata: [("run".to_owned(), "0b1c".to_owned())].into(),
        }
    }
}

async fn collect(mut get: Get) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = get.body.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

/// Bytes that look like nothing else, the same for the same `seed`.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(|| next().to_le_bytes()).take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// A part's body, in pieces of odd sizes.
fn part(bytes: &[u8]) -> PartBody {
    PartBody {
        pieces: bytes.chunks(999_983).map(Bytes::copy_from_slice).collect(),
        len: bytes.len() as u64,
        crc32: crc32fast::hash(bytes),
    }
}

fn whole(bytes: &[u8], if_absent: bool) -> Whole {
    Whole { size: bytes.len() as u64, crc32: crc32fast::hash(bytes), if_absent }
}
