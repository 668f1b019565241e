//! Reads what an upload left behind, and refuses whatever is not a whole backup.

use std::io::BufRead;

use crate::exit::Failure;
use crate::manifest::{PartDigests, Tally};
use crate::names::Kind;
use crate::record::{self, Format, Object, Raw, Reader, Run, Snapshot, StreamEnd, Typed};

/// A finished upload: its records agree with each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The run.
    pub run: Run,
    /// What the stream says of its snapshot.
    pub snapshot: Snapshot,
    /// The chunks in order, without their part digests.
    pub objects: Vec<Object>,
    /// The part digests of all chunks in order, 32 bytes each; empty when the
    /// upload kept none.
    pub parts: Vec<u8>,
    /// The sums.
    pub end: StreamEnd,
}

/// Reads the records of one upload: `run`, `object`…, `end`.
///
/// # Errors
/// Those of [`Reader::next`]; [`crate::exit::Status::Data`] when the list is not whole, does
/// not add up, or is of something that cannot be published.
pub fn read<R: BufRead>(reader: &mut Reader<R>) -> anyhow::Result<Finished> {
    let run: Run = match reader.next(&KNOWN)? {
        Some(raw) if raw.kind() == Run::TYPE => raw.decode()?,
        Some(raw) => return Err(raw.broken("a run record must come first").into()),
        None => return Err(cut().into()),
    };
    let snapshot = publishable(&run)?;
    let mut body = Body { tally: Tally::new(Some(run.hash)), objects: Vec::new(), parts: vec![] };
    let end = loop {
        match reader.next(&KNOWN)? {
            Some(raw) if raw.kind() == Object::TYPE => body.take(raw, &run)?,
            Some(raw) if raw.kind() == StreamEnd::TYPE => break body.end(raw)?,
            Some(raw) => return Err(raw.broken("a second run in one list").into()),
            None => return Err(cut().into()),
        }
    };
    if let Some(raw) = reader.next(&KNOWN)? {
        return Err(raw.broken("a record after the end").into());
    }
    Ok(Finished { run, snapshot, objects: body.objects, parts: body.parts, end })
}

const KNOWN: [&str; 3] = [Run::TYPE, Object::TYPE, <StreamEnd as Typed>::TYPE];

fn cut() -> Failure {
    Failure::data(
        "the records end without an end record: the upload did not finish, nothing was published",
    )
}

/// Whether a backup of this run has a place in a chain.
fn publishable(run: &Run) -> Result<Snapshot, Failure> {
    let backup = &run.backup;
    let refuse = |why: &str| Failure::data(format!("{backup} cannot be published: {why}"));
    let (Format::BtrfsSend, Some(snapshot)) = (run.format, &run.snapshot) else {
        return Err(refuse(
            "it is a raw stream and not a snapshot; keep these records, \
             `bts-get < RECORDS` brings the bytes back",
        ));
    };
    if !run.filter.is_empty() {
        return Err(refuse("it went through a filter, which this version cannot undo"));
    }
    if run.kind != backup.kind {
        let kind = run.kind.word();
        return Err(refuse(&format!("the stream is {kind}, and its id says otherwise")));
    }
    let parent = (snapshot.parent_uuid.is_some(), run.parent_manifest.is_some());
    match (run.kind, parent) {
        (Kind::Full, (false, false)) | (Kind::Incremental, (true, true)) => Ok(snapshot.clone()),
        (Kind::Full, _) => Err(refuse("it is a full that names a parent")),
        (Kind::Incremental, (_, false)) => Err(refuse(
            "the stream needs a parent, and the run names no manifest of one; \
             give bts-chunk the plan (--plan)",
        )),
        (Kind::Incremental, _) => Err(refuse("the stream does not name its parent")),
    }
}

/// The chunks as they come in.
struct Body {
    tally: Tally,
    objects: Vec<Object>,
    parts: Vec<u8>,
}

impl Body {
    fn take(&mut self, raw: Raw, run: &Run) -> anyhow::Result<()> {
        let place = raw.clone();
        let mut object: Object = raw.decode()?;
        self.tally
            .add_numbered(object.index, object.size, &object.digests)
            .map_err(|wrong| place.broken(wrong.to_string()))?;
        if self.objects.last().is_some_and(|last| last.size != run.chunk_size)
            || object.size > run.chunk_size
        {
            let size = run.chunk_size;
            let what = format!("only the last chunk may differ from the chunk size, {size} bytes");
            return Err(place.broken(what).into());
        }
        self.take_parts(&mut object, run).map_err(|what| place.broken(what))?;
        self.objects.push(object);
        Ok(())
    }

    /// Either every chunk has the digests of all its parts or none has any.
    fn take_parts(&mut self, object: &mut Object, run: &Run) -> Result<(), String> {
        let digests = std::mem::take(&mut object.parts);
        let others_have = !self.parts.is_empty();
        let first = self.objects.is_empty();
        if digests.is_empty() && (first || !others_have) {
            return Ok(());
        }
        let expected = PartDigests::expected(run.part_size, [object.size]);
        if expected != Some(digests.len() as u64) || !(first || others_have) {
            let (count, size) = (digests.len(), run.part_size);
            return Err(format!(
                "parts: {count} part digests do not fit {} bytes in parts of {size}",
                object.size
            ));
        }
        self.parts.extend(digests.iter().flat_map(|digest| digest.0));
        Ok(())
    }

    fn end(&self, raw: Raw) -> Result<StreamEnd, record::Error> {
        let place = raw.clone();
        let end: StreamEnd = raw.decode()?;
        let sums = StreamEnd {
            chunks: self.tally.chunks(),
            size: self.tally.size(),
            stream_sha256: self.tally.stream_sha256(),
        };
        if sums.chunks == 0 {
            return Err(place.broken("a backup without any chunk"));
        }
        if sums != end {
            return Err(place.broken(format!(
                "it says {} chunks, {} bytes, digest {}; the objects before it add up to {}, {}, {}",
                end.chunks, end.size, end.stream_sha256, sums.chunks, sums.size, sums.stream_sha256
            )));
        }
        Ok(end)
    }
}
