//! HTTP between a server and its clients, where it goes wrong as `Control` says.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper1::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper1::{Method, Request, Response};
use s3s::Body;
use s3s::service::S3Service;
use tokio::time::{Sleep, sleep};

use super::control::Control;
use super::faults::{Asked, Fault, Op, Refusal};

/// How long the first half of an answer has to leave before its connection breaks.
const FLUSH: Duration = Duration::from_millis(50);

/// Why a connection is closed without an answer.
pub(super) type Broken = Box<dyn StdError + Send + Sync>;

#[derive(Clone)]
pub(super) struct Injector {
    pub(super) service: S3Service,
    pub(super) control: Control,
}

impl Injector {
    /// The answer to `request`, as it should be or not.
    pub(super) async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let (op, key) =
            Op::of(request.method(), request.uri().path(), request.uri().query().unwrap_or(""));
        let len = request.body().size_hint().exact().unwrap_or(0);
        let head = request.method() == Method::HEAD;
        let authorization = request.headers().get("authorization");
        let authorization = authorization.and_then(|it| it.to_str().ok()).unwrap_or_default();
        match self.control.arrived(&Asked { op, key, len, authorization }) {
            None => self.done(op, request).await,
            Some(Fault::Refuse(refusal)) => {
                self.read(op, request.into_body(), u64::MAX).await?;
                Ok(refused(refusal, head))
            }
            Some(Fault::RefuseAfter(refusal)) => {
                self.done(op, request).await?;
                Ok(refused(refusal, head))
            }
            Some(Fault::CutRequest(at)) => {
                self.read(op, request.into_body(), at).await?;
                Err("cut within the request".into())
            }
            Some(Fault::Lose) => {
                self.done(op, request).await?;
                Err("lost the answer".into())
            }
            Some(Fault::CutAnswer(at)) => bent(self.done(op, request).await?, at, How::Cut),
            Some(Fault::Flip(at)) => bent(self.done(op, request).await?, at, How::Flip),
            Some(Fault::Delay(time)) => {
                sleep(time).await;
                self.done(op, request).await
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    /// Does what is asked, to its end even when the client goes away: what a
    /// server does is done or not, and never half.
    async fn done(&self, op: Op, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let control = self.control.clone();
        let service = self.service.clone();
        let request = request
            .map(|body| Body::http_body_unsync(Counted { body, op, control: control.clone() }));
        let doing = tokio::spawn(async move {
            let answer = service.call(request).await;
            if answer.as_ref().is_ok_and(|it| it.status().is_success()) {
                control.done(op);
            }
            answer
        });
        doing.await?.map_err(Into::into)
    }

    /// Takes in `len` bytes of a body, or all there are.
    async fn read(&self, op: Op, body: Incoming, len: u64) -> Result<(), Broken> {
        let mut body = Counted { body, op, control: self.control.clone() };
        let mut taken = 0;
        while taken < len {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(frame) => taken += frame?.data_ref().map_or(0, |data| data.len() as u64),
                None => break,
            }
        }
        Ok(())
    }
}

fn refused(Refusal(status, code): Refusal, head: bool) -> Response<Body> {
    let (kind, text) = match code {
        // In no encoding that anybody promised.
        "" => ("text/html", b"<html><body>Passerelle d\xe9faillante".to_vec()),
        code => ("application/xml", error(code).into_bytes()),
    };
    let text = if head { Vec::new() } else { text };
    let answer = Response::builder().status(status).header("content-type", kind);
    answer.body(Body::from(text)).expect("a status and a plain header")
}

fn error(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>This was injected.</Message></Error>"
    )
}

/// A request's body that is counted as it comes.
struct Counted {
    body: Incoming,
    op: Op,
    control: Control,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = hyper1::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper1::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref()) {
            self.control.received(self.op, data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Cut,
    Flip,
}

/// An answer's body that goes wrong when `left` more bytes have left.
struct Bent {
    body: Body,
    how: How,
    left: u64,
    /// Runs once all that may leave has been handed on.
    flush: Option<Pin<Box<Sleep>>>,
}

fn bent(answer: Response<Body>, at: u64, how: How) -> Result<Response<Body>, Broken> {
    if how == How::Cut && answer.body().is_end_stream() {
        return Err("lost the answer".into());
    }
    // The end of an answer that is shorter must not make it whole.
    let last = answer.body().size_hint().exact().map_or(u64::MAX, |len| len.saturating_sub(1));
    let at = if how == How::Cut { at.min(last) } else { at };
    let bent = |body| Body::http_body_unsync(Bent { body, how, left: at, flush: None });
    Ok(answer.map(bent))
}

impl HttpBody for Bent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(flush) = &mut self.flush {
            ready!(flush.as_mut().poll(cx));
            return Poll::Ready(Some(Err("cut within the answer".into())));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            // Cut beyond its end: the end is lost.
            None if self.how == How::Cut => return Poll::Ready(Some(Err("cut at its end".into()))),
            other => return Poll::Ready(other),
        };
        let Ok(mut data) = frame.into_data() else { return Poll::Ready(None) };
        let at = usize::try_from(self.left).unwrap_or(usize::MAX);
        self.left = self.left.saturating_sub(data.len() as u64);
        match self.how {
            How::Cut if at < data.len() => {
                data.truncate(at);
                self.flush = Some(Box::pin(sleep(FLUSH)));
            }
            How::Flip if at < data.len() => {
                let mut bytes = BytesMut::from(&data[..]);
                bytes[at] ^= 1;
                data = bytes.freeze();
                self.left = u64::MAX;
            }
            _ => {}
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
