//! The walk over the stream's bytes, whatever slices they come in.

use super::error::{Error, Problem};
use super::format::{
    COMMAND_HEADER_LEN, Command, HEADER_LEN, MAGIC, VERSION_MAX, is_kept, payload_max,
};
use super::identity::Identity;
use super::restart::Finder;

/// Checks one send stream. Feed it all bytes in order, then ask it to
/// [`Checker::finish`].
#[derive(Clone, Debug)]
pub struct Checker {
    state: State,
    /// How many bytes of the stream were consumed.
    offset: u64,
    /// Where the header or command that is being read begins.
    start: u64,
    /// The first bytes of it.
    head: Head,
    /// The version in the stream's header.
    version: u32,
    command: Current,
    identity: Option<Identity>,
    finder: Finder,
}

/// What is to be read next.
#[derive(Clone, Debug)]
enum State {
    Header,
    CommandHeader,
    /// This many bytes of the payload are still to come.
    Payload(u32),
    AfterEnd,
    /// The stream is bad; the bytes that follow tell whether it was restarted.
    Suspect(Error),
    Refused(Error),
}

/// The few bytes of a header, gathered from slices.
#[derive(Clone, Debug, Default)]
struct Head {
    bytes: [u8; HEADER_LEN],
    len: usize,
}

/// The command that is being read.
#[derive(Clone, Debug)]
struct Current {
    command: Command,
    /// The CRC-32C that its header says.
    said: u32,
    /// The CRC-32C of the bytes so far. The `crc32c` crate inverts before and
    /// after; the kernel does neither. Inverting once more at both ends gives
    /// the kernel's value.
    crc: u32,
    /// The payload so far, where it is one that is read.
    kept: Vec<u8>,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// A checker at the start of a stream.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            offset: 0,
            start: 0,
            head: Head::default(),
            version: 0,
            command: Current { command: Command(0), said: 0, crc: 0, kept: Vec::new() },
            identity: None,
            // Until the first command has come, the magic alone is the opening.
            finder: Finder::new(MAGIC),
        }
    }

    /// Takes the next bytes of the stream. Once it has refused, it goes on
    /// refusing.
    ///
    /// # Errors
    /// [`Error`] as soon as the bytes show that the stream is no whole backup.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Header => self.header(bytes)?,
                State::CommandHeader => self.command_header(bytes)?,
                State::Payload(left) => self.payload(bytes, left)?,
                State::AfterEnd => {
                    let error = self.error(None, Problem::AfterEnd);
                    return Err(self.refused(error));
                }
                State::Suspect(ref error) => {
                    let error = error.clone();
                    self.suspect(bytes, error)?
                }
                State::Refused(ref error) => return Err(error.clone()),
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Which snapshot the stream holds, once its first command has come: within
    /// the first 64 KiB and 27 bytes of every stream.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The input has ended: which snapshot it was a whole backup of.
    ///
    /// # Errors
    /// [`Error`] when the stream was refused before, or is not complete.
    pub fn finish(self) -> Result<Identity, Error> {
        let cut = |command, problem| Error { offset: self.offset, command, problem };
        let magic = &self.head.bytes[..self.head.len.min(MAGIC.len())];
        let error = match self.state {
            State::Suspect(error) | State::Refused(error) => return Err(error),
            State::AfterEnd => {
                // Only a stream that named its snapshot comes this far.
                return self.identity.ok_or(cut(None, Problem::FirstCommand));
            }
            State::Header if self.offset == 0 => cut(None, Problem::Empty),
            State::Header if MAGIC.starts_with(magic) => cut(None, Problem::CutInHeader),
            State::Header => cut(None, Problem::NotASendStream),
            State::CommandHeader if self.head.len == 0 => cut(None, Problem::NoEnd),
            State::CommandHeader => cut(None, Problem::CutInCommand),
            State::Payload(_) => cut(Some(self.command.command), Problem::CutInCommand),
        };
        Err(restarted(self.start, &self.finder).unwrap_or(error))
    }

    fn header(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = self.gather(bytes, HEADER_LEN);
        if self.head.len < HEADER_LEN {
            return Ok(taken);
        }
        let [magic @ .., v0, v1, v2, v3] = self.head.bytes;
        self.version = u32::from_le_bytes([v0, v1, v2, v3]);
        if magic != *MAGIC {
            self.refuse(None, Problem::NotASendStream)?;
        } else if !(1..=VERSION_MAX).contains(&self.version) {
            self.refuse(None, Problem::Version(self.version))?;
        } else {
            self.next_command();
        }
        Ok(taken)
    }

    fn command_header(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = self.gather(bytes, COMMAND_HEADER_LEN);
        if self.head.len < COMMAND_HEADER_LEN {
            return Ok(taken);
        }
        let [l0, l1, l2, l3, c0, c1, s0, s1, s2, s3, ..] = self.head.bytes;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        let command = Command(u16::from_le_bytes([c0, c1]));
        let max = payload_max(self.version, command);
        if len > max {
            self.refuse(Some(command), Problem::Length { len, max })?;
            return Ok(taken);
        }
        self.command.command = command;
        self.command.said = u32::from_le_bytes([s0, s1, s2, s3]);
        self.command.crc = crc32c::crc32c_append(!0, &[l0, l1, l2, l3, c0, c1, 0, 0, 0, 0]);
        self.command.kept.clear();
        self.state = State::Payload(len);
        if len == 0 {
            self.command_done()?;
        }
        Ok(taken)
    }

    fn payload(&mut self, bytes: &[u8], left: u32) -> Result<usize, Error> {
        // The rest of a payload, at most 16 MiB, fits a usize.
        let piece = &bytes[..bytes.len().min(left as usize)];
        self.consume(piece);
        self.command.crc = crc32c::crc32c_append(self.command.crc, piece);
        if is_kept(self.command.command) {
            self.command.kept.extend_from_slice(piece);
        }
        // A piece is no longer than what is left, which is a u32.
        let left = left - piece.len() as u32;
        self.state = State::Payload(left);
        if left == 0 {
            self.command_done()?;
        }
        Ok(piece.len())
    }

    /// The command's bytes have all come. Nothing in it counts before its CRC
    /// was found right.
    fn command_done(&mut self) -> Result<(), Error> {
        let command = self.command.command;
        let (said, actual) = (self.command.said, !self.command.crc);
        if said != actual {
            return self.refuse(Some(command), Problem::Crc { said, actual });
        }
        if let Err(problem) = self.judge(command) {
            let error = self.error(Some(command), problem);
            return Err(self.refused(error));
        }
        if self.start == HEADER_LEN as u64 {
            self.finder = Finder::new(&self.opening());
        }
        self.next_command();
        if command == Command::END {
            self.state = State::AfterEnd;
        }
        Ok(())
    }

    fn judge(&mut self, command: Command) -> Result<(), Problem> {
        let opens = matches!(command, Command::SUBVOL | Command::SNAPSHOT);
        let payload = &self.command.kept;
        match &self.identity {
            _ if !command.is_in(self.version) => Err(Problem::UnknownCommand(self.version)),
            None if opens => {
                self.identity = Some(Identity::read(command, payload, self.version)?);
                Ok(())
            }
            None => Err(Problem::FirstCommand),
            Some(_) if opens => Err(Problem::SecondSnapshot),
            Some(_) if command == Command::UPDATE_EXTENT => Err(Problem::NoData),
            Some(identity) if command == Command::CLONE => identity.check_clone(payload),
            Some(_) => Ok(()),
        }
    }

    /// What the stream begins with, after its first command.
    fn opening(&self) -> Vec<u8> {
        let head = &self.head.bytes[..COMMAND_HEADER_LEN];
        [&MAGIC[..], &self.version.to_le_bytes(), head].concat()
    }

    fn gather(&mut self, bytes: &[u8], want: usize) -> usize {
        let taken = bytes.len().min(want - self.head.len);
        self.head.bytes[self.head.len..][..taken].copy_from_slice(&bytes[..taken]);
        self.head.len += taken;
        self.consume(&bytes[..taken]);
        taken
    }

    fn consume(&mut self, piece: &[u8]) {
        // Without its first byte, the opening at the start is not taken for a second.
        let skip = usize::from(self.offset == 0).min(piece.len());
        self.offset += piece.len() as u64;
        self.finder.scan(&piece[skip..]);
    }

    fn next_command(&mut self) {
        self.state = State::CommandHeader;
        self.start = self.offset;
        self.head.len = 0;
        self.finder.reset();
    }

    fn error(&self, command: Option<Command>, problem: Problem) -> Error {
        Error { offset: self.start, command, problem }
    }

    /// Refuses bytes that may be those of a restarted send: where the last of
    /// them begin a header, those that follow decide.
    fn refuse(&mut self, command: Option<Command>, problem: Problem) -> Result<(), Error> {
        let error = self.error(command, problem);
        self.decide(error)
    }

    fn suspect(&mut self, bytes: &[u8], error: Error) -> Result<usize, Error> {
        self.consume(&bytes[..1]);
        self.decide(error).map(|()| 1)
    }

    fn decide(&mut self, error: Error) -> Result<(), Error> {
        match restarted(self.start, &self.finder) {
            Some(restarted) => Err(self.refused(restarted)),
            None if self.finder.undecided() => {
                self.state = State::Suspect(error);
                Ok(())
            }
            None => Err(self.refused(error)),
        }
    }

    fn refused(&mut self, error: Error) -> Error {
        self.state = State::Refused(error.clone());
        error
    }
}

/// That the send was restarted, where `finder` saw an opening since the header or
/// command that began at `start`.
fn restarted(start: u64, finder: &Finder) -> Option<Error> {
    let offset = start.max(1) + finder.found()?;
    Some(Error { offset, command: None, problem: Problem::Restarted })
}
