//! The S3 servers that tests talk to, and what stands between.
//!
//! | server | checks signatures | fails on demand | can be killed | storage classes, thaw | stands for |
//! |---|---|---|---|---|---|
//! | [`S3Server`]: `s3s-fs` in this process | yes | yes | no | no | a server that checks what it is sent |
//! | [`ServerProcess`]: the same in a process of its own | yes | by chance | yes | no | a server that dies and comes back |
//! | [`Moto`]: `moto_server` as a child | no | no | no | yes | what AWS does beyond that |
//! | `BTRFS_TO_S3_TEST_STORE` ([`Reach::from_env`]) | yes | no | no | perhaps | a bucket that somebody has |
//!
//! Each gives a [`Reach`]: the settings for a store in this process and the
//! environment for a program in another. A [`Relay`] stands before any of them,
//! as a line that is slow, cut or down, and gives a [`Reach`] too.
//!
//! An [`S3Server`] goes wrong as its [`Control`] says, and counts what it is asked:
//!
//! ```ignore
//! let server = S3Server::start();
//! let control = server.control();
//! control.inject(Rule::of(Op::CompleteUpload, Fault::Lose));        // the next one
//! control.inject(Rule::of(Op::PutObject, Fault::Refuse(Refusal::SLOW_DOWN)).key("current.json").times(4));
//! control.inject_by_chance(seed, 0.05);                             // the rest
//! control.when(Mark::Uploaded(700 << 20), move || kill(pid));       // in the server's thread
//! assert!(control.wait_for(Mark::Of(Op::UploadPart, 3), Duration::from_secs(60)));
//! control.heal();
//! assert!(control.count(Op::UploadPart).bytes < 400 << 20);         // requests, bytes, done, faults
//! ```

mod compare;
mod control;
mod faults;
mod injector;
mod moto;
mod process;
mod relay;
mod server;
mod staging;
mod strict;
mod tls;

pub use control::{Control, Count, Mark};
pub use faults::{Fault, Op, Refusal, Rule};
pub use moto::Moto;
pub use process::{ServerProcess, Trouble, run as run_server};
pub use relay::{Relay, Way};
pub use server::{Checks, Conditions, Options, S3Server};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bts::exit::Failure;
use bts::store::s3::{ChecksumMode, ConditionalWrites, Credentials, S3Store};
use bts::store::{Archive, Settings, Url};

/// The access key that the servers know.
pub const ACCESS_KEY: &str = "AKIATESTTESTTESTTEST";
/// Its secret.
pub const SECRET_KEY: &str = "secret/of+the=tests";
/// The bucket that is there at the start.
pub const BUCKET: &str = "archive";
/// The region that the servers are in.
pub const REGION: &str = "us-east-1";

/// How to reach a server and a bucket on it.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The endpoint's URL; `None` for AWS itself.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// A prefix that nothing else uses.
    pub prefix: String,
    /// Access key and secret; `None` for those of the environment.
    pub keys: Option<(String, String)>,
    /// The certificate to trust, as a PEM file.
    pub ca: Option<PathBuf>,
}

impl Reach {
    /// The bucket at `endpoint` that the servers of this module make.
    fn local(endpoint: String, ca: Option<PathBuf>) -> Self {
        Self {
            endpoint: Some(endpoint),
            region: Some(REGION.to_owned()),
            bucket: BUCKET.to_owned(),
            prefix: String::new(),
            keys: Some((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())),
            ca,
        }
    }

    /// The bucket that `BTRFS_TO_S3_TEST_STORE=s3://bucket/prefix` names, with
    /// `AWS_REGION` and `AWS_ENDPOINT_URL_S3`, if it is set.
    pub fn from_env() -> Option<Self> {
        let url = std::env::var("BTRFS_TO_S3_TEST_STORE").ok()?;
        let Ok(Url::S3 { bucket, prefix }) = url.parse() else {
            panic!("BTRFS_TO_S3_TEST_STORE is {url:?}; write s3://BUCKET/PREFIX");
        };
        Some(Self {
            endpoint: std::env::var("AWS_ENDPOINT_URL_S3").ok(),
            region: std::env::var("AWS_REGION").ok(),
            bucket,
            prefix: format!("{prefix}/{}", uuid::Uuid::new_v4()).trim_matches('/').to_owned(),
            keys: None,
            ca: None,
        })
    }

    /// The URL of `prefix` in the bucket, for `--store` and configs.
    pub fn url(&self, prefix: &str) -> String {
        Url::S3 { bucket: self.bucket.clone(), prefix: prefix.to_owned() }.to_string()
    }

    /// What a program needs in its environment to reach the bucket, beside
    /// [`Reach::url`]. To be set on an environment without other `AWS_` variables.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        let mut set = |name, value: Option<String>| all.extend(value.map(|value| (name, value)));
        set("AWS_ENDPOINT_URL_S3", self.endpoint.clone());
        set("AWS_REGION", self.region.clone());
        set("AWS_ACCESS_KEY_ID", self.keys.as_ref().map(|keys| keys.0.clone()));
        set("AWS_SECRET_ACCESS_KEY", self.keys.as_ref().map(|keys| keys.1.clone()));
        set("SSL_CERT_FILE", self.ca.as_ref().map(|path| path.display().to_string()));
        all
    }

    /// The settings of a store in this process. They give up after 5 s.
    pub fn settings(&self) -> Settings {
        Settings {
            url: Url::S3 { bucket: self.bucket.clone(), prefix: self.prefix.clone() },
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            sse: Some("AES256".to_owned()),
            sse_kms_key_id: None,
            checksum: ChecksumMode::Auto,
            conditional_writes: ConditionalWrites::Auto,
            retry_for: Duration::from_secs(5),
        }
    }

    /// A store in this process.
    ///
    /// # Errors
    /// Those of [`S3Store::open`].
    pub async fn open(&self) -> Result<Archive, Failure> {
        self.open_with(&self.settings()).await
    }

    /// A store in this process with settings of one's own.
    ///
    /// # Errors
    /// Those of [`S3Store::open`].
    pub async fn open_with(&self, settings: &Settings) -> Result<Archive, Failure> {
        let credentials = match &self.keys {
            Some((access, secret)) => Credentials::given(access, secret),
            None => Credentials::of_machine(),
        };
        let store = Arc::new(S3Store::open(settings, credentials).await?);
        Ok(Archive { store, url: settings.url.clone() })
    }
}
