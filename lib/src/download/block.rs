//! What is checked and passed on as one: a part where there is a digest of it,
//! a range where there is none.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::oneshot;

use super::fetch::{Fetch, Line, Object};
use super::pool::Buffer;
use crate::manifest::Invalid;
use crate::record::Digest;

/// The most bytes that are asked for at once. Smaller, and requests cost time
/// and money; larger, and the buffers cost memory.
pub(super) const RANGE_MAX: u64 = if cfg!(test) { 1 << 20 } else { 16 << 20 };

/// Consecutive bytes of an object.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The object.
    pub(super) object: Arc<Object>,
    /// Where in it.
    pub(super) range: Range<u64>,
    /// BLAKE3 of the bytes, where it is known.
    pub(super) digest: Option<Digest>,
}

/// The number of ranges that `len` bytes are fetched in.
pub(super) fn ranges_in(len: u64) -> u64 {
    len.div_ceil(RANGE_MAX)
}

impl Block {
    /// All blocks of an object, in order.
    pub(super) fn all(object: &Arc<Object>) -> impl Iterator<Item = Self> + use<> {
        let (object, size) = (Arc::clone(object), object.item.size);
        let len = object.item.parts.as_ref().map_or(RANGE_MAX, |parts| parts.part_size);
        (0..size.div_ceil(len)).map(move |number| {
            let start = number * len;
            let range = start..start.saturating_add(len).min(size);
            let digest = object.item.parts.as_ref().and_then(|parts| parts.digest(number));
            Self { object: Arc::clone(&object), range, digest }
        })
    }

    /// The ranges to fetch it in, of about the same size.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = self.range;
        let len = (end - start).div_ceil(ranges_in(end - start));
        (start..end).step_by(len as usize).map(move |from| from..end.min(from + len))
    }

    /// Waits for the block's ranges and gives its bytes back when they are the
    /// right ones. Wrong ones are fetched again, into the same buffers.
    ///
    /// # Errors
    /// [`Invalid`] when they are wrong each time; those of [`Fetch::fill`].
    pub(super) async fn whole(
        &self,
        line: &Line,
        coming: Vec<oneshot::Receiver<anyhow::Result<Buffer>>>,
    ) -> anyhow::Result<Vec<Bytes>> {
        let mut buffers = Vec::with_capacity(coming.len());
        for buffer in coming {
            buffers.push(buffer.await.context("a download ended without a word")??);
        }
        let Some(expected) = self.digest else { return Ok(bytes(buffers)) };
        for failures in 1.. {
            let (found, checked) = digest(buffers).await?;
            if found == expected {
                return Ok(bytes(checked));
            }
            buffers = checked;
            let wrong = self.wrong(found, expected);
            log::warn!("{wrong}");
            if !line.wait(failures, buffers.len() as u64).await {
                let what = format!("{} ({failures} times)", wrong.what);
                return Err(Invalid { what, ..wrong }.into());
            }
            self.again(line, &mut buffers).await?;
        }
        anyhow::bail!("{} was wrong too often to count", self.object.url)
    }

    async fn again(&self, line: &Line, buffers: &mut [Buffer]) -> anyhow::Result<()> {
        let object = &*self.object;
        try_join_all(self.ranges().zip(buffers).map(async |(range, buffer)| {
            buffer.truncate(0);
            Fetch { line, object, range }.fill(buffer).await
        }))
        .await?;
        Ok(())
    }

    fn wrong(&self, found: Digest, expected: Digest) -> Invalid {
        let Range { start, end } = self.range;
        let field = format!("bytes {start} to {}", end - 1);
        let what = format!("BLAKE3 {found} came, and {expected} was recorded");
        Invalid::new(&self.object.url, field, what)
    }
}

/// The digest of the buffers' bytes, computed beside the network's threads.
async fn digest(buffers: Vec<Buffer>) -> anyhow::Result<(Digest, Vec<Buffer>)> {
    let hash = move || {
        let mut hasher = blake3::Hasher::new();
        for buffer in &buffers {
            hasher.update(buffer.as_ref());
        }
        (Digest(*hasher.finalize().as_bytes()), buffers)
    };
    tokio::task::spawn_blocking(hash).await.context("checking a part was cancelled")
}

/// The buffers go back to their pool when the bytes are dropped.
fn bytes(buffers: Vec<Buffer>) -> Vec<Bytes> {
    buffers.into_iter().map(Bytes::from_owner).collect()
}
