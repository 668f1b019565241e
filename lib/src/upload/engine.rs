//! The engine: parts out, object records in order.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::chunks::{Chunk, Sent};
use super::source::{self, Event};
use super::{Options, run};
use crate::record::{Error, Frames, Object, Run, StreamEnd, Writer};
use crate::store::Archive;

/// How many chunks may wait for their completion before the stream has to. Small
/// chunks are completed as fast as they come; this only bounds a store that is
/// slow to answer.
const OPEN_CHUNKS_MAX: usize = 16;

/// How long a failed run tries to abort its uploads.
const ABORT_FOR: Duration = Duration::from_secs(10);

/// Stores the stream that `frames` reads and writes the run, an object record a
/// chunk and the end to `out`. Returns what the end says.
///
/// # Errors
/// Those of the stream (which include an earlier stage's), of the store and of
/// `out`. Chunks that were completed by then stay; no pointer names them.
pub async fn upload<R, W>(
    archive: &Archive,
    mut frames: Frames<R>,
    options: &Options,
    out: W,
) -> anyhow::Result<StreamEnd>
where
    R: BufRead + Send + 'static,
    W: Write,
{
    let stream = frames.stream()?;
    let run = run::run_for(&stream, options, archive.url.to_string())?;
    let mut out = Writer::new(out);
    out.write(&run).and_then(|()| out.flush()).context("cannot write the run record")?;
    let events = source::start(frames, run.part_size, options.concurrency + 1);
    let mut engine = Engine::new(archive, &run, options.concurrency, out);
    let ended = engine.run(events).await;
    if ended.is_err() {
        engine.abort().await;
    }
    ended
}

struct Engine<'a, W> {
    archive: &'a Archive,
    run: &'a Run,
    out: Writer<W>,
    open: BTreeMap<u64, Chunk>,
    /// One permit a part that may be in flight.
    flights: Arc<Semaphore>,
    sending: JoinSet<(u64, anyhow::Result<Sent>)>,
    completing: JoinSet<anyhow::Result<Object>>,
    /// Objects that wait for one with a smaller index, so that records are in order.
    complete: BTreeMap<u64, Object>,
    written: u64,
    end: Option<StreamEnd>,
}

impl<'a, W: Write> Engine<'a, W> {
    fn new(archive: &'a Archive, run: &'a Run, concurrency: usize, out: Writer<W>) -> Self {
        Self {
            archive,
            run,
            out,
            open: BTreeMap::new(),
            flights: Arc::new(Semaphore::new(concurrency)),
            sending: JoinSet::new(),
            completing: JoinSet::new(),
            complete: BTreeMap::new(),
            written: 0,
            end: None,
        }
    }

    async fn run(
        &mut self,
        mut events: mpsc::Receiver<Result<Event, Error>>,
    ) -> anyhow::Result<StreamEnd> {
        loop {
            let waiting = self.open.len() + self.completing.len();
            if let (Some(end), 0) = (self.end, waiting) {
                self.out.write(&end).and_then(|()| self.out.flush()).context("cannot write end")?;
                return Ok(end);
            }
            tokio::select! {
                Some(sent) = self.sending.join_next() => self.sent(sent)?,
                Some(object) = self.completing.join_next() => self.completed(object)?,
                event = events.recv(), if self.end.is_none() && waiting < OPEN_CHUNKS_MAX => {
                    let event = event.context("the reading thread ended without a word")?;
                    self.take(event?)?;
                }
            }
        }
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Part { chunk: index, number, body, permit } => {
                if !self.open.contains_key(&index) {
                    self.open.insert(index, Chunk::begin(self.archive, self.run, index)?);
                }
                let chunk = self.open.get(&index).context("a part of no chunk")?;
                let send = chunk.send(self.archive, number, body);
                let flights = self.flights.clone();
                self.sending.spawn(async move {
                    let _flight = flights.acquire_owned().await;
                    let sent = send.await;
                    drop(permit);
                    (index, sent)
                });
            }
            Event::Chunk { end, parts } => {
                let chunk = self.open.get_mut(&end.index).context("the end of no chunk")?;
                chunk.ended(end, parts);
                self.complete_if_stored(end.index);
            }
            Event::End(end) => self.end = Some(end),
        }
        Ok(())
    }

    fn sent(&mut self, sent: Result<(u64, anyhow::Result<Sent>), JoinError>) -> anyhow::Result<()> {
        let (index, sent) = sent.context("a part's task failed")?;
        let chunk = self.open.get_mut(&index).context("a part of no chunk")?;
        chunk.sent(sent?);
        self.complete_if_stored(index);
        Ok(())
    }

    fn complete_if_stored(&mut self, index: u64) {
        if self.open.get(&index).is_some_and(Chunk::is_stored)
            && let Some(chunk) = self.open.remove(&index)
        {
            self.completing.spawn(chunk.complete(self.archive.clone()));
        }
    }

    fn completed(
        &mut self,
        object: Result<anyhow::Result<Object>, JoinError>,
    ) -> anyhow::Result<()> {
        let object = object.context("a chunk's task failed")??;
        self.complete.insert(object.index, object);
        while let Some(object) = self.complete.remove(&self.written) {
            let written = self.out.write(&object).and_then(|()| self.out.flush());
            written.context("cannot write the object record")?;
            self.written += 1;
        }
        Ok(())
    }

    /// Abandons the parts in flight and gives back what the store keeps of them.
    /// A chunk that is being completed is an object or is none: nobody can tell
    /// before the store answers.
    async fn abort(&mut self) {
        self.sending.shutdown().await;
        let open = std::mem::take(&mut self.open);
        let abort = async {
            for chunk in open.into_values() {
                chunk.abort(self.archive).await;
            }
            while self.completing.join_next().await.is_some() {}
        };
        if tokio::time::timeout(ABORT_FOR, abort).await.is_err() {
            log::warn!("gave up aborting the uploads; their parts are billed until they are");
        }
    }
}
