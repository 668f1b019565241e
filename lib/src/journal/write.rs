//! Writes a journal, line by line.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;

use super::Past;
use super::seal::seal;
use crate::exit::{Failure, Status};
use crate::record::{Attempt, Part, Run, Typed, to_line};
use crate::time::Time;

/// How long the note of a stored part may wait for being synced.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A journal that this process writes, and no other meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<Tail>,
}

/// The end of the file.
#[derive(Debug)]
struct Tail {
    file: Flock<File>,
    /// The length of what is sound in it, in bytes.
    len: u64,
    synced: Instant,
    /// The last note could not be written, and somebody was told.
    failing: bool,
}

impl Journal {
    /// Opens the journal at `path`, or makes it, and reads what is in it. Damage
    /// at its end is cut off.
    ///
    /// # Errors
    /// [`Status::TryLater`] when another process writes it, [`Status::Usage`] when
    /// the file is no journal, [`Status::Io`] when it cannot be opened or read.
    pub fn open(path: &Path) -> Result<(Self, Option<Past>), Failure> {
        let failed = |error: io::Error| {
            let path = path.display();
            let what = format!("cannot open the journal {path}: {error}");
            Failure::new(Status::Io, what)
        };
        let file = make(path).map_err(failed)?;
        let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(
            |(_, errno)| match errno {
                Errno::EWOULDBLOCK => Failure::new(
                    Status::TryLater,
                    format!("another bts-put is at work on the run of {}", path.display()),
                ),
                errno => failed(errno.into()),
            },
        )?;
        refuse_others(path, &file)?;
        let (past, len) = Past::read(BufReader::new(&*file)).map_err(failed)?;
        let end = io::SeekFrom::Start(len);
        file.set_len(len).and_then(|()| file.seek(end)).map_err(failed)?;
        let tail = Tail { file, len, synced: Instant::now(), failing: false };
        Ok((Self { path: path.to_owned(), file: Mutex::new(tail) }, past))
    }

    /// Begins the journal of a new run; what was in it is gone.
    ///
    /// # Errors
    /// [`Status::Io`]: without the run's record nothing may be stored.
    pub fn begin(&self, run: &Run) -> Result<(), Failure> {
        let mut tail = self.tail();
        let begin = |tail: &mut Tail| {
            tail.cut(0)?;
            tail.append(run)?;
            tail.append(&Attempt { at: Time::now() })?;
            tail.sync()?;
            // The name has to survive as well.
            File::open(folder_of(&self.path))?.sync_all()
        };
        begin(&mut tail).map_err(|error| {
            let path = self.path.display();
            Failure::new(Status::Io, format!("cannot write the journal {path}: {error}"))
        })
    }

    /// Notes something that a rerun can do without: it costs time, and no more,
    /// where it cannot be written. That is warned about, once.
    pub fn note<T: Serialize + Typed>(&self, record: &T) {
        let mut tail = self.tail();
        let len = tail.len;
        let part = T::TYPE == Part::TYPE;
        let due = !part || tail.synced.elapsed() >= SYNC_EVERY;
        let noted = tail.append(record).and_then(|()| if due { tail.sync() } else { Ok(()) });
        match noted {
            Ok(()) => tail.failing = false,
            Err(error) => {
                // Half a line would hide all that come after it.
                let _ = tail.cut(len);
                if !std::mem::replace(&mut tail.failing, true) {
                    log::warn!(
                        "cannot write the journal {}: {error}; an interrupted upload will cost more",
                        self.path.display()
                    );
                }
            }
        }
    }

    fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        // A thread that died while it wrote left half a line at worst.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn append<T: Serialize + Typed>(&mut self, record: &T) -> io::Result<()> {
        let mut line = seal(&to_line(record)?);
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.len += line.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = Instant::now();
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.seek(io::SeekFrom::Start(len))?;
        self.len = len;
        Ok(())
    }
}

/// Opens the file, and makes it and its folder if need be, for its owner alone.
fn make(path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path))?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The folder of a file; that of a bare name is the current one.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a file that is no journal: it would be overwritten. What a crash made
/// of one begins as one does, or with the zeros of a block that was never written.
fn refuse_others(path: &Path, file: &File) -> Result<(), Failure> {
    let mut start = [0; JOURNAL_START.len()];
    let read = file.read_at(&mut start, 0).unwrap_or(0);
    let start = &start[..read];
    if JOURNAL_START.starts_with(start) || start.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::usage(format!("{path} is no journal, and is not overwritten: move it away")))
}

const JOURNAL_START: &[u8] = b"{\"type\":\"run\"";
