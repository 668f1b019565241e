//! The buffers that bytes wait in, from the network to the output: their number
//! is all that bounds memory.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded number of buffers that are used again and again.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    room: Arc<Semaphore>,
    free: Free,
}

type Free = Arc<Mutex<Vec<Vec<u8>>>>;

/// Bytes that count against the pool until they are dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    free: Free,
    _room: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of `count` buffers.
    pub(super) fn new(count: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(count)), free: Free::default() }
    }

    /// An empty buffer for `len` bytes. Who asks first gets one first.
    pub(super) async fn take(&self, len: usize) -> Buffer {
        let room = Arc::clone(&self.room).acquire_owned().await;
        // Nobody closes the semaphore, so this waits instead of failing.
        let Ok(room) = room else { std::future::pending().await };
        let mut bytes = locked(&self.free).pop().unwrap_or_default();
        bytes.reserve_exact(len);
        Buffer { bytes, len, free: Arc::clone(&self.free), _room: room }
    }
}

impl Buffer {
    /// How many bytes are in it.
    pub(super) fn filled(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes; `false`, and none is added, when there are too many.
    pub(super) fn push(&mut self, piece: &[u8]) -> bool {
        let fits = piece.len() <= self.len - self.bytes.len();
        if fits {
            self.bytes.extend_from_slice(piece);
        }
        fits
    }

    /// Forgets all but the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        locked(&self.free).push(bytes);
    }
}

fn locked(free: &Free) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn there_are_never_more_buffers_than_the_pool_has() {
        let pool = Pool::new(2);
        let (mut first, _second) = (pool.take(3).await, pool.take(3).await);
        assert!(first.push(b"ab") && !first.push(b"cd") && first.push(b"c"));
        assert_eq!(first.as_ref(), b"abc");
        assert!(pool.take(1).now_or_never().is_none());
        let memory = first.as_ref().as_ptr();
        drop(first);
        let third = pool.take(1).now_or_never().unwrap();
        assert_eq!((third.filled(), third.bytes.as_ptr()), (0, memory));
    }
}
