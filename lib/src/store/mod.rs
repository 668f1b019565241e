//! The store: where the objects of an archive lie.
//!
//! [`Store`] is all that the engines know. Two stores keep its promises, [`s3`]
//! and [`dir`]; one conformance suite holds both to them. Retries happen inside
//! a store ([`crate::retry`]): an error that comes out of one is final.

pub mod dir;
pub mod limits;
pub mod s3;

mod archived;
mod error;
mod key;
mod open;
mod small;

pub use archived::{Archived, Thaw, Tier, Vault, Wait};
pub use error::{Error, ErrorKind};
pub use key::{BadKey, Key};
pub use open::{Archive, Settings, Url, open};
pub use small::{Small, read_small};

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::record::Checksum;
use crate::time::Time;

/// What every call of a store gives back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An object store, S3 or like it.
///
/// # What is promised
///
/// **Durable when.** When [`put`](Store::put) or
/// [`complete_upload`](Store::complete_upload) returns `Ok`, the object survives
/// a power cut on the machine that holds it. A part survives the death of this
/// process when [`put_part`](Store::put_part) returns `Ok`; it need not survive
/// a power cut before the upload is completed.
///
/// **Atomic.** An object is there whole, with its new bytes and metadata, or as
/// it was before. No reader ever sees a part of it, and an upload that is not
/// completed is no object: [`head`](Store::head), [`get`](Store::get) and
/// [`list`](Store::list) do not show it.
///
/// **Ordered.** A read that begins after a write returned sees that write (or a
/// later one); so does a list. Lists come in ascending order of the keys' bytes.
///
/// **Create-only.** With [`Condition::IfAbsent`] exactly one of any number of
/// writers of a key succeeds and the others get
/// [`ErrorKind::PreconditionFailed`]; with [`Condition::IfMatch`] exactly one of
/// those that saw the same ETag does. A store that cannot promise this says so
/// ([`Store::conditional`]); it then looks first and writes after, which
/// protects against accidents and not against races.
///
/// **Checked.** The server compares what arrives with a checksum that this
/// process made ([`Upload::checksum`] says which), and refuses what differs.
///
/// **Idempotent.** Every method can be called again after any error. After a
/// lost answer a second create-only write may fail with
/// [`ErrorKind::PreconditionFailed`] although it was the first that won, and a
/// second [`complete_upload`](Store::complete_upload) with
/// [`ErrorKind::NoSuchUpload`]: who needs to know must look.
///
/// An ETag is opaque, and is only ever compared with an ETag of the same key.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// How messages name an object: a URL.
    fn locate(&self, key: &str) -> String;

    /// Whether conditions are atomic here (see the trait's promises).
    ///
    /// # Errors
    /// When the server must be asked and does not answer.
    async fn conditional(&self) -> Result<bool>;

    /// An object's metadata, or `None` when there is none.
    ///
    /// # Errors
    /// 403 is [`ErrorKind::Refused`], never `None`: without permission to list,
    /// S3 answers 403 for a key that is missing.
    async fn head(&self, key: &Key) -> Result<Option<Meta>>;

    /// Asks for an archived object to be thawed: [`Store::head`] tells when it is
    /// ready. Fine when that was asked for before; of an object that is ready it
    /// moves the day on which the thawed copy goes away.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for an object that needs no thaw, or a tier that is
    /// not for it; [`ErrorKind::Unsupported`] where nothing is ever archived.
    async fn thaw(&self, key: &Key, request: &ThawRequest) -> Result<()>;

    /// An object's bytes, or those of `range` (which must lie within it).
    ///
    /// The body yields pieces in order; an error in it names the object, and the
    /// caller may ask again from where it stopped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Archived`] when
    /// it must be thawed first.
    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Get>;

    /// Writes a small object in one request.
    ///
    /// # Errors
    /// [`ErrorKind::PreconditionFailed`] when the condition does not hold.
    async fn put(&self, key: &Key, body: Bytes, options: &PutOptions) -> Result<Meta>;

    /// One page of the objects whose keys begin with `prefix`, after `after`.
    ///
    /// With `fold`, keys that have a `/` after the prefix are folded into one
    /// [`Page::folders`] entry each, as S3's delimiter does.
    ///
    /// # Errors
    /// As for every call.
    async fn list(&self, prefix: &str, fold: bool, after: Option<&str>) -> Result<Page>;

    /// Removes an object; removing what is not there succeeds.
    ///
    /// # Errors
    /// As for every call.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// Begins a multipart upload.
    ///
    /// # Errors
    /// As for every call.
    async fn create_upload(&self, key: &Key, options: &UploadOptions) -> Result<Upload>;

    /// Sends one part, or replaces it. Parts may come in any order and at the
    /// same time.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchUpload`] when the upload was completed or aborted.
    async fn put_part(&self, upload: &Upload, number: u32, body: PartBody) -> Result<PartDone>;

    /// Turns the parts, given in ascending order, into the object.
    ///
    /// # Errors
    /// [`ErrorKind::PreconditionFailed`] when `whole.if_absent` and the key is
    /// taken, [`ErrorKind::NoSuchUpload`] when the upload is gone: completed
    /// before, or lost.
    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartDone],
        whole: &Whole,
    ) -> Result<Meta>;

    /// Gives an upload up and frees its parts; one that is gone is fine.
    ///
    /// # Errors
    /// As for every call.
    async fn abort_upload(&self, upload: &Upload) -> Result<()>;

    /// The parts that an upload holds, in ascending order of their numbers.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchUpload`] when the upload was completed or aborted, or
    /// is lost.
    async fn list_parts(&self, upload: &Upload) -> Result<Vec<PartSeen>>;

    /// The uploads of keys that begin with `prefix` which were begun and neither
    /// completed nor aborted.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the server cannot tell.
    async fn list_uploads(&self, prefix: &str) -> Result<Vec<UploadSeen>>;
}

/// A store that engines and their tasks share.
pub type Shared = Arc<dyn Store>;

/// What a store tells of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its size, in bytes.
    pub size: u64,
    /// Its ETag: opaque.
    pub etag: String,
    /// CRC-32 (IEEE) of the whole object, where the store keeps one.
    pub crc32: Option<u32>,
    /// Its storage class; `STANDARD` where the store has no others.
    pub storage_class: String,
    /// Set when it lies in an archive and must be thawed before [`Store::get`].
    /// Only from [`Store::head`].
    pub archived: Option<Archived>,
    /// When it was last modified. For a multipart object on S3: when its upload
    /// was begun.
    pub modified: Option<Time>,
    /// The metadata that was given at its creation; names in lower case. Only
    /// from [`Store::head`], and empty where the store keeps none.
    pub metadata: BTreeMap<String, String>,
}

/// What [`Store::thaw`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThawRequest {
    /// For how many days the thawed copy stays; `None` where none is made
    /// ([`Vault::expires`]).
    pub days: Option<u32>,
    /// How fast.
    pub tier: Tier,
}

/// An object on its way.
pub struct Get {
    /// The size of the whole object, in bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: String,
    /// The bytes asked for, in order. Pieces may have any size.
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, etag, .. } = self;
        f.debug_struct("Get").field("size", size).field("etag", etag).finish_non_exhaustive()
    }
}

/// When a write may happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always; what is there is replaced.
    #[default]
    Always,
    /// Only when the key is free.
    IfAbsent,
    /// Only when the key holds the object with this ETag.
    IfMatch(String),
}

/// How [`Store::put`] writes.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// When to write.
    pub condition: Condition,
    /// The storage class; the store's default when `None`.
    pub storage_class: Option<String>,
    /// The media type; `application/octet-stream` when `None`.
    pub content_type: Option<&'static str>,
    /// Metadata to keep beside the bytes, where the store can: ASCII, names in
    /// lower case.
    pub metadata: BTreeMap<String, String>,
}

/// How [`Store::create_upload`] begins.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// The storage class; the store's default when `None`.
    pub storage_class: Option<String>,
    /// The size of every part but the last, in bytes.
    pub part_size: u64,
    /// Metadata to keep beside the bytes, where the store can: ASCII, names in
    /// lower case.
    pub metadata: BTreeMap<String, String>,
}

/// An upload that was begun: all that is needed to go on with it, in this
/// process or in a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The object that it will become.
    pub key: Key,
    /// The store's name for it.
    pub id: String,
    /// Which guarantee the server gives for its bytes.
    pub checksum: Checksum,
    /// The size of every part but the last, in bytes.
    pub part_size: u64,
}

/// The bytes of one part. Cloning it copies no bytes.
#[derive(Clone, Debug, Default)]
pub struct PartBody {
    /// The bytes, in order, in as many pieces as they came in.
    pub pieces: Vec<Bytes>,
    /// The sum of the pieces' lengths, in bytes.
    pub len: u64,
    /// CRC-32 (IEEE) of the bytes.
    pub crc32: u32,
}

/// A part that the store acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartDone {
    /// Its number, counted from 1.
    pub number: u32,
    /// Its size, in bytes.
    pub size: u64,
    /// The store's ETag for it: opaque.
    pub etag: String,
    /// CRC-32 (IEEE) of its bytes.
    pub crc32: u32,
}

/// A part as the store tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSeen {
    /// Its number, counted from 1.
    pub number: u32,
    /// Its size, in bytes.
    pub size: u64,
    /// The store's ETag for it: opaque.
    pub etag: String,
}

/// An unfinished upload as the store tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSeen {
    /// The whole key of the object that it would become.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// When it was begun.
    pub begun: Option<Time>,
}

/// What the whole object must turn out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its size, in bytes.
    pub size: u64,
    /// CRC-32 (IEEE) of all its bytes.
    pub crc32: u32,
    /// Only create it, replace nothing.
    pub if_absent: bool,
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects, in ascending order of their keys' bytes.
    pub objects: Vec<Listed>,
    /// The folded prefixes, each with its final `/`, in ascending order.
    pub folders: Vec<String>,
    /// Where to go on ([`Store::list`]'s `after`); `None` on the last page.
    pub next: Option<String>,
}

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its whole key.
    pub key: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: String,
    /// When it was last modified.
    pub modified: Option<Time>,
    /// Its storage class.
    pub storage_class: String,
}

/// All pages of a list, folded or not.
///
/// # Errors
/// Those of [`Store::list`].
pub async fn list_all(store: &dyn Store, prefix: &str, fold: bool) -> Result<Page> {
    let mut all = Page::default();
    let mut after = None;
    loop {
        let page = store.list(prefix, fold, after.as_deref()).await?;
        all.objects.extend(page.objects);
        all.folders.extend(page.folders);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}
