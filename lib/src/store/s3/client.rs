//! One bucket, and requests to it that are signed, sent and retried.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt, stream};
use rusoto_core::credential::{AwsCredentials, ProvideAwsCredentials, StaticProvider};
use rusoto_core::request::{DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::SignedRequest;
use rusoto_core::{
    ByteStream, Client as RusotoClient, DispatchSignedRequest, HttpDispatchError, Region,
    RusotoError,
};
use rusoto_s3::S3Client;

use super::Credentials;
use super::refusal::refused;
use super::transport::{Answer, STALL, Transport, small};
use crate::retry::{self, Again, Failed, Idempotency, Job, Policy};
use crate::store::{Error, ErrorKind};

/// A bucket on a server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) bucket: String,
    region: Region,
    credentials: Credentials,
    transport: Transport,
    policy: Policy,
}

/// A request, before it is signed.
#[derive(Clone, Debug)]
pub(super) struct Call {
    job: Job,
    method: &'static str,
    path: String,
    params: BTreeMap<String, Option<String>>,
    headers: Vec<(String, String)>,
    body: Body,
    patience: Duration,
}

#[derive(Clone, Debug, Default)]
enum Body {
    #[default]
    Empty,
    /// Signed as a whole.
    Whole(Bytes),
    /// Sent as it lies in memory, unsigned: the server checks a checksum.
    Pieces(Arc<[Bytes]>, u64),
}

impl Call {
    pub(super) fn param(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.insert(name.to_owned(), Some(value.into()));
        self
    }

    pub(super) fn flag(mut self, name: &str) -> Self {
        self.params.insert(name.to_owned(), None);
        self
    }

    pub(super) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn headers(mut self, all: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers.extend(all);
        self
    }

    pub(super) fn body(mut self, bytes: Bytes) -> Self {
        self.body = Body::Whole(bytes);
        self
    }

    pub(super) fn pieces(mut self, pieces: &[Bytes], len: u64) -> Self {
        self.body = Body::Pieces(pieces.iter().flat_map(small).collect(), len);
        self
    }

    /// How long the server may think, where that is its nature.
    pub(super) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn request(&self, region: &Region) -> SignedRequest {
        let mut request = SignedRequest::new(self.method, "s3", region, &self.path);
        request.set_params(self.params.clone());
        for (name, value) in &self.headers {
            request.add_header(name, value);
        }
        match &self.body {
            Body::Empty => {}
            Body::Whole(bytes) => request.set_payload(Some(bytes.clone())),
            Body::Pieces(pieces, len) => {
                let pieces = Arc::clone(pieces);
                let each = (0..pieces.len()).map(move |at| Ok(pieces[at].clone()));
                // A part's length fits: its bytes are in memory.
                let len = usize::try_from(*len).unwrap_or(usize::MAX);
                request.set_payload_stream(ByteStream::new_with_size(stream::iter(each), len));
            }
        }
        request
    }
}

impl Client {
    pub(super) fn new(
        bucket: &str,
        region: Region,
        credentials: Credentials,
        retry_for: Duration,
    ) -> Result<Self, crate::exit::Failure> {
        let transport = Transport::new()?;
        let policy = Policy::new(retry_for);
        Ok(Self { bucket: bucket.to_owned(), region, credentials, transport, policy })
    }

    /// How messages name an object.
    pub(super) fn locate(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// What is being done to `key` (the bucket, when empty).
    pub(super) fn job(&self, action: &str, key: &str, idempotency: Idempotency) -> Job {
        Job { action: action.to_owned(), object: self.locate(key), idempotency }
    }

    /// A request for `key` (the bucket, when empty): addressed by path, because
    /// bucket names with dots have no certificate.
    pub(super) fn call(&self, method: &'static str, key: &str, job: Job) -> Call {
        let slash = if key.is_empty() { "" } else { "/" };
        Call {
            job,
            method,
            path: format!("/{}{slash}{key}", self.bucket),
            params: BTreeMap::new(),
            headers: Vec::new(),
            body: Body::Empty,
            patience: STALL,
        }
    }

    /// Sends `call` until `read` makes sense of an answer that is a success.
    pub(super) async fn send<T, R, F>(&self, call: &Call, read: R) -> Result<T, Error>
    where
        R: Fn(Answer) -> F,
        F: Future<Output = Result<T, Failed>>,
    {
        retry::run(&self.policy, &call.job, || async {
            let keys = self.keys().await?;
            let failed = match self.attempt(call, &keys).await {
                Ok(answer) => match read(answer).await {
                    Ok(done) => return Ok(done),
                    Err(failed) => failed,
                },
                Err(failed) => failed,
            };
            Err(self.renewing(failed, &keys).await)
        })
        .await
    }

    /// Signs afresh and sends once.
    async fn attempt(&self, call: &Call, keys: &AwsCredentials) -> Result<Answer, Failed> {
        let mut request = call.request(&self.region);
        request.sign(keys);
        let answer = self.transport.exchange(request, call.patience).await?;
        log::debug!("{} {}: {}", call.method, call.path, answer.status_words());
        let silent = call.method == "HEAD";
        if answer.is_success() { Ok(answer) } else { Err(refused(answer, silent).await) }
    }

    /// The keys of now. There were some when the store was opened: what gives
    /// them (a process that asks a server, say) may be back before long.
    async fn keys(&self) -> Result<AwsCredentials, Failed> {
        let keys = self.credentials.credentials().await;
        keys.map_err(|error| Failed {
            kind: ErrorKind::Refused,
            ..Failed::timed(error.to_string())
        })
    }

    async fn renewing(&self, failed: Failed, keys: &AwsCredentials) -> Failed {
        if failed.again == Again::Renewed {
            self.credentials.expired(keys).await;
        }
        failed
    }

    /// Sends one of Rusoto's typed requests, by the same rules as [`Client::send`].
    pub(super) async fn typed<T, E, F, A>(&self, job: &Job, request: F) -> Result<T, Error>
    where
        F: Fn(S3Client) -> A,
        A: Future<Output = Result<T, RusotoError<E>>>,
    {
        retry::run(&self.policy, job, || async {
            let keys = self.keys().await?;
            let dispatch = Dispatch::new(&self.transport);
            let failed = Arc::clone(&dispatch.failed);
            let rusoto = RusotoClient::new_with(fixed(&keys), dispatch);
            let answer = request(S3Client::new_with_client(rusoto, self.region.clone())).await;
            let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (answer, failed) {
                (Ok(done), _) => Ok(done),
                (Err(_), Some(failed)) => Err(self.renewing(failed, &keys).await),
                (Err(_), None) => {
                    Err(Failed::never(ErrorKind::BadAnswer, "the answer makes no sense"))
                }
            }
        })
        .await
    }
}

/// These keys and no others, so that it is known which ones a server called expired.
fn fixed(keys: &AwsCredentials) -> StaticProvider {
    let (access, secret) = (keys.aws_access_key_id(), keys.aws_secret_access_key());
    StaticProvider::new(access.to_owned(), secret.to_owned(), keys.token().clone(), None)
}

/// Carries Rusoto's typed requests over our transport. Rusoto's errors are text:
/// what a retry must know of a failure is left in `failed`. Headers are not
/// handed on: nothing here needs them, and Rusoto panics on some.
struct Dispatch {
    transport: Transport,
    failed: Arc<Mutex<Option<Failed>>>,
}

impl Dispatch {
    fn new(transport: &Transport) -> Self {
        Self { transport: transport.clone(), failed: Arc::default() }
    }
}

impl DispatchSignedRequest for Dispatch {
    fn dispatch(&self, request: SignedRequest, _: Option<Duration>) -> DispatchSignedRequestFuture {
        let (transport, slot) = (self.transport.clone(), Arc::clone(&self.failed));
        async move {
            let silent = request.method() == "HEAD";
            let failed = match transport.exchange(request, STALL).await {
                Ok(answer) if answer.is_success() => return Ok(handed_on(answer)),
                Ok(answer) => refused(answer, silent).await,
                Err(failed) => failed,
            };
            let error = HttpDispatchError::new(failed.cause.clone());
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
            Err(error)
        }
        .boxed()
    }
}

fn handed_on(answer: Answer) -> HttpResponse {
    let status = http::StatusCode::from_u16(answer.status()).unwrap_or(http::StatusCode::OK);
    let body = answer.pieces().map_err(|failed| std::io::Error::other(failed.cause));
    HttpResponse { status, body: ByteStream::new(body), headers: http::HeaderMap::default() }
}
