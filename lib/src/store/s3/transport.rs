//! Signed requests over HTTP, and what comes back.
//!
//! Promises that no request and no answer hangs: [`STALL`] without progress in
//! either direction is a lost connection. Rusoto's own dispatcher is not used: it
//! logs signatures and tokens at level debug, panics on headers that are not
//! ASCII, and reduces every failure to text, where a retry must tell a lost line
//! from a bad certificate.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use hyper::client::HttpConnector;
use hyper::{Body, Client, Request};
use hyper_tls::HttpsConnector;
use rusoto_core::signature::{SignedRequest, SignedRequestPayload};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::exit::{Failure, Status};
use crate::retry::Failed;
use crate::store::ErrorKind;

/// No progress for this long means that the connection is lost.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// hyper takes a body in pieces of this size, so that progress shows on slow
/// lines too: [`STALL`] per piece is 1 KiB a second.
const PIECE: usize = 64 << 10;
/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Idle connections are dropped before servers and middle boxes do.
const IDLE: Duration = Duration::from_secs(15);
/// An answer that is text is never longer than this: a page of a list is 1,000
/// keys of at most 1,024 bytes, each byte six as a character reference.
const TEXT_MAX: usize = 16 << 20;

/// A client with a pool of connections. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Transport(Client<HttpsConnector<HttpConnector>>);

impl Transport {
    /// # Errors
    /// When the system's TLS library cannot be set up.
    pub(super) fn new() -> Result<Self, Failure> {
        let tls = hyper_tls::native_tls::TlsConnector::new()
            .map_err(|error| Failure::new(Status::Config, format!("cannot set up TLS: {error}")))?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        http.set_keepalive(Some(Duration::from_secs(30)));
        http.set_nodelay(true);
        let client = Client::builder()
            .pool_idle_timeout(IDLE)
            .build(HttpsConnector::from((http, tls.into())));
        Ok(Self(client))
    }

    /// Sends a signed request, and waits for the head of the answer, whatever its
    /// status. `patience` is how long the server may be silent.
    ///
    /// # Errors
    /// When no answer came: [`crate::retry::Again::Timed`], or
    /// [`crate::retry::Again::Never`] where the line is not to blame.
    pub(super) async fn exchange(
        &self,
        request: SignedRequest,
        patience: Duration,
    ) -> Result<Answer, Failed> {
        let progress = Arc::new(Notify::new());
        let request = into_hyper(request, &progress)
            .map_err(|error| Failed::never(ErrorKind::Refused, error.to_string()))?;
        let answer = self.0.request(request);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => {
                    let answer = answer.map_err(|error| lost(&error))?;
                    return Ok(Answer { head: answer, patience });
                }
                () = progress.notified() => {}
                () = sleep(patience) => return Err(stalled(patience)),
            }
        }
    }
}

fn into_hyper(request: SignedRequest, progress: &Arc<Notify>) -> http::Result<Request<Body>> {
    let query = request.canonical_query_string();
    let mark = if query.is_empty() { "" } else { "?" };
    let (scheme, host, path) = (request.scheme(), request.hostname(), request.canonical_path());
    let mut builder = Request::builder()
        .method(request.method())
        .uri(format!("{scheme}://{host}{path}{mark}{query}"))
        .header("user-agent", concat!("bts/", env!("CARGO_PKG_VERSION")));
    for (name, values) in request.headers() {
        for value in values {
            builder = builder.header(name.as_str(), value.as_slice());
        }
    }
    let progress = Arc::clone(progress);
    builder.body(match request.payload {
        None => Body::empty(),
        // hyper asks for the next piece when the line has taken the last one.
        Some(SignedRequestPayload::Buffer(bytes)) => {
            let pieces: Vec<_> = small(&bytes).map(Ok::<_, Infallible>).collect();
            Body::wrap_stream(stream::iter(pieces).inspect(move |_| progress.notify_one()))
        }
        Some(SignedRequestPayload::Stream(pieces)) => {
            Body::wrap_stream(pieces.inspect(move |_| progress.notify_one()))
        }
    })
}

/// The same bytes in pieces of [`PIECE`]; none is copied.
pub(super) fn small(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..bytes.len()).step_by(PIECE);
    starts.map(|start| bytes.slice(start..bytes.len().min(start + PIECE)))
}

fn stalled(patience: Duration) -> Failed {
    Failed::timed(format!("no progress for {} s", patience.as_secs()))
}

/// What an exchange without an answer means.
fn lost(error: &hyper::Error) -> Failed {
    let words = error.to_string();
    let untrusted = causes(error).any(|cause| {
        let text = cause.to_string();
        text.contains("certificate") || text.contains("wrong version number")
    });
    if untrusted {
        let hint = "set SSL_CERT_FILE if its authority is your own";
        return Failed::never(ErrorKind::Refused, format!("{words} ({hint})"));
    }
    if error.is_user() && !error.is_body_write_aborted() {
        return Failed::never(ErrorKind::Refused, words);
    }
    Failed::timed(words)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// A server's answer, of which the head is there.
#[derive(Debug)]
pub(super) struct Answer {
    head: hyper::Response<Body>,
    patience: Duration,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub(super) fn status_words(&self) -> String {
        format!("HTTP {}", self.head.status())
    }

    pub(super) fn is_success(&self) -> bool {
        self.head.status().is_success()
    }

    /// A header's value; one that is not ASCII counts as absent.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name)?.to_str().ok()
    }

    /// All headers whose names begin with `prefix`, without it.
    pub(super) fn headers_after(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.head.headers().iter().filter_map(move |(name, value)| {
            Some((name.as_str().strip_prefix(prefix)?, value.to_str().ok()?))
        })
    }

    /// The whole body as text.
    ///
    /// # Errors
    /// When it does not come, or is not text.
    pub(super) async fn text(self) -> Result<String, Failed> {
        let mut all = Vec::new();
        let mut pieces = std::pin::pin!(self.pieces());
        while let Some(piece) = pieces.next().await {
            all.extend_from_slice(&piece?);
            if all.len() > TEXT_MAX {
                return Err(Failed::never(ErrorKind::BadAnswer, "the answer does not end"));
            }
        }
        String::from_utf8(all)
            .map_err(|_| Failed::never(ErrorKind::BadAnswer, "the answer is not UTF-8"))
    }

    /// The body, piece by piece; a stall is an error.
    pub(super) fn pieces(self) -> impl Stream<Item = Result<Bytes, Failed>> + Send + 'static {
        let Self { head, patience } = self;
        futures::stream::try_unfold(head.into_body(), move |mut body| async move {
            match timeout(patience, body.next()).await {
                Ok(None) => Ok(None),
                Ok(Some(Ok(piece))) => Ok(Some((piece, body))),
                Ok(Some(Err(error))) => Err(Failed::timed(error.to_string())),
                Err(_) => Err(stalled(patience)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rusoto_core::{ByteStream, Region};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::retry::Again;

    const SHORT: Duration = Duration::from_millis(300);

    /// Sends `request` to a server that does as `serve` says.
    async fn exchange<F>(
        mut request: SignedRequest,
        serve: impl FnOnce(TcpStream) -> F,
    ) -> Result<Answer, Failed>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        request.scheme = Some("http".to_owned());
        request.set_hostname(Some(listener.local_addr().unwrap().to_string()));
        request.complement();
        let sent = Transport::new().unwrap();
        let sent = tokio::spawn(async move { sent.exchange(request, SHORT).await });
        tokio::spawn(serve(listener.accept().await.unwrap().0));
        sent.await.unwrap()
    }

    fn get() -> SignedRequest {
        SignedRequest::new("GET", "s3", &Region::UsEast1, "/bucket/key")
    }

    fn is_lost<T: std::fmt::Debug>(result: Result<T, Failed>, words: &str) {
        let failed = result.unwrap_err();
        assert_eq!((failed.again, failed.kind), (Again::Timed, ErrorKind::Unavailable));
        assert!(failed.cause.contains(words), "{}", failed.cause);
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_lost() {
        let silent = |socket| async move {
            let _open: TcpStream = socket;
            sleep(SHORT * 20).await;
        };
        is_lost(exchange(get(), silent).await, "no progress");
    }

    #[tokio::test]
    async fn an_answer_that_stops_is_lost() {
        let stops = |mut socket: TcpStream| async move {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
            socket.write_all(head).await.unwrap();
            sleep(SHORT * 20).await;
        };
        is_lost(exchange(get(), stops).await.unwrap().text().await, "no progress");
    }

    #[tokio::test]
    async fn an_answer_that_ends_early_is_lost() {
        let ends = |mut socket: TcpStream| async move {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
            socket.write_all(head).await.unwrap();
        };
        is_lost(exchange(get(), ends).await.unwrap().text().await, "");
    }

    #[tokio::test]
    async fn an_upload_that_moves_slowly_is_not_lost() {
        let put = || SignedRequest::new("PUT", "s3", &Region::UsEast1, "/bucket/key");
        let (mut whole, mut streamed) = (put(), put());
        let body = stream::iter((0..SLOW / PIECE).map(|_| Ok(vec![7; PIECE].into())));
        streamed.set_payload_stream(ByteStream::new_with_size(body, SLOW));
        whole.set_payload(Some(vec![7; SLOW]));
        tokio::join!(moves_slowly(whole), moves_slowly(streamed));
    }

    /// The bytes of a body that moves slowly.
    const SLOW: usize = 800 * PIECE;

    async fn moves_slowly(request: SignedRequest) {
        let start = std::time::Instant::now();
        let slow = move |mut socket: TcpStream| async move {
            let mut taken = vec![0; 16 * PIECE];
            let mut left = SLOW;
            while left > 0 {
                let len = socket.read(&mut taken).await.unwrap();
                left = left.saturating_sub(len);
                sleep(SHORT / 30).await;
            }
            socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            sleep(SHORT).await;
        };
        assert_eq!(exchange(request, slow).await.unwrap().status(), 204);
        assert!(start.elapsed() > SHORT, "it was not slow");
    }

    #[tokio::test]
    async fn headers_that_are_no_text_are_passed_over() {
        let odd = |mut socket: TcpStream| async move {
            let head = b"HTTP/1.1 200 OK\r\nX-Odd: \xff\r\nContent-Length: 2\r\n\r\nab";
            socket.write_all(head).await.unwrap();
        };
        let answer = exchange(get(), odd).await.unwrap();
        assert_eq!(answer.header("x-odd"), None);
        assert_eq!(answer.text().await.unwrap(), "ab");
    }
}
