//! Cuts a stream into chunks and frames them.

use std::io::{self, Read, Write};

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::plan::carried_out;
use super::settings::{Cutting, Payloads};
use crate::exit::Failure;
use crate::hasher::Hasher;
use crate::record::{
    self, Chunk, ChunkEnd, Digest, Digests, Format, Stream, StreamEnd, Typed, Writer,
};
use crate::send_stream::{Checker, Identity};

/// The largest payload of a `data` record that is written, in bytes, and the
/// size of the one buffer that the input is read into.
pub const PAYLOAD: usize = 1 << 20;

/// Frames the bytes that are written to it. It gets the input in slices of any
/// size; [`Cutter::finish`] writes the `end`, nothing else does.
#[derive(Debug)]
pub struct Cutter<W> {
    writer: Writer<W>,
    cutting: Cutting,
    /// There for a send stream, not for raw bytes.
    checker: Option<Checker>,
    /// The input so far, until a send stream has named its snapshot: at most a
    /// little over 64 KiB and one slice.
    held: Vec<u8>,
    begun: bool,
    index: u64,
    /// The bytes of the chunk that is open; none is open at 0.
    filled: u64,
    size: u64,
    hasher: Hasher,
    digests: Sha256,
}

/// Reads all of `source` into `cutter`.
///
/// # Errors
/// Those of `source`, and of [`Cutter::write`].
pub fn pump<R: Read, W: Write>(mut source: R, cutter: &mut Cutter<W>) -> anyhow::Result<()> {
    let mut buffer = vec![0; PAYLOAD];
    loop {
        let len = fill(&mut source, &mut buffer).context("cannot read the input")?;
        if len == 0 {
            return Ok(());
        }
        cutter.write(&buffer[..len])?;
    }
}

/// Reads until `buffer` is full or the input ends: a pipe gives 64 KiB at once,
/// and payloads of that size would cost a record each.
fn fill<R: Read>(source: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match source.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(len)
}

impl<W: Write> Cutter<W> {
    /// A cutter that writes to `sink`.
    pub fn new(sink: W, cutting: Cutting) -> Self {
        Self {
            writer: Writer::new(sink),
            checker: (cutting.format == Format::BtrfsSend).then(Checker::new),
            held: Vec::new(),
            begun: false,
            index: 0,
            filled: 0,
            size: 0,
            hasher: Hasher::new(cutting.hash),
            digests: Sha256::new(),
            cutting,
        }
    }

    /// Takes the next bytes of the input. They are written only after the check
    /// of a send stream let them pass.
    ///
    /// # Errors
    /// [`crate::send_stream::Error`] when the send stream is no whole backup, a
    /// [`Failure`] when it is not what the plan asks for, those of the sink.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if let Some(checker) = &mut self.checker {
            checker.feed(bytes)?;
        }
        if self.begun {
            return self.frame(bytes);
        }
        self.held.extend_from_slice(bytes);
        if let Some(stream) = self.opening()? {
            self.record(&stream)?;
            self.begun = true;
            let held = std::mem::take(&mut self.held);
            self.frame(&held)?;
        }
        Ok(())
    }

    /// The input has ended, and well: writes the `end`.
    ///
    /// # Errors
    /// [`crate::send_stream::Error`] when the send stream is not complete, a
    /// [`Failure`] when there was no input, those of the sink.
    pub fn finish(mut self) -> anyhow::Result<StreamEnd> {
        if let Some(checker) = self.checker.take() {
            checker.finish()?;
        }
        if self.size == 0 {
            return Err(Failure::data("the input is empty").into());
        }
        if self.filled > 0 {
            self.end_chunk()?;
        }
        let end = StreamEnd {
            chunks: self.index,
            size: self.size,
            stream_sha256: Digest(std::mem::take(&mut self.digests).finalize().into()),
        };
        self.record(&end)?;
        self.writer.flush().context(WRITING)?;
        Ok(end)
    }

    /// The `stream` record, once all that it says is known.
    fn opening(&self) -> Result<Option<Stream>, Failure> {
        let identity = match &self.checker {
            None => None,
            Some(checker) => match checker.identity() {
                None => return Ok(None),
                identity => identity,
            },
        };
        if let (Some(identity), Some(plan)) = (identity, &self.cutting.plan) {
            carried_out(plan, identity)?;
        }
        Ok(Some(stream_record(&self.cutting, identity)))
    }

    fn frame(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            if self.filled == 0 {
                self.record(&Chunk { index: self.index })?;
            }
            let room = (self.cutting.chunk_size - self.filled).min(PAYLOAD as u64);
            // Within PAYLOAD, so it fits a usize.
            let (payload, rest) = bytes.split_at(bytes.len().min(room as usize));
            self.hasher.update(payload);
            if self.cutting.payloads == Payloads::Written {
                let crc32 = crc32fast::hash(payload);
                self.writer.write_data(payload, crc32).context(WRITING)?;
            }
            self.filled += payload.len() as u64;
            self.size += payload.len() as u64;
            if self.filled == self.cutting.chunk_size {
                self.end_chunk()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> anyhow::Result<()> {
        let hash = self.cutting.hash;
        let digest = std::mem::replace(&mut self.hasher, Hasher::new(hash)).finish();
        self.digests.update(digest.0);
        let (index, size) = (self.index, self.filled);
        self.record(&ChunkEnd { index, size, digests: Digests::of(hash, digest) })?;
        self.index += 1;
        self.filled = 0;
        Ok(())
    }

    fn record<T: serde::Serialize + Typed>(&mut self, record: &T) -> anyhow::Result<()> {
        self.writer.write(record).context(WRITING)
    }
}

/// What was being done when the sink failed.
pub(super) const WRITING: &str = "cannot write to stdout";

fn stream_record(cutting: &Cutting, identity: Option<&Identity>) -> Stream {
    let parent = identity.and_then(|identity| identity.parent);
    Stream {
        version: record::VERSION,
        format: cutting.format,
        send_version: identity.map(|identity| identity.version),
        chunk_size: cutting.chunk_size,
        hash: cutting.hash,
        snapshot_name: identity.map(|identity| identity.snapshot_name.clone()),
        uuid: identity.map(|identity| identity.uuid),
        ctransid: identity.map(|identity| identity.ctransid),
        parent_uuid: parent.map(|parent| parent.uuid),
        parent_ctransid: parent.map(|parent| parent.ctransid),
        plan: cutting.plan.clone(),
    }
}
