//! Reads which objects are wanted: the records of a chain or of an upload.

use std::io::BufRead;
use std::ops::Range;

use super::parts::{self, Parts};
use crate::exit::Failure;
use crate::manifest::Tally;
use crate::record::{Backup, Digest, Hash, ListEnd, Object, Raw, Reader, Run, StreamEnd, Typed};
use crate::store::Key;

/// The objects of one or more backups, in the order of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The objects.
    pub items: Vec<Item>,
    /// Where the digests of their parts lie, until they have been read.
    pub sheets: Vec<Sheet>,
}

/// One object and what vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its whole key.
    pub key: Key,
    /// Its size, in bytes; never 0.
    pub size: u64,
    /// Its ETag when it was stored, where that was kept.
    pub etag: Option<String>,
    /// The hash.
    pub hash: Hash,
    /// What the hash must come to.
    pub digest: Digest,
    /// The digests of its parts, where there are any.
    pub parts: Option<Parts>,
}

/// An object with the digests of the parts of a backup's objects, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Its whole key.
    pub key: Key,
    /// The size of every part of an object but its last, in bytes.
    pub part_size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// The backup's objects, as a range of [`Wanted::items`].
    pub items: Range<usize>,
}

/// Reads the records to their end: either `backup` and its `object`s, again and
/// again, then `end`; or one `run`, its `object`s, `end`, as an upload prints
/// them.
///
/// # Errors
/// Those of [`Reader::next`]; [`crate::exit::Status::Data`] when the list is not whole or does
/// not add up.
pub fn read<R: BufRead>(reader: &mut Reader<R>) -> anyhow::Result<Wanted> {
    let mut list = List::default();
    while let Some(raw) = reader.next(&KNOWN)? {
        if list.ended {
            return Err(raw.broken("a record after the end").into());
        }
        match raw.kind() {
            Backup::TYPE => list.backup(raw)?,
            Run::TYPE => list.run(raw)?,
            Object::TYPE => list.object(raw)?,
            _ => list.end(raw)?,
        }
    }
    if !list.ended {
        return Err(Failure::data(
            "the records end without an end record, so the list may be cut: nothing was fetched",
        )
        .into());
    }
    Ok(list.wanted)
}

const KNOWN: [&str; 4] = [Backup::TYPE, Run::TYPE, Object::TYPE, <ListEnd as Typed>::TYPE];

/// The list as far as it was read.
#[derive(Default)]
struct List {
    wanted: Wanted,
    open: Option<Open>,
    backups: u64,
    ended: bool,
}

/// The backup whose objects are being read.
struct Open {
    /// What the `backup` record said; `None` for a run, whose `end` says it.
    said: Option<Sums>,
    tally: Tally,
    /// The size of the parts whose digests the objects carry themselves.
    part_size: Option<u64>,
    /// Where their digests lie otherwise.
    sheet: Option<Sheet>,
}

/// What the objects of one backup add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    chunks: u64,
    size: u64,
    /// Unknown in archives of the existing program.
    stream_sha256: Option<Digest>,
}

impl List {
    fn backup(&mut self, raw: Raw) -> anyhow::Result<()> {
        self.close(&raw)?;
        let place = raw.clone();
        let backup: Backup = raw.decode()?;
        let sheet = parts::sheet(&backup).map_err(|what| place.broken(what))?;
        let start = self.wanted.items.len();
        let sheet = sheet.map(|sheet| Sheet { items: start..start, ..sheet });
        let Backup { chunks, size, stream_sha256, .. } = backup;
        let said = Some(Sums { chunks, size, stream_sha256 });
        self.open = Some(Open { said, tally: Tally::new(None), part_size: None, sheet });
        self.backups += 1;
        Ok(())
    }

    fn run(&mut self, raw: Raw) -> anyhow::Result<()> {
        if self.open.is_some() {
            return Err(raw.broken("a run record within a list").into());
        }
        let place = raw.clone();
        let run: Run = raw.decode()?;
        if !run.filter.is_empty() {
            let what = "filter: this version cannot undo one";
            return Err(place.broken(what).into());
        }
        let (tally, part_size) = (Tally::new(Some(run.hash)), Some(run.part_size));
        self.open = Some(Open { said: None, tally, part_size, sheet: None });
        Ok(())
    }

    fn object(&mut self, raw: Raw) -> anyhow::Result<()> {
        let place = raw.clone();
        let object: Object = raw.decode()?;
        let Some(open) = &mut self.open else {
            return Err(place.broken("an object before any backup or run").into());
        };
        let digest = open
            .tally
            .add_numbered(object.index, object.size, &object.digests)
            .map_err(|wrong| place.broken(wrong.to_string()))?;
        let key = object.key.parse().map_err(|bad| place.broken(format!("key: {bad}")))?;
        let Object { size, etag, parts, .. } = object;
        let given = open.part_size.filter(|_| !parts.is_empty());
        let parts = given
            .map(|part_size| Parts::new(part_size, size, &parts))
            .transpose()
            .map_err(|wrong| place.broken(format!("parts: {wrong}")))?;
        let hash = open.tally.hash();
        self.wanted.items.push(Item { key, size, etag, hash, digest, parts });
        Ok(())
    }

    fn end(&mut self, raw: Raw) -> anyhow::Result<()> {
        let place = raw.clone();
        match &self.open {
            Some(Open { said: None, tally, .. }) => {
                let StreamEnd { chunks, size, stream_sha256 } = raw.decode()?;
                let stream_sha256 = Some(stream_sha256);
                compare(&place, Sums { chunks, size, stream_sha256 }, tally)?;
            }
            _ => {
                self.close(&place)?;
                let ListEnd { backups } = raw.decode()?;
                if backups != self.backups {
                    let count = self.backups;
                    let what = format!("it says {backups} backups, and {count} came");
                    return Err(place.broken(what).into());
                }
            }
        }
        if self.wanted.items.is_empty() {
            return Err(place.broken("a list without any object").into());
        }
        self.ended = true;
        Ok(())
    }

    /// Checks the backup that `next` follows.
    fn close(&mut self, next: &Raw) -> anyhow::Result<()> {
        match self.open.take() {
            Some(Open { said: Some(said), tally, sheet, .. }) => {
                compare(next, said, &tally)?;
                let end = self.wanted.items.len();
                let sheet = sheet.map(|it| Sheet { items: it.items.start..end, ..it });
                self.wanted.sheets.extend(sheet);
                Ok(())
            }
            Some(_) => Err(next.broken("a backup after a run").into()),
            None => Ok(()),
        }
    }
}

fn compare(place: &Raw, said: Sums, tally: &Tally) -> anyhow::Result<()> {
    let (chunks, size) = (tally.chunks(), tally.size());
    if (said.chunks, said.size) != (chunks, size) {
        let what = format!(
            "{chunks} objects with {size} bytes came before, {} with {} were announced",
            said.chunks, said.size
        );
        return Err(place.broken(what).into());
    }
    if said.stream_sha256.is_some_and(|said| said != tally.stream_sha256()) {
        let what = "the digests of the objects before it do not make the announced stream_sha256";
        return Err(place.broken(what).into());
    }
    Ok(())
}
