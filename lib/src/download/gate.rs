//! The last gate before the output. Blocks that come with a digest are right;
//! of an object that has none of its parts, or whose digest was asked for, all is
//! hashed here, and its end only passes when all of it was right.

use std::collections::VecDeque;
use std::io::{self, Write};

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::list::Item;
use super::{Check, Got};
use crate::hasher::Hasher;
use crate::manifest::Invalid;
use crate::record::{Digest, Hash};
use crate::store::Store;

/// How much of an object's end is withheld until its digest matches, in bytes.
/// A send stream that lacks it has no END command, so no reader takes it for
/// whole.
const HELD_BACK: usize = 1 << 20;

/// The blocks of all objects in order, each as soon as it is there.
pub(super) type Blocks = mpsc::UnboundedReceiver<oneshot::Receiver<anyhow::Result<Vec<Bytes>>>>;

/// Writes the objects as their blocks come in. `store` names them in messages.
/// Blocks the thread.
///
/// # Errors
/// That of a block; [`Invalid`] when an object's digest is wrong; those of `out`.
pub(super) fn write<W: Write>(
    mut blocks: Blocks,
    items: &[Item],
    check: Check,
    store: &dyn Store,
    out: W,
) -> anyhow::Result<Got> {
    let mut gate = Gate { out, held: VecDeque::new(), held_len: 0 };
    let mut got = Got::default();
    for item in items {
        let hashed = check == Check::Chunk || item.parts.is_none();
        let found = object(&mut blocks, item, &mut gate, hashed)?;
        if let Some(found) = found.filter(|found| *found != item.digest) {
            let what = format!("{found}, and {} was recorded: the object is corrupt", item.digest);
            return Err(Invalid::new(url(store, item), field(item.hash), what).into());
        }
        gate.release(0).context(WRITING)?;
        got.objects += 1;
        got.bytes += item.size;
    }
    gate.out.flush().context(WRITING)?;
    Ok(got)
}

const WRITING: &str = "writing to stdout";

/// Passes one object on. When it is to be hashed, its end is held back, and the
/// digest given back.
fn object<W: Write>(
    blocks: &mut Blocks,
    item: &Item,
    gate: &mut Gate<W>,
    hashed: bool,
) -> anyhow::Result<Option<Digest>> {
    let mut hasher = hashed.then(|| Hasher::new(item.hash));
    let keep = if hashed { HELD_BACK } else { 0 };
    let mut left = item.size;
    while left > 0 {
        for piece in next(blocks, item)? {
            left = left.saturating_sub(piece.len() as u64);
            if let Some(hasher) = &mut hasher {
                hasher.update(&piece);
            }
            gate.push(piece, keep).context(WRITING)?;
        }
    }
    Ok(hasher.map(Hasher::finish))
}

fn next(blocks: &mut Blocks, item: &Item) -> anyhow::Result<Vec<Bytes>> {
    let block = blocks.blocking_recv().and_then(|block| block.blocking_recv().ok());
    block.with_context(|| format!("{} did not come whole", item.key))?
}

fn url(store: &dyn Store, item: &Item) -> String {
    store.locate(item.key.as_str())
}

fn field(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha256 => "sha256",
        Hash::Blake3 => "blake3",
    }
}

/// Holds the last bytes back, as copies: the buffers that they came in are
/// needed for what comes next.
struct Gate<W> {
    out: W,
    held: VecDeque<Bytes>,
    held_len: usize,
}

impl<W: Write> Gate<W> {
    fn push(&mut self, piece: Bytes, keep: usize) -> io::Result<()> {
        self.held_len += piece.len();
        let small = piece.len() <= keep;
        self.held.push_back(if small { Bytes::copy_from_slice(&piece) } else { piece });
        self.release(keep)
    }

    /// Writes what is held, up to the last `keep` bytes.
    fn release(&mut self, keep: usize) -> io::Result<()> {
        while self.held_len > keep
            && let Some(mut piece) = self.held.pop_front()
        {
            let free = self.held_len - keep;
            if piece.len() > free {
                self.held.push_front(Bytes::copy_from_slice(&piece[free..]));
                piece.truncate(free);
            }
            self.out.write_all(&piece)?;
            self.held_len -= piece.len();
        }
        Ok(())
    }
}
