//! `s3s-fs` in this process, with signatures checked.

use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use hyper1::service::service_fn;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_native_tls::TlsAcceptor;

use super::control::Control;
use super::injector::Injector;
use super::strict::Strict;
use super::{ACCESS_KEY, BUCKET, Reach, SECRET_KEY, tls};

/// How the server checks what it stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// CRC-32 of parts and whole objects, as AWS does.
    #[default]
    Crc32,
    /// Content-MD5 alone: checksum headers are ignored, as by older servers.
    Md5,
}

/// Which conditions of writes the server honours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditions {
    /// All, as AWS does.
    #[default]
    Honoured,
    /// If-None-Match; If-Match is ignored.
    CreateOnly,
    /// None; all are ignored.
    Ignored,
}

/// How a server is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Speak https, with a certificate of its own authority ([`Reach::ca`]).
    pub https: bool,
    /// How it checks what it stores.
    pub checks: Checks,
    /// Which conditions it honours.
    pub conditions: Conditions,
}

/// An S3 server on 127.0.0.1 that runs until it is dropped. It has the bucket
/// [`BUCKET`] and knows the keys [`ACCESS_KEY`] and [`SECRET_KEY`].
#[derive(Debug)]
pub struct S3Server {
    reach: Reach,
    files: TempDir,
    control: Control,
    runtime: Option<Runtime>,
}

impl S3Server {
    /// A server over http that checks CRC-32.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// A server as `options` say.
    pub fn with(options: Options) -> Self {
        let files = TempDir::new().unwrap();
        let ca = options.https.then(|| files.path().join("ca.pem"));
        let acceptor = ca.as_deref().map(tls::acceptor);

        let runtime = runtime();
        let listener = StdListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let control = Control::default();
        let serving = serve(files.path().to_owned(), options, control.clone(), listener, acceptor);
        runtime.spawn(serving);

        let reach = Reach::local(endpoint(options, address), ca);
        Self { reach, files, control, runtime: Some(runtime) }
    }

    /// How to reach it.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Makes it fail, and tells what it was asked.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The directory that holds the bucket's objects, each a file named by its key.
    pub fn bucket_dir(&self) -> PathBuf {
        bucket_dir(self.files.path())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // A plain drop would block, which a test within a runtime must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where the server that lives in `home` has its bucket.
pub(super) fn bucket_dir(home: &Path) -> PathBuf {
    home.join("buckets").join(BUCKET)
}

/// Threads for a server.
pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("s3-server")
        .enable_all()
        .build()
        .unwrap()
}

fn endpoint(options: Options, address: SocketAddr) -> String {
    let scheme = if options.https { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// Serves what lies in `home`, and makes the bucket where there is none.
pub(super) async fn serve(
    home: PathBuf,
    options: Options,
    control: Control,
    listener: StdListener,
    tls: Option<TlsAcceptor>,
) {
    std::fs::create_dir_all(bucket_dir(&home)).unwrap();
    let strict = Strict::open(&home, options.checks, options.conditions).await;
    let mut builder = S3ServiceBuilder::new(strict);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let injector = Injector { service: builder.build(), control };
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(connection(socket, tls.clone(), injector.clone()));
    }
}

async fn connection(socket: TcpStream, tls: Option<TlsAcceptor>, injector: Injector) {
    // A connection that breaks is the client's to notice.
    match tls {
        None => drop(http(socket, injector).await),
        Some(tls) => {
            if let Ok(socket) = tls.accept(socket).await {
                drop(http(socket, injector).await);
            }
        }
    }
}

fn http<S>(socket: S, injector: Injector) -> impl Future<Output = Result<(), hyper1::Error>> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| injector.clone().answer(request));
    hyper1::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service)
}
