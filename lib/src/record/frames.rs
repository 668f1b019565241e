//! Reads a framed stream and holds it to its own rules.
//!
//! Promises that what it hands out is a framed stream as [`super::stream`]
//! describes it: the records in order, chunks numbered from 0 without gaps and
//! each (but the last) of the announced size, every payload equal to its CRC-32,
//! every size and total equal to what really came, `stream_sha256` equal to the
//! digest over the chunks' digests, and [`Frame::End`] only when nothing follows
//! it. A stream without `end` is an error however well it began.
//!
//! It does not compute the chunks' own digests: a stage that only passes bytes on
//! is told of damage by the CRCs, and one that writes them out compares the
//! digests itself.

use std::io::BufRead;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{
    Chunk, ChunkEnd, Crc32, Data, Digest, Error, Format, Reader, Stream, StreamEnd, Typed,
};

/// What a framed stream consists of after its `stream` record.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A chunk begins.
    Chunk(Chunk),
    /// Bytes of the chunk.
    Data {
        /// CRC-32 (IEEE) of the payload; it was compared.
        crc32: Crc32,
        /// At least one byte, at most [`super::PAYLOAD_MAX`].
        payload: Bytes,
    },
    /// The chunk is complete.
    ChunkEnd(ChunkEnd),
    /// The stream is complete and nothing follows.
    End(StreamEnd),
}

const KNOWN: [&str; 5] = [Stream::TYPE, Chunk::TYPE, Data::TYPE, ChunkEnd::TYPE, StreamEnd::TYPE];

/// Reads a framed stream from the start to its `end`.
#[derive(Debug)]
pub struct Frames<R> {
    reader: Reader<R>,
    stream: Option<Stream>,
    place: Place,
    /// The number of chunks that are complete.
    chunks: u64,
    /// The size of the last complete chunk.
    last_size: u64,
    /// The bytes of all chunks so far.
    size: u64,
    /// The bytes of the chunk that is open.
    chunk_size: u64,
    digests: Sha256,
}

/// Where in the stream the next record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BetweenChunks,
    InChunk,
    AfterEnd,
}

impl Place {
    fn expected(self) -> &'static str {
        match self {
            Self::BetweenChunks => "chunk or end",
            Self::InChunk => "data or chunk_end",
            Self::AfterEnd => "nothing more",
        }
    }
}

impl<R: BufRead> Frames<R> {
    /// Reads the framed stream that `reader` is at the start of.
    pub fn new(reader: Reader<R>) -> Self {
        Self {
            reader,
            stream: None,
            place: Place::BetweenChunks,
            chunks: 0,
            last_size: 0,
            size: 0,
            chunk_size: 0,
            digests: Sha256::new(),
        }
    }

    /// The `stream` record; it is read on the first call.
    ///
    /// # Errors
    /// Those of [`Reader::next`]; [`Error::Broken`] when the input is empty, does
    /// not begin with a `stream` record, or that record contradicts itself.
    pub fn stream(&mut self) -> Result<Stream, Error> {
        if let Some(stream) = &self.stream {
            return Ok(stream.clone());
        }
        let Some(raw) = self.reader.next(&KNOWN)? else {
            return Err(self.reader.broken("the input is empty, a framed stream should come"));
        };
        if raw.kind() != Stream::TYPE {
            return Err(raw.broken(format!("record {} comes before any stream", raw.kind())));
        }
        let stream: Stream = raw.decode()?;
        contradiction(&stream).map_or(Ok(()), |what| Err(self.reader.broken(what)))?;
        self.stream = Some(stream.clone());
        Ok(stream)
    }

    /// What comes next; reads the `stream` record first where
    /// [`Frames::stream`] was not called. Not to be called after
    /// [`Frame::End`].
    ///
    /// # Errors
    /// Those of [`Reader::next`] and [`Frames::stream`]; [`Error::Broken`] when a
    /// promise of this module is broken.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would let callers take its end for the stream's"
    )]
    pub fn next(&mut self) -> Result<Frame, Error> {
        if self.stream.is_none() {
            self.stream()?;
        }
        let Some(raw) = self.reader.next(&KNOWN)? else { return Err(self.no_end()) };
        match (self.place, raw.kind()) {
            (Place::BetweenChunks, Chunk::TYPE) => self.begin(raw.decode()?),
            (Place::InChunk, Data::TYPE) => self.data(&raw.decode()?),
            (Place::InChunk, ChunkEnd::TYPE) => self.finish(raw.decode()?),
            (Place::BetweenChunks, StreamEnd::TYPE) => self.end(raw.decode()?),
            (place, kind) => {
                let expected = place.expected();
                Err(raw.broken(format!("record {kind} where {expected} should come")))
            }
        }
    }

    /// An [`Error::Broken`] for the record that was just read, for what its
    /// reader finds wrong with it.
    pub fn broken(&self, what: impl Into<String>) -> Error {
        self.reader.broken(what)
    }

    fn begin(&mut self, chunk: Chunk) -> Result<Frame, Error> {
        if chunk.index != self.chunks {
            return Err(self
                .reader
                .broken(format!("chunk {} where chunk {} should come", chunk.index, self.chunks)));
        }
        let full = self.full_size();
        if self.chunks > 0 && self.last_size != full {
            return Err(self.reader.broken(format!(
                "chunk {} follows a chunk of {} bytes, all but the last have {full}",
                chunk.index, self.last_size
            )));
        }
        self.place = Place::InChunk;
        self.chunk_size = 0;
        Ok(Frame::Chunk(chunk))
    }

    fn data(&mut self, data: &Data) -> Result<Frame, Error> {
        let payload = self.reader.payload()?;
        let actual = Crc32(crc32fast::hash(&payload));
        if actual != data.crc32 {
            return Err(self.reader.broken(format!(
                "the payload's CRC-32 is {actual}, the record says {}",
                data.crc32
            )));
        }
        // Counts bytes that were really read: 2^64 of them never come.
        self.chunk_size += payload.len() as u64;
        let full = self.full_size();
        if self.chunk_size > full {
            return Err(self
                .reader
                .broken(format!("chunk {} is larger than {full} bytes", self.chunks)));
        }
        Ok(Frame::Data { crc32: data.crc32, payload })
    }

    fn finish(&mut self, end: ChunkEnd) -> Result<Frame, Error> {
        let (index, size) = (self.chunks, self.chunk_size);
        if end.index != index {
            return Err(self
                .reader
                .broken(format!("the end of chunk {} within chunk {index}", end.index)));
        }
        if end.size != size || size == 0 {
            return Err(self.reader.broken(format!(
                "chunk {index} ends after {size} bytes, its end says {}",
                end.size
            )));
        }
        let hash = self.stream.as_ref().map(|stream| stream.hash);
        let Some((_, digest)) = end.digests.one().filter(|(used, _)| Some(*used) == hash) else {
            return Err(self.reader.broken(format!(
                "the end of chunk {index} does not carry the digest that the stream announced"
            )));
        };
        self.digests.update(digest.0);
        self.chunks += 1;
        self.last_size = size;
        self.size += size;
        self.place = Place::BetweenChunks;
        Ok(Frame::ChunkEnd(end))
    }

    fn end(&mut self, end: StreamEnd) -> Result<Frame, Error> {
        let seen = StreamEnd {
            chunks: self.chunks,
            size: self.size,
            stream_sha256: Digest(self.digests.clone().finalize().into()),
        };
        if (end.chunks, end.size) != (seen.chunks, seen.size) || end.chunks == 0 {
            return Err(self.reader.broken(format!(
                "the end counts {} chunks of {} bytes, {} of {} bytes came",
                end.chunks, end.size, seen.chunks, seen.size
            )));
        }
        if end.stream_sha256 != seen.stream_sha256 {
            return Err(self.reader.broken(format!(
                "stream_sha256 is {}, that of the chunks that came is {}",
                end.stream_sha256, seen.stream_sha256
            )));
        }
        self.place = Place::AfterEnd;
        match self.reader.next(&KNOWN)? {
            None => Ok(Frame::End(end)),
            Some(raw) => Err(raw.broken(format!("record {} after the end", raw.kind()))),
        }
    }

    /// The announced size of every chunk but the last.
    fn full_size(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.chunk_size)
    }

    fn no_end(&self) -> Error {
        self.reader.broken(format!(
            "the input ends without an end record, after {} bytes: the stage before this one failed",
            self.size + if self.place == Place::InChunk { self.chunk_size } else { 0 }
        ))
    }
}

/// What in a `stream` record contradicts the rest of it.
fn contradiction(stream: &Stream) -> Option<&'static str> {
    if stream.chunk_size == 0 {
        return Some("chunk_size is 0");
    }
    let named = [
        stream.send_version.is_some(),
        stream.snapshot_name.is_some(),
        stream.uuid.is_some(),
        stream.ctransid.is_some(),
    ];
    let parent = [stream.parent_uuid.is_some(), stream.parent_ctransid.is_some()];
    match stream.format {
        Format::BtrfsSend if named.contains(&false) => {
            Some("a stream of format btrfs-send does not name its snapshot")
        }
        Format::BtrfsSend if parent[0] != parent[1] => Some("the parent is named by half"),
        Format::Raw if named.contains(&true) || parent.contains(&true) => {
            Some("a stream of format raw names a snapshot")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
