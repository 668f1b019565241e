//! `s3s-fs` in this process, with signatures checked.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_native_tls::TlsAcceptor;

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

/// How a server is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Speak https, with a certificate of its own authority ([`Reach::ca`]).
    pub https: bool,
    /// How it checks what it stores.
    pub checks: Checks,
}

/// An S3 server on 127.0.0.1 that runs until it is dropped. It has the bucket
/// [`BUCKET`] and knows the keys [`ACCESS_KEY`] and [`SECRET_KEY`].
#[derive(Debug)]
pub struct S3Server {
    reach: Reach,
    files: TempDir,
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
        let root = files.path().join("buckets");
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let ca = options.https.then(|| files.path().join("ca.pem"));
        let acceptor = ca.as_deref().map(tls::acceptor);

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let service = service(&root, options.checks);
        runtime.spawn(async move {
            accept(TcpListener::from_std(listener).unwrap(), acceptor, service).await;
        });

        Self { reach: Reach::local(endpoint(options, address), ca), files, runtime: Some(runtime) }
    }

    /// How to reach it.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The directory that holds the bucket's objects, each a file named by its key.
    pub fn bucket_dir(&self) -> PathBuf {
        self.files.path().join("buckets").join(BUCKET)
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

fn endpoint(options: Options, address: SocketAddr) -> String {
    let scheme = if options.https { "https" } else { "http" };
    format!("{scheme}://{address}")
}

fn service(root: &Path, checks: Checks) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Strict::new(root, checks));
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    builder.build()
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve(socket, tls.clone(), service.clone()));
    }
}

async fn serve(socket: TcpStream, tls: Option<TlsAcceptor>, service: S3Service) {
    // A connection that breaks is the client's to notice.
    match tls {
        None => drop(serve_http(socket, service).await),
        Some(tls) => {
            if let Ok(socket) = tls.accept(socket).await {
                drop(serve_http(socket, service).await);
            }
        }
    }
}

fn serve_http<S>(
    socket: S,
    service: S3Service,
) -> impl Future<Output = Result<(), hyper1::Error>> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    hyper1::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service)
}
