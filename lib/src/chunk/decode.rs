//! Turns a framed stream back into the raw one, or shows its records.

use std::io::{BufRead, Write};

use anyhow::Context;

use super::cut::WRITING;
use crate::hasher::Hasher;
use crate::record::{self, ChunkEnd, Frame, Frames, StreamEnd, Writer};

/// Reads a framed stream and also compares each chunk's digest with its bytes.
struct Verified<R> {
    frames: Frames<R>,
    hasher: Option<Hasher>,
}

impl<R: BufRead> Verified<R> {
    fn next(&mut self) -> anyhow::Result<Frame> {
        let frame = self.frames.next()?;
        match &frame {
            Frame::Chunk(_) => {
                let hash = self.frames.stream()?.hash;
                self.hasher = Some(Hasher::new(hash));
            }
            Frame::Data { payload, .. } => {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(payload);
                }
            }
            Frame::ChunkEnd(end) => self.compare(end)?,
            Frame::End(_) => {}
        }
        Ok(frame)
    }

    fn compare(&mut self, end: &ChunkEnd) -> Result<(), record::Error> {
        let actual = self.hasher.take().map(Hasher::finish);
        let said = end.digests.one().map(|(_, digest)| digest);
        match (said, actual) {
            (Some(said), Some(actual)) if said == actual => Ok(()),
            (Some(said), Some(actual)) => Err(self.frames.broken(format!(
                "chunk {} has the digest {actual}, its end says {said}",
                end.index
            ))),
            // Frames lets no end of a chunk pass without its digest and its bytes.
            _ => Err(self.frames.broken(format!("chunk {} has no digest", end.index))),
        }
    }
}

/// Writes the bytes that `frames` holds to `sink`. A payload is written once its
/// CRC was compared, a chunk's digest is compared at its end; nothing is written
/// after a mismatch. Only a return without error says that all of it was right.
///
/// # Errors
/// [`record::Error`] when the framing is broken or a digest is wrong, those of the
/// sink.
pub fn decode<R: BufRead, W: Write>(frames: Frames<R>, mut sink: W) -> anyhow::Result<StreamEnd> {
    let mut verified = Verified { frames, hasher: None };
    loop {
        match verified.next()? {
            Frame::Data { payload, .. } => sink.write_all(&payload).context(WRITING)?,
            Frame::Chunk(_) | Frame::ChunkEnd(_) => {}
            Frame::End(end) => {
                sink.flush().context(WRITING)?;
                return Ok(end);
            }
        }
    }
}

/// Writes the records that `frames` holds to `sink`, but for the `data` records.
/// All is checked as by [`decode`].
///
/// # Errors
/// As [`decode`].
pub fn list<R: BufRead, W: Write>(frames: Frames<R>, sink: W) -> anyhow::Result<StreamEnd> {
    let mut writer = Writer::new(sink);
    let mut verified = Verified { frames, hasher: None };
    writer.write(&verified.frames.stream()?).context(WRITING)?;
    loop {
        match verified.next()? {
            Frame::Data { .. } => {}
            Frame::Chunk(chunk) => writer.write(&chunk).context(WRITING)?,
            Frame::ChunkEnd(end) => writer.write(&end).context(WRITING)?,
            Frame::End(end) => {
                writer.write(&end).context(WRITING)?;
                writer.flush().context(WRITING)?;
                return Ok(end);
            }
        }
    }
}
