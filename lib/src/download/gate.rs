//! The last gate before the output: what passes here is hashed, and an object's
//! end only passes when all of it was right.

use std::collections::VecDeque;
use std::io::{self, Write};

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::Got;
use super::list::Item;
use crate::hasher::Hasher;
use crate::manifest::Invalid;
use crate::record::{Digest, Hash};
use crate::store::Store;

/// How much of an object's end is withheld until its digest matches, in bytes.
/// A send stream that lacks it has no END command, so no reader takes it for
/// whole.
const HELD_BACK: usize = 1 << 20;

/// Writes the objects as their pieces come in. `store` names them in messages.
/// Blocks the thread.
///
/// # Errors
/// [`Invalid`] when an object's digest is wrong or its bytes stop coming; those
/// of `out`.
pub(super) fn write<W: Write>(
    mut pieces: mpsc::Receiver<Bytes>,
    items: &[Item],
    store: &dyn Store,
    out: W,
) -> anyhow::Result<Got> {
    let mut gate = Gate { out, held: VecDeque::new(), held_len: 0 };
    let mut got = Got::default();
    for item in items {
        let digest = object(&mut pieces, item, &mut gate)?;
        if digest != item.digest {
            let what = format!("{digest}, and {} was recorded: the object is corrupt", item.digest);
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

/// Passes one object on but for its end, and gives back its digest.
fn object<W: Write>(
    pieces: &mut mpsc::Receiver<Bytes>,
    item: &Item,
    gate: &mut Gate<W>,
) -> anyhow::Result<Digest> {
    let mut hasher = Hasher::new(item.hash);
    let mut left = item.size;
    while left > 0 {
        // The fetch that stopped says why; this error is only seen if it does not.
        let piece = pieces.blocking_recv().filter(|piece| piece.len() as u64 <= left);
        let piece = piece.with_context(|| format!("{} did not come whole", item.key))?;
        left -= piece.len() as u64;
        hasher.update(&piece);
        gate.push(piece).context(WRITING)?;
    }
    Ok(hasher.finish())
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

/// Holds the last bytes back.
struct Gate<W> {
    out: W,
    held: VecDeque<Bytes>,
    held_len: usize,
}

impl<W: Write> Gate<W> {
    fn push(&mut self, piece: Bytes) -> io::Result<()> {
        self.held_len += piece.len();
        self.held.push_back(piece);
        self.release(HELD_BACK)
    }

    /// Writes what is held, up to the last `keep` bytes.
    fn release(&mut self, keep: usize) -> io::Result<()> {
        while self.held_len > keep
            && let Some(mut piece) = self.held.pop_front()
        {
            let free = self.held_len - keep;
            if piece.len() > free {
                self.held.push_front(piece.split_off(free));
            }
            self.out.write_all(&piece)?;
            self.held_len -= piece.len();
        }
        Ok(())
    }
}
