//! One run at a time: the lock of backup, prune and gc.
//!
//! A kernel lock on the file `lock_path`, the same one that the wrapper takes.
//! Promises that it is gone when its holder is, however that ended; that whoever
//! finds it taken is told at once who holds it; and that two holders cannot be.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::exit::{Failure, Status};

/// The longest that is read of a lock file: it holds a process's number.
const HOLDER_MAX: u64 = 20;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock at `path`, and writes there who holds it.
    ///
    /// # Errors
    /// [`Status::TryLater`] when another process holds it; [`Status::Config`] when
    /// the file cannot be opened, [`Status::Io`] when locking or writing fails.
    pub fn take(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let file = open(path).map_err(|error| {
            Failure::config(format!("cannot open the lock file {shown}: {error}"))
        })?;
        let failed =
            |error: io::Error| Failure::new(Status::Io, format!("cannot lock {shown}: {error}"));
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                name_holder(&mut file).map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let holder = holder(&mut file);
                let what = format!("another run holds {shown}: {holder}");
                Err(Failure::new(Status::TryLater, what))
            }
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)
}

fn name_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

/// Who holds it, in words. What a holder's children hold outlives it.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // It may be empty for a moment, while its holder writes its number.
    let read = file.take(HOLDER_MAX).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) if read.is_ok() => {
            let alive = Path::new("/proc").join(pid.to_string()).exists();
            let killed = if alive { "" } else { " (killed; what it started still runs)" };
            format!("process {pid}{killed}")
        }
        _ => "it does not say which process it is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_lock_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "99999999999 somebody else's long text\n").unwrap();
        let held = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).unwrap_err();
        assert_eq!(refused.status, Status::TryLater);
        let pid = std::process::id();
        assert!(refused.message.ends_with(&format!(": process {pid}")), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        drop(held);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_holder_that_is_gone_and_one_that_does_not_say_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _held = Lock::take(&path).unwrap();
        for (text, said) in [
            ("4194305\n", "process 4194305 (killed; what it started still runs)"),
            ("", "it does not say which"),
            ("../../etc\n", "it does not say which"),
        ] {
            std::fs::write(&path, text).unwrap();
            let refused = Lock::take(&path).unwrap_err();
            assert!(refused.message.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_a_matter_of_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Lock::take(&dir.path().join("no/such/folder")).unwrap_err();
        assert_eq!(refused.status, Status::Config);
        assert!(refused.message.contains("no/such/folder"), "{refused}");
    }
}
