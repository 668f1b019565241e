//! Finds a stream that begins again in the middle of itself.
//!
//! When a signal reaches `btrfs send` while the kernel waits for room in the
//! pipe, the kernel leaves the ioctl and, once the process goes on, runs it again
//! from the start. What it was writing stays cut at any byte, most often in the
//! middle of a WRITE, and the header follows at once (measured on Linux 6.18;
//! btrfs-progs issues 719 and 1063). So the second header is swallowed by the
//! command that was cut, whose CRC then fails, or its bytes are taken for a
//! command's header, whose length then makes no sense.
//!
//! A second start repeats the first to the byte, so what is looked for is the
//! stream's own opening: its header and the header of its first command, whose
//! CRC covers the snapshot's name and UUID. Another send stream, held by a file
//! of the backup, is not taken for it.

use memchr::memmem;

/// The longest opening, in bytes: the stream's header and a command's.
pub(super) const OPENING_MAX: usize = super::format::HEADER_LEN + super::format::COMMAND_HEADER_LEN;

/// Looks for the opening of a stream in bytes that come in pieces.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    opening: memmem::Finder<'static>,
    /// How many bytes were seen.
    seen: u64,
    /// The last of them: one fewer than the opening has, or all there were.
    tail: Vec<u8>,
    /// Where among the bytes seen the opening begins.
    found: Option<u64>,
}

impl Finder {
    /// A finder that has seen no byte yet. `opening` has at least one.
    pub(super) fn new(opening: &[u8]) -> Self {
        let tail = Vec::with_capacity(2 * OPENING_MAX);
        Self { opening: memmem::Finder::new(opening).into_owned(), seen: 0, tail, found: None }
    }

    /// Forgets what was seen.
    pub(super) fn reset(&mut self) {
        self.seen = 0;
        self.tail.clear();
        self.found = None;
    }

    /// Takes the next bytes in.
    pub(super) fn scan(&mut self, piece: &[u8]) {
        let keep = self.opening.needle().len() - 1;
        let before = self.seen - self.tail.len() as u64;
        self.tail.extend_from_slice(&piece[..piece.len().min(keep)]);
        let across = self.opening.find(&self.tail).map(|at| before + at as u64);
        let inside = self.opening.find(piece).map(|at| self.seen + at as u64);
        self.found = self.found.or(across).or(inside);
        if piece.len() > keep {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - keep..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(keep));
        }
        self.seen += piece.len() as u64;
    }

    /// Where among the bytes seen the opening begins.
    pub(super) fn found(&self) -> Option<u64> {
        self.found
    }

    /// Whether the last bytes seen can be the beginning of an opening.
    pub(super) fn undecided(&self) -> bool {
        let opening = self.opening.needle();
        (1..opening.len()).any(|len| self.tail.ends_with(&opening[..len]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pieces: &[&[u8]]) -> Option<u64> {
        let mut finder = Finder::new(b"abcabd");
        pieces.iter().for_each(|piece| finder.scan(piece));
        finder.found()
    }

    #[test]
    fn an_opening_is_found_however_it_is_cut() {
        let text = b"abxxabcabcabdyyabcabd";
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(found(&pieces), Some(7), "{first} {second}");
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(found(&bytes), Some(7));
    }

    #[test]
    fn what_only_resembles_an_opening_is_none() {
        assert_eq!(found(&[b"abcab", b"xbcabd", b"d"]), None);
        assert_eq!(found(&[b"", b"a", b"", b"bcab"]), None);
    }

    #[test]
    fn a_match_is_undecided_until_the_next_byte_decides() {
        let mut finder = Finder::new(b"abcabd");
        for (piece, undecided) in [(b"xxab", true), (b"cabc", true), (b"abxx", false)] {
            finder.scan(piece);
            assert_eq!(finder.undecided(), undecided);
        }
    }
}
