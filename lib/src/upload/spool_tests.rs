//! Uploads through a spool, with a store that stands still.

use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::tests::{CHUNK, bytes, files, framed, options};
use super::{Options, Spooling, upload};
use crate::record::{Frames, Reader};
use crate::store::dir::DirStore;
use crate::store::{Archive, Shared, Url};
use crate::testing::Faulty;

const PART: u64 = 5 << 20;

/// Counts what is read of it.
struct Counted(Cursor<Vec<u8>>, Arc<AtomicUsize>);

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(into)?;
        self.1.fetch_add(read, Ordering::SeqCst);
        Ok(read)
    }
}

/// How much of a stream is read while the store takes nothing; then it takes all,
/// and has to get all.
async fn read_while_the_store_stands_still(spool: Option<Spooling>) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let all = bytes(4 * CHUNK);
    let gate = Arc::new(Semaphore::new(0));
    let inner: Shared = Arc::new(DirStore::new(dir.path()));
    let store: Shared = Arc::new(Faulty::gated(inner, gate.clone()));
    let archive = Archive { store, url: Url::Dir(dir.path().to_owned()) };
    let options = Options { concurrency: 1, spool, ..options() };
    let read = Arc::new(AtomicUsize::new(0));
    let input = framed(&all);
    let len = input.len();
    let counted = Counted(Cursor::new(input), read.clone());
    let frames = Frames::new(Reader::new(BufReader::new(counted), "stdin"));
    let upload = tokio::spawn(async move { upload(&archive, frames, &options, Vec::new()).await });
    let mut before = usize::MAX;
    // Until nothing moves any more.
    while before != read.load(Ordering::SeqCst) {
        before = read.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    gate.add_permits(1000);
    upload.await.unwrap().unwrap();
    for (index, chunk) in all.chunks(CHUNK).enumerate() {
        let end = format!("chunks/part-{index:05}.bin");
        let path = files(&dir).into_iter().find(|path| path.ends_with(&end)).unwrap();
        assert!(std::fs::read(path).unwrap() == chunk, "chunk {index} differs");
    }
    (before, len)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_read_on_while_the_store_stands_still() {
    let dir = tempfile::tempdir().unwrap();
    let spooling = |size| Some(Spooling { dir: dir.path().to_owned(), size });
    let (read, len) = read_while_the_store_stands_still(spooling(64 << 20)).await;
    assert_eq!(read, len, "all of it fits");
    let most = |parts: u64| (parts * PART) as usize + (1 << 20);
    let (read, len) = read_while_the_store_stands_still(spooling(3 * PART)).await;
    assert!(read < len && read <= most(6), "{read} of {len}: memory for 3 parts, disk for 3");
    let (read, _) = read_while_the_store_stands_still(None).await;
    assert!(read <= most(3), "{read}");
    assert!(files(&dir).is_empty());
}
