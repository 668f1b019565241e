//! Turns frames into parts, on a thread of its own.
//!
//! Reading blocks, and a reader that waits for bytes must not hold up the parts
//! that are under way. A permit is taken before a part is begun and travels with
//! it, so the number of permits bounds the memory: a part that is being gathered
//! counts as much as one that is being sent. Where there is a spool, a part that
//! would make the reader wait goes to disk instead, and takes a permit when it
//! comes back.

use std::io::BufRead;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::part::Gatherer;
use super::spool::{Spool, Spooled};
use crate::record::{ChunkEnd, Frame, Frames, StreamEnd};
use crate::store::PartBody;

/// What the thread found, in the order of the stream.
#[derive(Debug)]
pub enum Event {
    /// A part is complete.
    Part {
        /// Its chunk's number.
        chunk: u64,
        /// Its number within the chunk, counted from 1.
        number: u32,
        /// Its bytes.
        body: Waiting,
    },
    /// A chunk is complete; it has `parts` parts.
    Chunk {
        /// What the stream says of it.
        end: ChunkEnd,
        /// The number of its parts.
        parts: u32,
    },
    /// The stream is complete and proven.
    End(StreamEnd),
}

/// A part that waits for its turn.
#[derive(Debug)]
pub enum Waiting {
    /// In memory; the permit is its share of the budget.
    Held(PartBody, OwnedSemaphorePermit),
    /// On disk, and on the budget's waiting list when its turn comes.
    Spooled(Spooled, Arc<Semaphore>),
}

impl Waiting {
    /// The part in memory, and the permit to drop when it is not needed there.
    ///
    /// # Errors
    /// Those of [`Spooled::load`].
    pub async fn load(self) -> anyhow::Result<(PartBody, OwnedSemaphorePermit)> {
        match self {
            Self::Held(body, permit) => Ok((body, permit)),
            Self::Spooled(spooled, budget) => {
                let permit = budget.acquire_owned().await?;
                Ok((spooled.load().await?, permit))
            }
        }
    }
}

/// Reads `frames` to their end on a thread of its own, with at most `parts` parts
/// in memory. What it finds, or the error that ended it, comes out of the channel;
/// nothing comes after either.
pub fn start<R: BufRead + Send + 'static>(
    frames: Frames<R>,
    part_size: u64,
    parts: usize,
    spool: Option<Spool>,
) -> mpsc::Receiver<anyhow::Result<Event>> {
    let (sender, receiver) = mpsc::channel(1);
    let source = Source {
        frames,
        gatherer: Gatherer::new(part_size),
        budget: Arc::new(Semaphore::new(parts)),
        permit: None,
        spool,
        runtime: Handle::current(),
        sender,
        chunk: 0,
        number: 0,
    };
    // Not a task of the runtime: that would wait for a read that never returns.
    std::thread::spawn(move || source.run());
    receiver
}

struct Source<R> {
    frames: Frames<R>,
    gatherer: Gatherer,
    budget: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    spool: Option<Spool>,
    runtime: Handle,
    sender: mpsc::Sender<anyhow::Result<Event>>,
    chunk: u64,
    number: u32,
}

/// The engine dropped its end of the channel: it failed, and said so itself.
struct Gone;

impl<R: BufRead> Source<R> {
    fn run(mut self) {
        loop {
            let done = match self.frames.next() {
                Ok(frame) => match self.take(frame) {
                    Ok(done) => done,
                    Err(Gone) => return,
                },
                Err(error) => {
                    let _ = self.sender.blocking_send(Err(error.into()));
                    return;
                }
            };
            if done {
                return;
            }
        }
    }

    /// Deals with one frame; true after the last one.
    fn take(&mut self, frame: Frame) -> Result<bool, Gone> {
        match frame {
            Frame::Chunk(chunk) => {
                self.chunk = chunk.index;
                self.number = 0;
            }
            Frame::Data { crc32, payload } => {
                let mut next = Some((payload, crc32.0));
                while let Some((piece, crc32)) = next {
                    self.reserve()?;
                    let (part, rest) = self.gatherer.add(piece, crc32);
                    self.send_part(part)?;
                    next = rest;
                }
            }
            Frame::ChunkEnd(end) => {
                let rest = self.gatherer.rest();
                self.send_part(rest)?;
                self.send(Event::Chunk { end, parts: self.number })?;
            }
            Frame::End(end) => {
                self.send(Event::End(end))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until the budget has room for the part that is to be gathered.
    fn reserve(&mut self) -> Result<(), Gone> {
        if self.permit.is_none() {
            let permit = self.runtime.block_on(self.budget.clone().acquire_owned());
            self.permit = Some(permit.map_err(|_| Gone)?);
        }
        Ok(())
    }

    fn send_part(&mut self, body: Option<PartBody>) -> Result<(), Gone> {
        let Some(body) = body else { return Ok(()) };
        let body = self.find_room(body)?;
        self.number += 1;
        self.send(Event::Part { chunk: self.chunk, number: self.number, body })
    }

    /// Where the part waits. With a spool, whatever is free first: memory for the
    /// next part, or a slot on disk for this one.
    fn find_room(&mut self, body: PartBody) -> Result<Waiting, Gone> {
        // There since the first byte of this part was taken.
        let permit = self.permit.take().ok_or(Gone)?;
        let Some(spool) = &self.spool else { return Ok(Waiting::Held(body, permit)) };
        let (memory, disk) = self.runtime.block_on(async {
            tokio::select! {
                biased;
                memory = self.budget.clone().acquire_owned() => (memory.ok(), None),
                disk = spool.room() => (None, disk),
            }
        });
        let Some(room) = disk else {
            self.permit = memory;
            return Ok(Waiting::Held(body, permit));
        };
        self.permit = Some(permit);
        match spool.put(&body, room) {
            Ok(spooled) => Ok(Waiting::Spooled(spooled, Arc::clone(&self.budget))),
            Err(failure) => {
                let _ = self.sender.blocking_send(Err(failure.into()));
                Err(Gone)
            }
        }
    }

    fn send(&self, event: Event) -> Result<(), Gone> {
        self.sender.blocking_send(Ok(event)).map_err(|_| Gone)
    }
}
