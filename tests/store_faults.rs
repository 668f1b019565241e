//! A server that refuses, loses answers and lies, and the store that survives it.

#![allow(clippy::unwrap_used)]

use bts::exit::{HasStatus, Status};
use bts::store::{
    Condition, Error, ErrorKind, Key, PartBody, PartDone, PutOptions, Shared, Upload,
    UploadOptions, Whole,
};
use bts_tests::s3::{Fault, Op, Refusal, Rule, S3Server};
use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};

/// What is written.
const WORDS: &[u8] = b"the bytes of this test";

/// Every way to say "not now".
const BUSY: [Refusal; 5] = [
    Refusal::INTERNAL,
    Refusal::BAD_GATEWAY,
    Refusal::SLOW_DOWN,
    Refusal::TOO_MANY,
    Refusal::TIMEOUT,
];

/// Every way to do what was asked and not to say so.
const SILENT: [Fault; 3] =
    [Fault::Lose, Fault::RefuseAfter(Refusal::INTERNAL), Fault::CutAnswer(30)];

/// What is asked of a key, one request each.
const ASKED: [Op; 9] = [
    Op::HeadObject,
    Op::GetObject,
    Op::PutObject,
    Op::DeleteObject,
    Op::CreateUpload,
    Op::UploadPart,
    Op::ListParts,
    Op::CompleteUpload,
    Op::AbortUpload,
];

/// A key with an object and an upload of one part.
struct Place {
    store: Shared,
    key: Key,
    upload: Upload,
    part: PartDone,
}

fn body() -> PartBody {
    let crc32 = crc32fast::hash(WORDS);
    PartBody { pieces: vec![Bytes::from_static(WORDS)], len: WORDS.len() as u64, crc32 }
}

fn whole(if_absent: bool) -> Whole {
    Whole { size: WORDS.len() as u64, crc32: crc32fast::hash(WORDS), if_absent }
}

fn upload_options() -> UploadOptions {
    let metadata = [("run".to_owned(), "0b1c".to_owned())].into();
    UploadOptions { storage_class: None, part_size: 5 << 20, metadata }
}

fn only_if(condition: Condition) -> PutOptions {
    PutOptions { condition, ..PutOptions::default() }
}

async fn open(server: &S3Server) -> Shared {
    let store = server.reach().open().await.unwrap().store;
    assert!(store.conditional().await.unwrap());
    store
}

impl Place {
    /// At `key`, where there is an object only if `taken`.
    async fn new(store: &Shared, key: &str, taken: bool) -> Self {
        let (store, key) = (Shared::clone(store), key.parse::<Key>().unwrap());
        let upload = store.create_upload(&key, &upload_options()).await.unwrap();
        let part = store.put_part(&upload, 1, body()).await.unwrap();
        if taken {
            let old = Bytes::from_static(b"old");
            store.put(&key, old, &PutOptions::default()).await.unwrap();
        }
        Self { store, key, upload, part }
    }

    async fn put(&self, condition: Condition) -> Result<(), Error> {
        let words = Bytes::from_static(WORDS);
        self.store.put(&self.key, words, &only_if(condition)).await.map(drop)
    }

    async fn complete(&self, if_absent: bool) -> Result<(), Error> {
        let parts = [self.part.clone()];
        self.store.complete_upload(&self.upload, &parts, &whole(if_absent)).await.map(drop)
    }

    async fn read(&self) -> Result<Vec<u8>, Error> {
        let got = self.store.get(&self.key, None).await?;
        Ok(got.body.try_collect::<Vec<_>>().await?.concat())
    }

    async fn ask(&self, op: Op) -> Result<(), Error> {
        let Self { store, key, upload, .. } = self;
        match op {
            Op::HeadObject => store.head(key).await.map(drop),
            Op::GetObject => store.get(key, None).await.map(drop),
            Op::PutObject => self.put(Condition::Always).await,
            Op::DeleteObject => store.delete(key).await,
            Op::CreateUpload => store.create_upload(key, &upload_options()).await.map(drop),
            Op::UploadPart => store.put_part(upload, 2, body()).await.map(drop),
            Op::ListParts => store.list_parts(upload).await.map(drop),
            Op::CompleteUpload => self.complete(false).await,
            Op::AbortUpload => store.abort_upload(upload).await,
            other => unreachable!("{other:?} is not asked of a key"),
        }
    }
}

/// Lets `faults` happen at a place each, all at the same time, when `op` is asked
/// there; what `ask` then made of it. What was done is counted in the sum.
async fn suffer<T, F>(
    op: Op,
    faults: &[Fault],
    taken: bool,
    ask: impl Fn(Place) -> F,
) -> (Vec<T>, u64)
where
    F: Future<Output = T>,
{
    let server = S3Server::start();
    let store = open(&server).await;
    let keys = (0..faults.len()).map(|at| format!("place-{at}")).collect::<Vec<_>>();
    let places = join_all(keys.iter().map(|key| Place::new(&store, key, taken))).await;
    for (fault, key) in faults.iter().zip(&keys) {
        server.control().inject(Rule::of(op, *fault).key(key));
    }
    let before = server.control().count(op);
    let made = join_all(places.into_iter().map(ask)).await;
    let after = server.control().count(op);
    assert_eq!(after.faults - before.faults, faults.len() as u64, "{op:?}");
    (made, after.done - before.done)
}

#[tokio::test]
async fn what_is_refused_for_now_is_asked_again() {
    let all = ASKED.map(async |op| {
        let mut faults = BUSY.map(Fault::Refuse).to_vec();
        if matches!(op, Op::PutObject | Op::CompleteUpload) {
            faults.push(Fault::Refuse(Refusal::CONFLICT));
        }
        if op == Op::CompleteUpload {
            faults.push(Fault::Refuse(Refusal::IN_A_200));
        }
        let (made, done) = suffer(op, &faults, true, async |place| place.ask(op).await).await;
        for (fault, made) in faults.iter().zip(made) {
            assert_eq!(made, Ok(()), "{op:?} {fault:?}");
        }
        assert_eq!(done, faults.len() as u64, "{op:?} happened more than once");
    });
    join_all(all).await;
}

#[tokio::test]
async fn a_server_that_stays_busy_is_asked_five_times() {
    let all = [
        (Op::PutObject, Refusal::SLOW_DOWN, "SlowDown"),
        (Op::UploadPart, Refusal::BAD_GATEWAY, "HTTP 502"),
        (Op::CompleteUpload, Refusal::IN_A_200, "InternalError"),
        (Op::DeleteObject, Refusal::TIMEOUT, "RequestTimeout"),
    ];
    join_all(all.map(async |(op, refusal, words)| {
        let server = S3Server::start();
        let place = Place::new(&open(&server).await, "place", false).await;
        let before = server.control().count(op);
        server.control().inject(Rule::of(op, Fault::Refuse(refusal)).always());
        let error = place.ask(op).await.unwrap_err();
        assert_eq!((error.status(), error.attempts), (Status::Unavailable, 5), "{error}");
        let said = error.to_string();
        assert!(said.contains(words) && said.contains("(tried 5 times over "), "{said}");
        // The waits are at least half of 1, 2, 4 and 8 s.
        assert!(error.elapsed.as_secs_f64() > 7.4, "{said}");
        let after = server.control().count(op);
        assert_eq!((after.requests - before.requests, after.done), (5, before.done), "{op:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_request_that_is_cut_is_sent_again() {
    for op in [Op::PutObject, Op::UploadPart, Op::CompleteUpload] {
        let faults = [0, 1, 10, u64::MAX].map(Fault::CutRequest);
        let (made, done) = suffer(op, &faults, true, async |place| place.ask(op).await).await;
        assert!(made.iter().all(Result::is_ok), "{op:?} {made:?}");
        assert_eq!(done, faults.len() as u64, "{op:?} happened more than once");
    }
}

#[tokio::test]
async fn a_lost_answer_to_what_can_be_repeated_is_not_noticed() {
    let all = [Op::HeadObject, Op::PutObject, Op::UploadPart, Op::DeleteObject];
    join_all(all.map(async |op| {
        let ask = async |place: Place| {
            place.ask(op).await.unwrap();
            place.store.list_parts(&place.upload).await.unwrap().len()
        };
        let (parts, done) = suffer(op, &SILENT, true, ask).await;
        let expected = if op == Op::UploadPart { 2 } else { 1 };
        assert_eq!((parts, done), (vec![expected; SILENT.len()], 2 * SILENT.len() as u64));
    }))
    .await;
    let abort = async |place: Place| place.ask(Op::AbortUpload).await;
    let (made, done) = suffer(Op::AbortUpload, &SILENT, false, abort).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(done, SILENT.len() as u64);
}

#[tokio::test]
async fn a_lost_answer_to_a_create_only_write_says_that_it_may_have_won() {
    let ask = async |place: Place| {
        let error = place.put(Condition::IfAbsent).await.unwrap_err();
        (error, place.read().await.unwrap())
    };
    let (made, done) = suffer(Op::PutObject, &SILENT, false, ask).await;
    for (error, read) in made {
        assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
        assert!(error.to_string().contains("an earlier attempt did it"), "{error}");
        assert_eq!((read.as_slice(), error.attempts), (WORDS, 2));
    }
    assert_eq!(done, SILENT.len() as u64, "written more than once");
}

#[tokio::test]
async fn a_lost_answer_to_a_swap_says_that_it_may_have_won() {
    let ask = async |place: Place| {
        let old = place.store.head(&place.key).await.unwrap().unwrap().etag;
        let error = place.put(Condition::IfMatch(old)).await.unwrap_err();
        (error, place.read().await.unwrap())
    };
    let (made, done) = suffer(Op::PutObject, &SILENT, true, ask).await;
    for (error, read) in made {
        assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
        assert!(error.to_string().contains("an earlier attempt did it"), "{error}");
        assert_eq!(read, WORDS);
    }
    assert_eq!(done, SILENT.len() as u64, "written more than once");
}

#[tokio::test]
async fn a_lost_answer_to_a_completion_can_be_told_from_a_lost_upload() {
    let mut faults = SILENT.to_vec();
    faults.push(Fault::RefuseAfter(Refusal::IN_A_200));
    for if_absent in [false, true] {
        let ask = async |place: Place| {
            let error = place.complete(if_absent).await.unwrap_err();
            let found = place.store.head(&place.key).await.unwrap().unwrap();
            (error, found, place.read().await.unwrap())
        };
        let (made, done) = suffer(Op::CompleteUpload, &faults, false, ask).await;
        for (error, found, read) in made {
            assert_eq!((error.kind, error.attempts), (ErrorKind::NoSuchUpload, 2), "{error}");
            assert_eq!(error.status(), Status::TryLater);
            assert!(error.to_string().contains("an earlier attempt did it"), "{error}");
            assert_eq!(found.metadata, upload_options().metadata);
            assert_eq!(found.crc32, Some(crc32fast::hash(WORDS)));
            assert_eq!(read, WORDS);
        }
        assert_eq!(done, faults.len() as u64, "completed more than once");
    }

    let server = S3Server::start();
    let place = Place::new(&open(&server).await, "lost", false).await;
    place.store.abort_upload(&place.upload).await.unwrap();
    let error = place.complete(false).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::NoSuchUpload, 1), "{error}");
    assert!(!error.to_string().contains("an earlier attempt"), "{error}");
    assert_eq!(place.store.head(&place.key).await.unwrap(), None);
}

#[tokio::test]
async fn a_lost_answer_to_the_begin_of_an_upload_leaves_one_that_is_listed() {
    let ask = async |place: Place| {
        place.ask(Op::CreateUpload).await.unwrap();
        place.store.list_uploads(place.key.as_str()).await.unwrap().len()
    };
    let (uploads, _) = suffer(Op::CreateUpload, &SILENT, false, ask).await;
    // That of the place, the lost one, and the one that was answered.
    assert_eq!(uploads, vec![3; SILENT.len()]);
}

#[tokio::test]
async fn lists_survive_what_single_requests_survive() {
    let server = S3Server::start();
    let place = Place::new(&open(&server).await, "place", true).await;
    let faults = [Fault::Refuse(Refusal::SLOW_DOWN), Fault::Lose, Fault::CutAnswer(100)];
    for fault in faults {
        server.control().inject(Rule::of(Op::ListObjects, fault));
        server.control().inject(Rule::of(Op::ListUploads, fault));
        server.control().inject(Rule::of(Op::ListParts, fault));
        let page = place.store.list("place", false, None).await.unwrap();
        assert_eq!((page.objects.len(), page.next), (1, None), "{fault:?}");
        assert_eq!(place.store.list_uploads("").await.unwrap().len(), 1, "{fault:?}");
        assert_eq!(place.store.list_parts(&place.upload).await.unwrap().len(), 1, "{fault:?}");
    }
    assert_eq!(server.control().total().faults, 3 * faults.len() as u64);
}

#[tokio::test]
async fn a_body_that_is_cut_is_an_error_after_its_bytes() {
    let server = S3Server::start();
    let place = Place::new(&open(&server).await, "place", false).await;
    place.put(Condition::Always).await.unwrap();
    server.control().inject(Rule::of(Op::GetObject, Fault::CutAnswer(7)));
    let mut body = place.store.get(&place.key, None).await.unwrap().body;
    let mut read = Vec::new();
    let error = loop {
        match body.next().await.unwrap() {
            Ok(piece) => read.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert_eq!((read.as_slice(), error.kind), (&WORDS[..7], ErrorKind::Unavailable), "{error}");
    assert_eq!(place.read().await.unwrap(), WORDS);
}

#[tokio::test]
async fn a_damaged_answer_is_for_the_reader_to_notice() {
    let server = S3Server::start();
    let place = Place::new(&open(&server).await, "place", false).await;
    place.put(Condition::Always).await.unwrap();
    server.control().inject(Rule::of(Op::GetObject, Fault::Flip(3)));
    let mut expected = WORDS.to_vec();
    expected[3] ^= 1;
    assert_eq!(place.read().await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_by_chance_leaves_every_object_whole() {
    let server = S3Server::start();
    let store = open(&server).await;
    let places = (0..40).map(async |at| {
        let place = Place::new(&store, &format!("place-{at:02}"), false).await;
        match place.complete(true).await {
            // The answer was lost.
            Err(error) if error.kind == ErrorKind::NoSuchUpload => {}
            other => other.unwrap(),
        }
        let found = place.store.head(&place.key).await.unwrap().unwrap();
        assert_eq!(found.metadata, upload_options().metadata);
    });
    let seed: u64 = rand::random();
    println!("seed {seed}");
    server.control().inject_by_chance(seed, 0.2);
    join_all(places).await;
    let total = server.control().total();
    assert!(total.faults > 10, "{total:?}");
    server.control().heal();
    let listed = store.list("place", false, None).await.unwrap();
    assert_eq!(listed.objects.len(), 40);
}
