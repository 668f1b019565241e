//! One chunk's way from its first part to its object record.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::part::combine;
use crate::hasher::Hasher;
use crate::record::{ChunkEnd, Crc32, Digest, Hash, Object, Run};
use crate::store::{self, Archive, Key, PartBody, PartDone, Upload, UploadOptions, Whole};

/// A part that is stored, and our own digest of it.
#[derive(Debug)]
pub struct Sent {
    done: PartDone,
    blake3: Digest,
}

type Begin = Shared<BoxFuture<'static, store::Result<Arc<Upload>>>>;

/// A chunk whose parts are under way.
pub struct Chunk {
    key: Key,
    begin: Begin,
    sent: BTreeMap<u32, Sent>,
    end: Option<(ChunkEnd, u32)>,
}

impl Chunk {
    /// Begins the upload of chunk `index`, in the background: the first part need
    /// not wait for the answer before it is gathered.
    pub fn begin(archive: &Archive, run: &Run, index: u64) -> anyhow::Result<Self> {
        let key = archive.key(format_args!("{}/chunks/part-{index:05}.bin", run.backup))?;
        let options = UploadOptions {
            storage_class: Some(run.storage_class.clone()),
            part_size: run.part_size,
            metadata: BTreeMap::from([("bts-run".to_owned(), run.run_id.to_string())]),
        };
        let (store, at) = (archive.store.clone(), key.clone());
        let begin = async move { store.create_upload(&at, &options).await.map(Arc::new) };
        Ok(Self { key, begin: begin.boxed().shared(), sent: BTreeMap::new(), end: None })
    }

    /// Sends one part. The caller spawns this, and keeps its answer with
    /// [`Chunk::sent`].
    pub fn send(
        &self,
        archive: &Archive,
        number: u32,
        body: PartBody,
    ) -> impl Future<Output = anyhow::Result<Sent>> + Send + use<> {
        let (store, begin) = (archive.store.clone(), self.begin.clone());
        async move {
            let pieces = body.pieces.clone();
            let hash = tokio::task::spawn_blocking(move || {
                let mut hasher = Hasher::new(Hash::Blake3);
                for piece in &pieces {
                    hasher.update(piece);
                }
                hasher.finish()
            });
            let upload = begin.await?;
            let done = store.put_part(&upload, number, body).await?;
            Ok(Sent { done, blake3: hash.await? })
        }
    }

    /// A part arrived.
    pub fn sent(&mut self, part: Sent) {
        self.sent.insert(part.done.number, part);
    }

    /// The stream says that the chunk is complete, with this many parts.
    pub fn ended(&mut self, end: ChunkEnd, parts: u32) {
        self.end = Some((end, parts));
    }

    /// Whether all parts that the chunk consists of are stored.
    pub fn is_stored(&self) -> bool {
        self.end.is_some_and(|(_, parts)| self.sent.len() == parts as usize)
    }

    /// Turns the parts into the object and reads back what the store made of it.
    pub async fn complete(self, archive: Archive) -> anyhow::Result<Object> {
        let Some((end, _)) = self.end else {
            anyhow::bail!("{} was completed before its last part", self.key);
        };
        let upload = self.begin.await?;
        let (parts, digests): (Vec<_>, Vec<_>) =
            self.sent.into_values().map(|part| (part.done, part.blake3)).unzip();
        let crc32 = parts.iter().fold(0, |crc, part| combine(crc, part.crc32, part.size));
        let whole = Whole { size: end.size, crc32, if_absent: true };
        let meta = archive.store.complete_upload(&upload, &parts, &whole).await?;
        Ok(Object {
            index: end.index,
            key: self.key.to_string(),
            size: end.size,
            digests: end.digests,
            etag: Some(meta.etag),
            crc32: Some(Crc32(crc32)),
            checksum: Some(upload.checksum),
            storage_class: Some(meta.storage_class),
            parts: digests,
        })
    }

    /// Gives the upload up, as far as the store lets us: a lifecycle rule clears
    /// away what is left.
    pub async fn abort(self, archive: &Archive) {
        // Its beginning may still be under way: only its answer tells what to abort.
        let Ok(upload) = self.begin.await else { return };
        if let Err(error) = archive.store.abort_upload(&upload).await {
            log::warn!("{error}; its parts are billed until the upload is aborted");
        }
    }
}
