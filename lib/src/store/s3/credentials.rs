//! Where the keys come from that requests are signed with.
//!
//! Promises that keys are looked up again when they are about to expire or were
//! called expired, that a failed look-up is not remembered, and that no secret
//! is shown. Rusoto's own refreshing provider remembers failures for ever, and
//! spins when what it is given has expired already; hence this one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rusoto_core::credential::{
    AwsCredentials, CredentialsError, EnvironmentProvider, ProvideAwsCredentials,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::profile;

/// Keys are looked up again when they expire within this time.
const MARGIN: Duration = Duration::from_secs(120);
/// How long a `credential_process` may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keys that requests are signed with. Clones share what was looked up.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    source: Source,
    known: Mutex<Option<AwsCredentials>>,
}

enum Source {
    /// The environment, then AWS's profile files. (A role of the machine would
    /// be asked for last.)
    Machine,
    /// Given by the caller.
    Given(AwsCredentials),
}

impl Credentials {
    /// Those of the environment (`AWS_ACCESS_KEY_ID` …), else those of the
    /// profile files (`AWS_PROFILE`, `credential_process` too).
    pub fn of_machine() -> Self {
        Self::from_source(Source::Machine)
    }

    /// These keys.
    pub fn given(access_key: &str, secret_key: &str) -> Self {
        Self::from_source(Source::Given(AwsCredentials::new(access_key, secret_key, None, None)))
    }

    fn from_source(source: Source) -> Self {
        Self(Arc::new(Inner { source, known: Mutex::default() }))
    }

    /// Drops `keys`, which the server called expired. Parallel requests hear that
    /// of the same keys: what one of them has looked up since is kept.
    pub(super) async fn expired(&self, keys: &AwsCredentials) {
        let name = |keys: &AwsCredentials| {
            let id = keys.aws_access_key_id().to_owned();
            (id, keys.aws_secret_access_key().to_owned(), keys.token().clone())
        };
        let mut known = self.0.known.lock().await;
        if known.as_ref().is_some_and(|known| name(known) == name(keys)) {
            *known = None;
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[async_trait]
impl ProvideAwsCredentials for Credentials {
    async fn credentials(&self) -> Result<AwsCredentials, CredentialsError> {
        // Held while looking up, so that parallel requests look up once.
        let mut known = self.0.known.lock().await;
        match &*known {
            Some(keys) if lasts(keys) => return Ok(keys.clone()),
            _ => {}
        }
        let keys = match &self.0.source {
            Source::Given(keys) => keys.clone(),
            Source::Machine => timeout(PATIENCE, look_up()).await.unwrap_or_else(|_| {
                let words = format!("no AWS credentials came within {} s", PATIENCE.as_secs());
                Err(CredentialsError::new(words))
            })?,
        };
        Ok(known.insert(keys).clone())
    }
}

fn lasts(keys: &AwsCredentials) -> bool {
    let Some(expiry) = keys.expires_at() else { return true };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + MARGIN).as_secs()).is_ok_and(|soon| soon < expiry.timestamp())
}

async fn look_up() -> Result<AwsCredentials, CredentialsError> {
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|value| !value.is_empty()) {
        return EnvironmentProvider::default().credentials().await;
    }
    profile::credentials().await.map_err(|error| {
        CredentialsError::new(format!(
            "no AWS credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) \
             or in AWS's files ({error})"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_about_to_expire_are_looked_up_again() {
        let keys = |expiry: Option<&str>| {
            let json = serde_json::json!({
                "AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": null,
                "Expiration": expiry,
            });
            serde_json::from_value::<AwsCredentials>(json).unwrap()
        };
        assert!(lasts(&keys(None)));
        assert!(lasts(&keys(Some("2999-01-01T00:00:00Z"))));
        assert!(!lasts(&keys(Some("2020-01-01T00:00:00Z"))));
    }

    #[tokio::test]
    async fn keys_that_were_renewed_meanwhile_are_kept() {
        let credentials = Credentials::given("AKIA", "hush");
        let keys = credentials.credentials().await.unwrap();
        credentials.expired(&AwsCredentials::new("AKIA", "older", None, None)).await;
        assert!(credentials.0.known.lock().await.is_some());
        credentials.expired(&keys).await;
        assert!(credentials.0.known.lock().await.is_none());
    }

    #[tokio::test]
    async fn secrets_are_not_shown() {
        let credentials = Credentials::given("AKIA", "hush");
        credentials.credentials().await.unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
