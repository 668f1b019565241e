//! When a request is sent again, and for how long.
//!
//! Two budgets, for two kinds of trouble. A server that answers "not now" is
//! asked [`Policy::attempts`] times in all; a server that cannot be reached is
//! tried until [`Policy::retry_for`] has passed since the trouble began, because
//! a home line comes back. Between attempts lies an exponential back-off with
//! jitter, from [`Policy::first_wait`] to [`Policy::longest_wait`]. The error that
//! comes out says how often and for how long it was tried.
//!
//! Who sends the request says by [`Again`] what an answer means and by
//! [`Idempotency`] what a second attempt may do; this module knows no protocol.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::store::{Error, ErrorKind};

/// How often, how long and how patiently requests are sent again.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How often a request is sent that the server refuses for now.
    pub attempts: u32,
    /// How long connections that fail are tried again.
    pub retry_for: Duration,
    /// The wait before the second attempt, at most.
    pub first_wait: Duration,
    /// The wait before any attempt, at most.
    pub longest_wait: Duration,
    /// Where jitter comes from: numbers in `0.0..1.0`.
    pub jitter: fn() -> f64,
}

impl Policy {
    /// Five attempts, waits of 1 s to 30 s, and `retry_for` for lost connections.
    pub fn new(retry_for: Duration) -> Self {
        Self {
            attempts: 5,
            retry_for,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            jitter: rand::random::<f64>,
        }
    }

    /// The wait after the `failures`th failure (1, 2, …): between half of the
    /// full wait and all of it, so that many clients do not come back at once
    /// and none comes back at once.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(30));
        let full = self.first_wait.saturating_mul(doubled).min(self.longest_wait);
        full.mul_f64(0.5 + (self.jitter)() / 2.0)
    }
}

/// What a second attempt does that follows one whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// The same once more: reads, overwrites, deletions.
    Idempotent,
    /// It may be refused because the first attempt succeeded: create-only
    /// writes, compare-and-swap, completing an upload.
    Once,
    /// It begins another one; what the first began is left behind, for gc.
    Additive,
}

/// What a failed attempt means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// There is no use in trying again.
    Never,
    /// The server says "not now": counted.
    Counted,
    /// No answer came, or not all of it: timed.
    Timed,
    /// The credentials had expired; once, after they were fetched again.
    Renewed,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What it means for the next attempt.
    pub again: Again,
    /// What callers decide on when this was the last attempt.
    pub kind: ErrorKind,
    /// What the server or the system said, in its own words.
    pub cause: String,
}

impl Failed {
    /// A failure that no retry cures.
    pub fn never(kind: ErrorKind, cause: impl Into<String>) -> Self {
        Self { again: Again::Never, kind, cause: cause.into() }
    }

    /// An answer of "not now".
    pub fn counted(cause: impl Into<String>) -> Self {
        Self { again: Again::Counted, kind: ErrorKind::Unavailable, cause: cause.into() }
    }

    /// An answer that did not come.
    pub fn timed(cause: impl Into<String>) -> Self {
        Self { again: Again::Timed, kind: ErrorKind::Unavailable, cause: cause.into() }
    }
}

/// What is tried, for messages and for judging a second attempt.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is being done: "upload part 7 of".
    pub action: String,
    /// The object's or the store's URL.
    pub object: String,
    /// What a second attempt does.
    pub idempotency: Idempotency,
}

/// Runs `attempt` until it succeeds or a budget is spent.
///
/// # Errors
/// The last attempt's failure, with the number of attempts and the time they took.
pub async fn run<T, F, A>(policy: &Policy, job: &Job, mut attempt: F) -> Result<T, Error>
where
    F: FnMut() -> A,
    A: Future<Output = Result<T, Failed>>,
{
    let start = Instant::now();
    let mut budget = Budget::new(policy);
    loop {
        let failed = match attempt().await {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        let Some(wait) = budget.spend(&failed) else {
            return Err(budget.error(job, failed, start.elapsed()));
        };
        let (seconds, Job { action, object, .. }) = (wait.as_secs_f64(), job);
        log::warn!("cannot {action} {object}: {}; trying again in {seconds:.1} s", failed.cause);
        sleep(wait).await;
    }
}

/// What is left of the two budgets.
struct Budget<'a> {
    policy: &'a Policy,
    failures: u32,
    counted: u32,
    renewed: bool,
    /// An attempt without an answer may have had its effect.
    unseen: bool,
    trouble_since: Option<Instant>,
}

impl<'a> Budget<'a> {
    fn new(policy: &'a Policy) -> Self {
        let (renewed, unseen, trouble_since) = Default::default();
        Self { policy, failures: 0, counted: 0, renewed, unseen, trouble_since }
    }

    /// The wait before the next attempt; `None` when this was the last one.
    fn spend(&mut self, failed: &Failed) -> Option<Duration> {
        self.failures += 1;
        match failed.again {
            Again::Never => None,
            Again::Renewed if self.renewed => None,
            Again::Renewed => {
                self.renewed = true;
                Some(Duration::ZERO)
            }
            Again::Counted => {
                self.unseen = true;
                self.counted += 1;
                (self.counted < self.policy.attempts).then(|| self.policy.wait(self.counted))
            }
            Again::Timed => {
                self.unseen = true;
                let since = *self.trouble_since.get_or_insert_with(Instant::now);
                let left = self.policy.retry_for.checked_sub(since.elapsed())?;
                (!left.is_zero()).then(|| self.policy.wait(self.failures).min(left))
            }
        }
    }

    fn error(&self, job: &Job, failed: Failed, elapsed: Duration) -> Error {
        let refused =
            matches!(failed.kind, ErrorKind::PreconditionFailed | ErrorKind::NoSuchUpload);
        let cause = match job.idempotency {
            Idempotency::Once if self.unseen && refused => {
                format!("{} (or an earlier attempt did it, whose answer was lost)", failed.cause)
            }
            _ => failed.cause,
        };
        Error {
            action: job.action.clone(),
            object: job.object.clone(),
            kind: failed.kind,
            cause,
            attempts: self.failures,
            elapsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn policy(retry_for: u64) -> Policy {
        Policy { jitter: || 0.999_999, ..Policy::new(Duration::from_secs(retry_for)) }
    }

    fn job(idempotency: Idempotency) -> Job {
        Job { action: "upload part 7 of".into(), object: "s3://b/k".into(), idempotency }
    }

    /// Plays `script` (then its last failure for ever) against a policy.
    async fn play(
        policy: Policy,
        idempotency: Idempotency,
        script: &[Failed],
    ) -> Result<(), Error> {
        let mut left: VecDeque<_> = script.iter().cloned().collect();
        run(&policy, &job(idempotency), || {
            let next = left.pop_front();
            async move { next.map_or(Ok(()), Err) }
        })
        .await
    }

    fn busy() -> Failed {
        Failed::counted("503 SlowDown")
    }

    fn lost() -> Failed {
        Failed::timed("connection refused")
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_is_asked_five_times() {
        let job = Idempotency::Idempotent;
        assert_eq!(play(policy(0), job, &vec![busy(); 4]).await, Ok(()));
        let error = play(policy(3600), job, &vec![busy(); 5]).await.unwrap_err();
        assert_eq!((error.attempts, error.elapsed.as_secs()), (5, 1 + 2 + 4 + 8));
        assert_eq!(
            error.to_string(),
            "cannot upload part 7 of s3://b/k: 503 SlowDown (tried 5 times over 15 s)"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_tried_until_the_time_is_over() {
        let job = Idempotency::Idempotent;
        let error = play(policy(3600), job, &vec![lost(); 1000]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(error.elapsed.as_secs(), 3600);
        assert!((120..140).contains(&error.attempts), "{}", error.attempts);
        assert_eq!(play(policy(90), job, &vec![lost(); 5]).await, Ok(()));
        let error = play(policy(0), job, &[lost(), lost()]).await.unwrap_err();
        assert_eq!(error.attempts, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final() {
        let refusal = Failed::never(ErrorKind::Refused, "AccessDenied");
        let error = play(policy(3600), Idempotency::Once, &[refusal]).await.unwrap_err();
        assert_eq!((error.attempts, error.elapsed.as_secs()), (1, 0));
        assert_eq!(error.to_string(), "cannot upload part 7 of s3://b/k: AccessDenied");
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_are_renewed_once() {
        let expired = || Failed {
            again: Again::Renewed,
            ..Failed::never(ErrorKind::Refused, "ExpiredToken")
        };
        let job = Idempotency::Idempotent;
        assert_eq!(play(policy(0), job, &[expired()]).await, Ok(()));
        let error = play(policy(0), job, &[expired(), expired()]).await.unwrap_err();
        assert_eq!((error.attempts, error.kind), (2, ErrorKind::Refused));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_after_a_lost_answer_says_that_it_may_be_an_echo() {
        let taken = Failed::never(ErrorKind::PreconditionFailed, "PreconditionFailed");
        let script = [lost(), taken.clone()];
        let error = play(policy(60), Idempotency::Once, &script).await.unwrap_err();
        assert!(error.cause.contains("an earlier attempt"), "{error}");
        let error = play(policy(60), Idempotency::Once, &[taken]).await.unwrap_err();
        assert!(!error.cause.contains("an earlier attempt"), "{error}");
    }

    #[test]
    fn waits_double_from_one_to_thirty_seconds_and_vary() {
        let least = Policy { jitter: || 0.0, ..policy(0) };
        let waits: Vec<_> = (1..8).map(|n| policy(0).wait(n).as_secs_f64().round()).collect();
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(least.wait(1), Duration::from_millis(500));
        assert_eq!(policy(0).wait(u32::MAX).as_secs_f64().round(), 30.0);
    }
}
