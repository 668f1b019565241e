//! The engine: parts out, object records in order.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::chunks::Chunk;
use super::ledger::Ledger;
use super::part::Sent;
use super::source::{self, Event};
use super::spool::Spool;
use super::{Context as Shared, Error, Options, run};
use crate::exit::{HasStatus, Status};
use crate::intent;
use crate::record::{self, Frames, Object, StreamEnd, Writer};
use crate::store::Archive;

/// How many chunks may wait for their completion before the stream has to. Small
/// chunks are completed as fast as they come; this only bounds a store that is
/// slow to answer.
const OPEN_CHUNKS_MAX: usize = 16;

/// How long a failed run waits for completions and aborted uploads.
const GIVE_UP_FOR: Duration = Duration::from_secs(10);

/// Stores the stream that `frames` reads and writes the run, an object record a
/// chunk and the end to `out`. Returns what the end says.
///
/// # Errors
/// Those of the stream (which include an earlier stage's), of the store, of the
/// journal and of `out`. Chunks that were completed by then stay; no pointer names
/// them.
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
    let mut run = run::run_for(&stream, options, archive.url.to_string())?;
    let spool = options.spool.as_ref().map(|spooling| Spool::new(spooling, run.part_size));
    let spool = spool.transpose()?;
    let journal = options.journal(&stream, &run);
    let resuming = stream.plan.as_ref().is_some_and(|plan| plan.run.is_some());
    let ledger = Ledger::open(archive, journal.as_deref(), &mut run, resuming).await?;
    let mut out = Writer::new(out);
    out.write(&run).and_then(|()| out.flush()).context("cannot write the run record")?;
    let flights = Semaphore::new(options.concurrency);
    let context = Arc::new(Shared { archive: archive.clone(), run, ledger, flights });
    let class = &options.storage_class_small;
    intent::renew(archive, &context.run, class).await?;
    let alive = intent::keep(archive.clone(), context.run.clone(), class.clone());
    let alive = tokio::spawn(alive);
    let events = source::start(frames, context.run.part_size, options.concurrency + 1, spool);
    let mut engine = Engine::new(context, out);
    let ended = engine.run(events).await;
    alive.abort();
    if let Err(error) = &ended {
        engine.give_up(error).await;
    }
    ended
}

struct Engine<W> {
    context: Arc<Shared>,
    out: Writer<W>,
    open: BTreeMap<u64, Chunk>,
    sending: JoinSet<(u64, anyhow::Result<Sent>)>,
    completing: JoinSet<anyhow::Result<Object>>,
    /// Objects that wait for one with a smaller index, so that records are in order.
    complete: BTreeMap<u64, Object>,
    written: u64,
    end: Option<StreamEnd>,
}

impl<W: Write> Engine<W> {
    fn new(context: Arc<Shared>, out: Writer<W>) -> Self {
        Self {
            context,
            out,
            open: BTreeMap::new(),
            sending: JoinSet::new(),
            completing: JoinSet::new(),
            complete: BTreeMap::new(),
            written: 0,
            end: None,
        }
    }

    async fn run(
        &mut self,
        mut events: mpsc::Receiver<anyhow::Result<Event>>,
    ) -> anyhow::Result<StreamEnd> {
        loop {
            let waiting = self.open.len() + self.completing.len();
            if let (Some(end), 0) = (self.end, waiting) {
                return self.ended(end).await;
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
            Event::Part { chunk: index, number, body } => {
                if !self.open.contains_key(&index) {
                    self.open.insert(index, Chunk::begin(&self.context, index)?);
                }
                let chunk = self.open.get(&index).context("a part of no chunk")?;
                let send = chunk.send(&self.context, number, body);
                self.sending.spawn(async move { (index, send.await) });
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
            self.completing.spawn(chunk.complete(Arc::clone(&self.context)));
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

    /// Everything is stored.
    async fn ended(&mut self, end: StreamEnd) -> anyhow::Result<StreamEnd> {
        // What reads the end may rely on the journal.
        self.context.ledger.note(end).await;
        self.context.ledger.abort_the_rest(&self.context.archive).await;
        self.out.write(&end).and_then(|()| self.out.flush()).context("cannot write end")?;
        Ok(end)
    }

    /// Abandons the parts in flight. Where no later attempt can go on from here,
    /// gives back what the store keeps of the others.
    async fn give_up(&mut self, error: &anyhow::Error) {
        self.sending.shutdown().await;
        let changed = matches!(error.downcast_ref(), Some(Error::Changed { .. }));
        let kept = self.context.ledger.is_kept() && !changed;
        match changed {
            true => self.context.ledger.give_up(format!("{error:#}")).await,
            // A send that restarts says nothing of the run.
            false if is_restart(error) => {}
            false => self.context.ledger.attempted().await,
        }
        let abort = async {
            // A chunk that is being completed is an object or is none: nobody can
            // tell before the store answers.
            while self.completing.join_next().await.is_some() {}
            if !kept {
                self.abort().await;
            }
        };
        let done = tokio::time::timeout(GIVE_UP_FOR, abort).await;
        match kept {
            true => log::info!("what is stored so far is kept for the next attempt"),
            false if done.is_ok() => {}
            false => {
                log::warn!("gave up aborting the uploads; their parts are billed until they are");
            }
        }
    }

    async fn abort(&mut self) {
        for chunk in std::mem::take(&mut self.open).into_values() {
            chunk.abort(&self.context).await;
        }
        self.context.ledger.abort_the_rest(&self.context.archive).await;
        intent::remove(&self.context.archive, &self.context.run.backup).await;
    }
}

fn is_restart(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<record::Error>().map(HasStatus::status);
    status == Some(Status::SendRestarted)
}
