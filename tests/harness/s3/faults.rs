//! What a server does wrong, and when.
//!
//! A [`Rule`] makes certain requests go wrong in a certain way; a [`Chance`] lets
//! any request go wrong in any way that suits it, the same way for the same seed
//! and order of requests. `injector` does it.

use std::time::Duration;

use hyper1::Method;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Op {
    HeadBucket,
    HeadObject,
    GetObject,
    PutObject,
    DeleteObject,
    ListObjects,
    CreateUpload,
    UploadPart,
    ListParts,
    ListUploads,
    CompleteUpload,
    AbortUpload,
    RestoreObject,
    /// What bts never asks for.
    Other,
}

impl Op {
    /// What a request by path style is, and its key as it is spelled in the URL.
    pub(super) fn of<'a>(method: &Method, path: &'a str, query: &str) -> (Self, &'a str) {
        let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
        let has = |name: &str| query.split('&').any(|it| it.split('=').next() == Some(name));
        let op = match (method.as_str(), key.is_empty()) {
            ("HEAD", true) => Self::HeadBucket,
            ("HEAD", false) => Self::HeadObject,
            ("GET", true) if has("uploads") => Self::ListUploads,
            ("GET", true) => Self::ListObjects,
            ("GET", false) if has("uploadId") => Self::ListParts,
            ("GET", false) => Self::GetObject,
            ("PUT", false) if has("uploadId") => Self::UploadPart,
            ("PUT", false) => Self::PutObject,
            ("POST", false) if has("uploads") => Self::CreateUpload,
            ("POST", false) if has("uploadId") => Self::CompleteUpload,
            ("POST", false) if has("restore") => Self::RestoreObject,
            ("DELETE", false) if has("uploadId") => Self::AbortUpload,
            ("DELETE", false) => Self::DeleteObject,
            _ => Self::Other,
        };
        (op, key)
    }
}

/// A request as it is judged before anything is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) op: Op,
    /// As it is spelled in the URL.
    pub(super) key: &'a str,
    /// The length of the body, in bytes.
    pub(super) len: u64,
    /// The header that says who signed it.
    pub(super) authorization: &'a str,
}

/// How a server says no: the status, and the code in its XML. Without a code the
/// answer is a page of HTML, as a proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u16, pub &'static str);

impl Refusal {
    /// 500 InternalError.
    pub const INTERNAL: Self = Self(500, "InternalError");
    /// 502 of a proxy, as a page of HTML.
    pub const BAD_GATEWAY: Self = Self(502, "");
    /// 503 SlowDown.
    pub const SLOW_DOWN: Self = Self(503, "SlowDown");
    /// 429 TooManyRequests.
    pub const TOO_MANY: Self = Self(429, "TooManyRequests");
    /// 400 RequestTimeout.
    pub const TIMEOUT: Self = Self(400, "RequestTimeout");
    /// 409 ConditionalRequestConflict: another write of the key is on its way.
    pub const CONFLICT: Self = Self(409, "ConditionalRequestConflict");
    /// 400 ExpiredToken.
    pub const EXPIRED: Self = Self(400, "ExpiredToken");
    /// 200, and an error as its body, as CompleteMultipartUpload may answer.
    pub const IN_A_200: Self = Self(200, "InternalError");
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused; nothing is done.
    Refuse(Refusal),
    /// Done, and then called refused.
    RefuseAfter(Refusal),
    /// The connection breaks when this many bytes of the body came (all of them
    /// at most); nothing is done.
    CutRequest(u64),
    /// Done; the connection breaks before the answer.
    Lose,
    /// Done; the connection breaks after this many bytes of the answer's body, or
    /// before the answer when it has no body.
    CutAnswer(u64),
    /// Done; the byte here in the answer's body arrives with a bit flipped.
    Flip(u64),
    /// Done, after this time.
    Delay(Duration),
    /// Nothing is done, and no answer ever comes.
    Hang,
}

/// Makes requests go wrong: of those that it fits, the first [`Rule::times`]
/// after the first [`Rule::after`], and of these each [`Rule::every`]th.
#[derive(Clone, Debug)]
pub struct Rule {
    op: Option<Op>,
    key: String,
    signer: String,
    after: u64,
    every: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    /// One request for `op`.
    pub fn of(op: Op, fault: Fault) -> Self {
        Self { op: Some(op), ..Self::any(fault) }
    }

    /// One request, whatever it is.
    pub fn any(fault: Fault) -> Self {
        let (key, signer) = (String::new(), String::new());
        Self { op: None, key, signer, after: 0, every: 1, times: 1, fault }
    }

    /// Only requests for keys that end like this, as URLs spell it.
    pub fn key(self, end: &str) -> Self {
        Self { key: end.to_owned(), ..self }
    }

    /// Only requests that were signed with this access key.
    pub fn signed_by(self, access_key: &str) -> Self {
        Self { signer: format!("Credential={access_key}/"), ..self }
    }

    /// Spares this many requests first.
    pub fn after(self, requests: u64) -> Self {
        Self { after: requests, ..self }
    }

    /// One in this many, for as long as the server runs.
    pub fn every(self, requests: u64) -> Self {
        Self { after: requests - 1, every: requests, ..self.always() }
    }

    /// This many requests instead of one.
    pub fn times(self, requests: u64) -> Self {
        Self { times: requests, ..self }
    }

    /// Every request from there on.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    fn fits(&self, asked: &Asked) -> bool {
        self.op.is_none_or(|op| op == asked.op)
            && asked.key.ends_with(&self.key)
            && asked.authorization.contains(&self.signer)
    }

    /// Whether a request goes wrong; counts it.
    pub(super) fn strikes(&mut self, asked: &Asked) -> Option<Fault> {
        if self.times == 0 || !self.fits(asked) {
            return None;
        }
        match self.after.checked_sub(1) {
            Some(left) => {
                self.after = left;
                None
            }
            None => {
                self.times -= 1;
                self.after = self.every - 1;
                Some(self.fault)
            }
        }
    }
}

/// Requests that go wrong by chance.
#[derive(Clone, Debug)]
pub(super) struct Chance {
    rng: StdRng,
    rate: f64,
}

impl Chance {
    pub(super) fn new(seed: u64, rate: f64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), rate }
    }

    /// Whether a request goes wrong. Only in ways that
    /// a client must survive: a damaged answer, one that never comes, and expired
    /// credentials are for [`Rule`]s.
    pub(super) fn strikes(&mut self, asked: &Asked) -> Option<Fault> {
        if !self.rng.random_bool(self.rate) {
            return None;
        }
        let refusals = match asked.op {
            Op::CompleteUpload => &[Refusal::IN_A_200, Refusal::CONFLICT, Refusal::INTERNAL][..],
            Op::PutObject => &[Refusal::CONFLICT, Refusal::INTERNAL, Refusal::SLOW_DOWN],
            _ => &[
                Refusal::INTERNAL,
                Refusal::BAD_GATEWAY,
                Refusal::SLOW_DOWN,
                Refusal::TOO_MANY,
                Refusal::TIMEOUT,
            ],
        };
        let refusal = refusals[self.rng.random_range(0..refusals.len())];
        // What says that nothing was done must not be said after it was done.
        let after = if refusal == Refusal::IN_A_200 { refusal } else { Refusal::INTERNAL };
        Some(match self.rng.random_range(0..6) {
            0 => Fault::Refuse(refusal),
            1 => Fault::RefuseAfter(after),
            2 => Fault::CutRequest(self.rng.random_range(0..=asked.len)),
            3 => Fault::Lose,
            4 => Fault::CutAnswer(self.rng.random_range(0..4096)),
            _ => Fault::Delay(Duration::from_millis(self.rng.random_range(0..500))),
        })
    }
}
