//! Reads a journal back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::FRUITLESS_MAX;
use super::seal::is_whole;
use crate::manifest::Tally;
use crate::record::{
    Abandoned, Attempt, LINE_MAX, Lost, Object, Part, Raw, Reader, Run, StreamEnd, Typed, Upload,
};
use crate::store::limits::PARTS_MAX;
use crate::store::{self, Key};

/// What a journal tells of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The run.
    pub run: Run,
    /// How many attempts were started since something was last stored.
    pub fruitless: u32,
    /// The chunks that are not complete, by number.
    pub begun: BTreeMap<u64, Begun>,
    /// The chunks that are complete, by number.
    pub objects: BTreeMap<u64, Object>,
    /// What the stream's end said, when all of it is stored.
    pub end: Option<StreamEnd>,
    /// Why the run was given up, if it was.
    pub abandoned: Option<String>,
}

/// A chunk that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its upload.
    pub upload: store::Upload,
    /// The parts that the store acknowledged, by number.
    pub parts: BTreeMap<u32, Part>,
}

/// How far a run came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It can be gone on with.
    Unfinished,
    /// Everything is stored; what is left is to publish it.
    Uploaded,
    /// It is given up: why.
    GivenUp(String),
}

impl Past {
    /// Reads the journal at `path`; `None` where there is none, or none with a
    /// run in it.
    ///
    /// # Errors
    /// When the file cannot be read. Broken lines are no error: what comes before
    /// the first of them counts.
    pub fn load(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Self::read(BufReader::new(file))?.0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a journal, and counts the bytes of it that are sound.
    ///
    /// # Errors
    /// Those of `input`.
    pub fn read(mut input: impl BufRead) -> io::Result<(Option<Self>, u64)> {
        let (mut past, mut sound, mut line) = (None, 0, Vec::new());
        loop {
            line.clear();
            (&mut input).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
            let whole = line.strip_suffix(b"\n").is_some_and(is_whole);
            if !whole || !take_line(&mut past, &line) {
                return Ok((past, sound));
            }
            sound += line.len() as u64;
        }
    }

    /// How far the run came. An end without all that it sums up is none: a full disk
    /// may have kept a note out.
    pub fn stage(&self) -> Stage {
        match (&self.abandoned, self.end.filter(|end| self.adds_up_to(end))) {
            (Some(reason), _) => Stage::GivenUp(reason.clone()),
            (None, Some(_)) => Stage::Uploaded,
            (None, None) if self.fruitless >= FRUITLESS_MAX => {
                Stage::GivenUp(format!("{} attempts in a row stored nothing", self.fruitless))
            }
            (None, None) => Stage::Unfinished,
        }
    }

    fn adds_up_to(&self, end: &StreamEnd) -> bool {
        let mut tally = Tally::new(Some(self.run.hash));
        let added = self.objects.values().try_for_each(|object| {
            tally.add_numbered(object.index, object.size, &object.digests).map(drop)
        });
        let sums = (tally.chunks(), tally.size(), tally.stream_sha256());
        added.is_ok() && sums == (end.chunks, end.size, end.stream_sha256)
    }

    fn new(run: Run) -> Self {
        let (begun, objects) = Default::default();
        Self { run, fruitless: 0, begun, objects, end: None, abandoned: None }
    }

    /// Takes one record in; `None` when it contradicts those before it.
    fn take(&mut self, raw: Raw) -> Option<()> {
        match raw.kind() {
            Attempt::TYPE => self.fruitless += 1,
            Upload::TYPE => self.take_upload(raw.decode().ok()?)?,
            Part::TYPE => self.take_part(raw.decode().ok()?)?,
            Object::TYPE => {
                let object: Object = raw.decode().ok()?;
                self.begun.remove(&object.index);
                self.fruitless = 0;
                self.objects.insert(object.index, object);
            }
            Lost::TYPE => {
                let lost: Lost = raw.decode().ok()?;
                self.begun.remove(&lost.index);
                self.objects.remove(&lost.index);
                self.end = None;
            }
            <StreamEnd as Typed>::TYPE => self.end = Some(raw.decode().ok()?),
            Abandoned::TYPE => self.abandoned = Some(raw.decode::<Abandoned>().ok()?.reason),
            _ => return None,
        }
        Some(())
    }

    fn take_upload(&mut self, upload: Upload) -> Option<()> {
        let Upload { index, key, upload_id, checksum, part_size } = upload;
        let key: Key = key.parse().ok()?;
        if part_size != self.run.part_size {
            return None;
        }
        let upload = store::Upload { key, id: upload_id, checksum, part_size };
        self.objects.remove(&index);
        self.begun.insert(index, Begun { upload, parts: BTreeMap::new() });
        Some(())
    }

    fn take_part(&mut self, part: Part) -> Option<()> {
        let begun = self.begun.get_mut(&part.index)?;
        if !(1..=PARTS_MAX).contains(&part.number) || part.size > self.run.part_size {
            return None;
        }
        self.fruitless = 0;
        begun.parts.insert(part.number, part);
        Some(())
    }
}

/// Takes one line in; false when it is none that a journal holds.
fn take_line(past: &mut Option<Past>, line: &[u8]) -> bool {
    const KNOWN: &[&str] = &[
        Run::TYPE,
        Attempt::TYPE,
        Upload::TYPE,
        Part::TYPE,
        Object::TYPE,
        Lost::TYPE,
        <StreamEnd as Typed>::TYPE,
        Abandoned::TYPE,
    ];
    // A type that a newer version wrote is passed over, as everywhere.
    let raw = match Reader::new(line, "journal").next(KNOWN) {
        Ok(Some(raw)) => raw,
        Ok(None) => return past.is_some(),
        Err(_) => return false,
    };
    match past {
        Some(past) => past.take(raw).is_some(),
        None if raw.kind() == Run::TYPE => {
            *past = raw.decode().ok().map(Past::new);
            past.is_some()
        }
        None => false,
    }
}
