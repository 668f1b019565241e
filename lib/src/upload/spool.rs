//! Parts that wait on disk for their turn.
//!
//! One file without a name, in slots of one part each, so that what a dead
//! process leaves is nothing. It never grows beyond its cap. What comes back is
//! compared with the CRC-32 of what went in.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::exit::{Failure, Status};
use crate::store::PartBody;

/// Where parts may wait, and how many bytes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooling {
    /// The directory.
    pub dir: PathBuf,
    /// The cap, in bytes.
    pub size: u64,
}

/// A file with room for a number of parts. Clones share it.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    dir: PathBuf,
    part_size: u64,
    /// One permit a free slot.
    room: Arc<Semaphore>,
    /// The free slots; the last one is used next, so that the file stays small.
    free: Mutex<Vec<u32>>,
}

/// A part that waits on disk. Its slot is free again when this is dropped.
#[derive(Debug)]
pub struct Spooled {
    spool: Arc<Inner>,
    slot: u32,
    len: u64,
    crc32: u32,
    _room: OwnedSemaphorePermit,
}

impl Spooling {
    /// What the config asks for.
    pub fn of(config: &Config) -> Option<Self> {
        let dir = config.global.spool_dir.clone().filter(|_| config.s3.spool_enabled)?;
        Some(Self { dir, size: config.global.spool_size_bytes })
    }
}

impl Spool {
    /// A spool for parts of `part_size` bytes.
    ///
    /// # Errors
    /// [`Status::Config`] when the directory is not there or the cap holds no
    /// part, [`Status::Io`] when no file can be made.
    pub fn new(spooling: &Spooling, part_size: u64) -> Result<Self, Failure> {
        let Spooling { dir, size } = spooling;
        let slots = u32::try_from(size / part_size).unwrap_or(u32::MAX);
        if slots == 0 {
            return Err(Failure::config(format!(
                "global.spool_size_bytes is {size}, and holds no part of {part_size} bytes: raise it, \
                 or set s3.spool_enabled = false"
            )));
        }
        if !dir.is_dir() {
            return Err(Failure::config(format!(
                "global.spool_dir {} is not there: mount its disk, or make the directory",
                dir.display()
            )));
        }
        let file = tempfile::tempfile_in(dir).map_err(|error| {
            let dir = dir.display();
            Failure::new(Status::Io, format!("cannot make a spool file in {dir}: {error}"))
        })?;
        // As many as can be addressed: a permit is not memory.
        let room = Arc::new(Semaphore::new(slots as usize));
        let free = Mutex::new((0..slots).rev().collect());
        Ok(Self(Arc::new(Inner { file, dir: dir.clone(), part_size, room, free })))
    }

    /// Waits until a slot is free.
    pub async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.0.room.clone().acquire_owned().await.ok()
    }

    /// Writes a part into the slot that `room` promises. Blocks.
    ///
    /// # Errors
    /// [`Status::Io`] when the disk does not take it.
    pub fn put(&self, body: &PartBody, room: OwnedSemaphorePermit) -> Result<Spooled, Failure> {
        let inner = &self.0;
        let slot = inner.free().pop();
        // There are as many permits as free slots; a slot is given back first.
        let slot =
            slot.ok_or_else(|| inner.failed("find room", &io::ErrorKind::StorageFull.into()))?;
        let spooled = Spooled {
            spool: Arc::clone(inner),
            slot,
            len: body.len,
            crc32: body.crc32,
            _room: room,
        };
        inner
            .write(spooled.offset(), &body.pieces)
            .map_err(|error| inner.failed("write", &error))?;
        Ok(spooled)
    }
}

impl Spooled {
    /// Reads the part back, and frees its slot.
    ///
    /// # Errors
    /// [`Status::Io`] when the disk does not give it back as it was.
    pub async fn load(self) -> Result<PartBody, Failure> {
        let loaded = tokio::task::spawn_blocking(move || self.read());
        loaded.await.map_err(|died| Failure::new(Status::Io, died.to_string()))?
    }

    fn read(&self) -> Result<PartBody, Failure> {
        // A part's length fits: its bytes were in memory.
        let mut bytes = vec![0; self.len as usize];
        let read = self.spool.file.read_exact_at(&mut bytes, self.offset());
        read.map_err(|error| self.spool.failed("read", &error))?;
        if crc32fast::hash(&bytes) != self.crc32 {
            let dir = self.spool.dir.display();
            let what = format!("the spool in {dir} gave other bytes back than it got: a bad disk?");
            return Err(Failure::new(Status::Io, what));
        }
        Ok(PartBody { pieces: vec![Bytes::from(bytes)], len: self.len, crc32: self.crc32 })
    }

    fn offset(&self) -> u64 {
        u64::from(self.slot) * self.spool.part_size
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.free().push(self.slot);
    }
}

impl Inner {
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        // Pushing and popping leaves no half-done change.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.file.write_all_at(piece, offset)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    fn failed(&self, action: &str, error: &io::Error) -> Failure {
        let what = format!(
            "cannot {action} the spool in {}: {error}; make room there, or lower \
             global.spool_size_bytes",
            self.dir.display()
        );
        Failure::new(Status::Io, what)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn spool(size: u64) -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(&Spooling { dir: dir.path().to_owned(), size }, 10).unwrap();
        (dir, spool)
    }

    fn body(bytes: &'static [u8]) -> PartBody {
        PartBody {
            pieces: bytes.chunks(3).map(Bytes::from_static).collect(),
            len: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
        }
    }

    #[tokio::test]
    async fn parts_come_back_as_they_went_in_and_their_slots_are_used_again() {
        let (_dir, spool) = spool(25);
        for round in 0..3 {
            let first = spool.put(&body(b"0123456789"), spool.room().await.unwrap()).unwrap();
            let second = spool.put(&body(b"abc"), spool.room().await.unwrap()).unwrap();
            let third = spool.room();
            tokio::pin!(third);
            assert!(futures::poll!(third.as_mut()).is_pending(), "round {round}: a cap of two");
            assert_eq!(first.load().await.unwrap().pieces.concat(), b"0123456789");
            let third = spool.put(&body(b"XYZ"), third.await.unwrap()).unwrap();
            assert_eq!(third.load().await.unwrap().pieces.concat(), b"XYZ");
            assert_eq!(second.load().await.unwrap().pieces.concat(), b"abc");
        }
        assert!(spool.0.file.metadata().unwrap().len() <= 20);
    }

    #[tokio::test]
    async fn nothing_of_a_spool_can_be_left_behind() {
        let (dir, spool) = spool(20);
        let _spooled = spool.put(&body(b"abc"), spool.room().await.unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn bytes_that_the_disk_changed_are_not_sent() {
        let (_dir, spool) = spool(20);
        let spooled = spool.put(&body(b"abc"), spool.room().await.unwrap()).unwrap();
        spool.0.file.write_all_at(b"X", spooled.offset() + 1).unwrap();
        let error = spooled.load().await.unwrap_err();
        assert_eq!(error.status, Status::Io);
        assert!(error.message.contains("other bytes"), "{error}");
    }

    #[test]
    fn a_spool_that_cannot_be_is_refused_with_the_key_to_change() {
        let dir = tempfile::tempdir().unwrap();
        let new =
            |dir: &Path, size| Spool::new(&Spooling { dir: dir.to_owned(), size }, 10).unwrap_err();
        for (failure, words) in [
            (new(dir.path(), 9), "spool_size_bytes is 9, and holds no part of 10 bytes"),
            (new(&dir.path().join("not mounted"), 20), "is not there: mount its disk"),
        ] {
            assert_eq!(failure.status, Status::Config);
            assert!(failure.message.contains(words), "{failure}");
        }
    }
}
