//! One chunk's way from its first part to its object record.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, TryFutureExt};

use super::begin::{Start, start};
use super::complete::complete;
use super::ledger::abort;
use super::part::{Sent, combine};
use super::source::Waiting;
use super::{Context, Error};
use crate::hasher::Hasher;
use crate::record::{ChunkEnd, Digest, Hash, Object};
use crate::store::{self, Key, PartBody, PartDone, Upload};

/// A chunk whose bytes have all been read and whose parts are all stored.
#[derive(Debug)]
pub struct Ended {
    /// What the stream says of it.
    pub end: ChunkEnd,
    /// Its parts, in order.
    pub parts: Vec<Sent>,
    /// CRC-32 (IEEE) of all its bytes.
    pub crc32: u32,
}

/// How a chunk begins; its parts wait for this together.
type Begin = Shared<BoxFuture<'static, Result<Arc<Start>, Error>>>;

/// A chunk whose parts are under way.
pub struct Chunk {
    index: u64,
    key: Key,
    begin: Begin,
    sent: BTreeMap<u32, Sent>,
    end: Option<(ChunkEnd, u32)>,
}

impl Chunk {
    /// Begins the upload of chunk `index`, in the background: the first part need
    /// not wait for the answer before it is gathered.
    pub fn begin(context: &Arc<Context>, index: u64) -> anyhow::Result<Self> {
        let backup = &context.run.backup;
        let key = context.archive.key(format_args!("{backup}/chunks/part-{index:05}.bin"))?;
        let known = context.ledger.take(index);
        let begin = start(Arc::clone(context), key.clone(), index, known);
        let begin = begin.map_ok(Arc::new).boxed().shared();
        Ok(Self { index, key, begin, sent: BTreeMap::new(), end: None })
    }

    /// Stores one part, unless it is stored, when its turn comes. The caller spawns
    /// this, and keeps its answer with [`Chunk::sent`].
    pub fn send(
        &self,
        context: &Arc<Context>,
        number: u32,
        body: Waiting,
    ) -> impl Future<Output = anyhow::Result<Sent>> + Send + use<> {
        let (context, begin, index) = (Arc::clone(context), self.begin.clone(), self.index);
        async move {
            let (body, _memory) = body.load().await?;
            let _flight = context.flights.acquire().await?;
            let stored = send(&context, &*begin.await?, number, body).await?;
            if let Stored::Now(sent) = &stored {
                context.ledger.note(sent.note(index)).await;
            }
            Ok(stored.into())
        }
    }

    /// A part is stored.
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
    pub async fn complete(self, context: Arc<Context>) -> anyhow::Result<Object> {
        let (end, _) = self.end.context("a chunk was completed before its end")?;
        let start = self.begin.await?;
        let parts: Vec<_> = self.sent.into_values().collect();
        let all = parts.iter().map(|sent| &sent.done);
        let crc32 = all.fold(0, |crc, part| combine(crc, part.crc32, part.size));
        Ok(complete(&context, &self.key, &start, Ended { end, parts, crc32 }).await?)
    }

    /// Gives the upload up.
    pub async fn abort(self, context: &Context) {
        // Its beginning may still be under way: only its answer tells what to abort.
        let Ok(start) = self.begin.await else { return };
        if let Start::Upload(upload, _) = &*start {
            abort(&context.archive, upload).await;
        }
    }
}

/// A part that is stored.
enum Stored {
    /// An earlier attempt did it.
    Before(Sent),
    /// This one did.
    Now(Sent),
}

impl From<Stored> for Sent {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Before(sent) | Stored::Now(sent) => sent,
        }
    }
}

async fn send(
    context: &Context,
    start: &Start,
    number: u32,
    body: PartBody,
) -> anyhow::Result<Stored> {
    let hash = tokio::task::spawn_blocking({
        let pieces = body.pieces.clone();
        move || blake3(&pieces)
    });
    let unsent = |blake3| {
        let etag = String::new();
        let done = PartDone { number, size: body.len, etag, crc32: body.crc32 };
        Stored::Before(Sent { done, blake3 })
    };
    let (upload, have) = match start {
        Start::Upload(upload, have) => (upload, have),
        // The chunk as a whole is compared at its end.
        Start::There(..) | Start::Noted(_) => return Ok(unsent(hash.await?)),
    };
    let Some(have) = have.get(&number).filter(|have| have.done.size == body.len) else {
        let done = put(context, upload, number, body).await?;
        return Ok(Stored::Now(Sent { done, blake3: hash.await? }));
    };
    let blake3 = hash.await?;
    if have.blake3 == blake3 && have.done.crc32 == body.crc32 {
        return Ok(Stored::Before(have.clone()));
    }
    let done = put(context, upload, number, body).await?;
    Ok(Stored::Now(Sent { done, blake3 }))
}

async fn put(
    context: &Context,
    upload: &Upload,
    number: u32,
    body: PartBody,
) -> store::Result<PartDone> {
    context.ledger.attempted().await;
    context.archive.store.put_part(upload, number, body).await
}

fn blake3(pieces: &[bytes::Bytes]) -> Digest {
    let mut hasher = Hasher::new(Hash::Blake3);
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher.finish()
}
