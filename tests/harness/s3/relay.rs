//! A line between a client and a server that can be slow, cut, and down.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::{Reach, server};

/// How much is carried at a time.
const PIECE: usize = 16 << 10;

/// How much time a connection may catch up.
const SLACK: Duration = Duration::from_millis(50);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// A TCP relay on 127.0.0.1 that runs until it is dropped. It starts up.
#[derive(Debug)]
pub struct Relay {
    line: Arc<Line>,
    runtime: Option<Runtime>,
    listening: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Line {
    address: SocketAddr,
    target: String,
    carried: [AtomicU64; 2],
    /// Where all connections are cut, counted in bytes carried each way.
    cut_at: [AtomicU64; 2],
    /// Bytes a second on one connection, each way.
    rate: AtomicU64,
    /// Whoever has seen an older number is cut.
    cuts: watch::Sender<u64>,
}

impl Relay {
    /// A relay to the server of `reach`, which must have an endpoint.
    pub fn to(reach: &Reach) -> Self {
        let endpoint = reach.endpoint.as_deref().expect("a server with an endpoint");
        let (_, target) = endpoint.split_once("://").expect("a URL");
        let listener = StdListener::bind(("127.0.0.1", 0)).unwrap();
        let line = Line {
            address: listener.local_addr().unwrap(),
            target: target.to_owned(),
            carried: Default::default(),
            cut_at: [u64::MAX, u64::MAX].map(AtomicU64::new),
            rate: AtomicU64::new(u64::MAX),
            cuts: watch::Sender::new(0),
        };
        let it = Self {
            line: Arc::new(line),
            runtime: Some(server::runtime()),
            listening: Mutex::default(),
        };
        it.listen(listener);
        it
    }

    /// The same bucket, reached over this line.
    pub fn reach(&self, reach: &Reach) -> Reach {
        let scheme = reach.endpoint.as_deref().and_then(|it| it.split_once("://"));
        let scheme = scheme.map_or("http", |(scheme, _)| scheme);
        let endpoint = Some(format!("{scheme}://{}", self.line.address));
        Reach { endpoint, ..reach.clone() }
    }

    /// Refuses new connections and cuts all that there are, until [`Relay::up`].
    pub fn down(&self) {
        if let Some(listening) = self.listening.lock().unwrap().take() {
            listening.abort();
        }
        self.cut();
    }

    /// Takes connections again.
    pub fn up(&self) {
        // The aborted task may still hold the port for a moment.
        let bound = (0..200).find_map(|_| {
            let bound = StdListener::bind(self.line.address).ok();
            if bound.is_none() {
                std::thread::sleep(Duration::from_millis(10));
            }
            bound
        });
        self.listen(bound.expect("the port is the relay's own"));
    }

    /// Cuts all connections that there are; new ones are taken.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Cuts all connections once, when `bytes` more went `way`.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        let at = self.carried(way).saturating_add(bytes);
        self.line.cut_at[way as usize].store(at, Ordering::SeqCst);
    }

    /// Carries at most this many bytes a second on each connection, each way.
    pub fn limit(&self, bytes_per_second: u64) {
        self.line.rate.store(bytes_per_second, Ordering::SeqCst);
    }

    /// How many bytes went `way` so far.
    pub fn carried(&self, way: Way) -> u64 {
        self.line.carried[way as usize].load(Ordering::SeqCst)
    }

    fn listen(&self, listener: StdListener) {
        listener.set_nonblocking(true).unwrap();
        let line = Arc::clone(&self.line);
        let runtime = self.runtime.as_ref().expect("it is there until the drop");
        let task = runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&line).connection(client));
            }
        });
        *self.listening.lock().unwrap() = Some(task.abort_handle());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A plain drop would block, which a test within a runtime must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    async fn connection(self: Arc<Self>, client: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let Ok(server) = TcpStream::connect(&self.target).await else { return };
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        // Both ways end together, and both sockets are dropped with what they hold.
        tokio::select! {
            _ = cuts.changed() => {}
            _ = async {
                tokio::join!(
                    self.carry(Way::Up, client_read, server_write),
                    self.carry(Way::Down, server_read, client_write),
                )
            } => {}
        }
    }

    /// Carries bytes until their source ends; then the other side is told.
    async fn carry(&self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut piece = vec![0; PIECE];
        let mut next = Instant::now();
        while let Ok(len @ 1..) = from.read(&mut piece).await {
            sleep_until(next).await;
            let rate = self.rate.load(Ordering::SeqCst);
            if rate != u64::MAX {
                // Timers are coarse, which must not slow the line; a pause of the
                // sender earns no more than that.
                let earliest = Instant::now().checked_sub(SLACK).unwrap_or(next);
                next = next.max(earliest) + Duration::from_secs(len as u64) / rate_of(rate);
            }
            let carried = self.carried[way as usize].fetch_add(len as u64, Ordering::SeqCst);
            let left = self.cut_at[way as usize].load(Ordering::SeqCst).saturating_sub(carried);
            if left <= len as u64 {
                let left = usize::try_from(left).unwrap_or(0);
                // It is cut right after, however this ends.
                let _ = to.write_all(&piece[..left]).await;
                self.cut_at[way as usize].store(u64::MAX, Ordering::SeqCst);
                self.cut();
                return;
            }
            if to.write_all(&piece[..len]).await.is_err() {
                return;
            }
        }
        // Dropping the half tells the other side that no more comes.
    }
}

/// As the divisor of a duration.
fn rate_of(rate: u64) -> u32 {
    u32::try_from(rate).unwrap_or(u32::MAX).max(1)
}
