//! The flags that all programs take, and what they and the config come to.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::config::Config;
use crate::exit::Failure;
use crate::store::{self, Archive, Settings, Url};

/// The flags that all five programs take.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Read the configuration from FILE
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// The archive: s3://BUCKET/PREFIX or file:///DIRECTORY
    #[arg(short = 'S', long, value_name = "URL", global = true)]
    pub store: Option<String>,

    /// The bucket's region
    #[arg(long, value_name = "REGION", global = true, env = "AWS_REGION")]
    pub region: Option<String>,

    /// The URL of an S3-compatible server
    #[arg(long, value_name = "URL", global = true, env = "AWS_ENDPOINT_URL_S3")]
    pub endpoint: Option<String>,

    /// Keep trying to reach the store for this long (30s, 5m, 1h)
    #[arg(long, value_name = "TIME", global = true, value_parser = parse_duration)]
    pub retry_for: Option<Duration>,

    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Say more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// How long connections that fail are tried again where nothing is said.
const RETRY_FOR: Duration = Duration::from_secs(3600);

/// A duration as people write it: `30s`, `5m`, `1h`, `7d`. A day has 24 hours.
///
/// # Errors
/// What to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = |_| "write a time like 30s, 5m, 1h or 7d".to_owned();
    let span: jiff::Span = text.parse().map_err(bad)?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(bad)?;
    Duration::try_from(duration).map_err(|_| "a time cannot be negative".to_owned())
}

impl Common {
    /// The config that holds: the file that `-c` names, or the defaults; the
    /// environment over either. Sets the log level that it asks for.
    ///
    /// # Errors
    /// Those of [`Config::load`].
    pub fn config(&self) -> Result<Config, Failure> {
        let config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::from_env()?,
        };
        if self.store.is_none() {
            config.check_region(self.region.as_deref(), self.endpoint.as_deref())?;
        }
        if let Some(level) = config.global.log_level
            && !self.quiet
            && self.verbose == 0
            && std::env::var_os("RUST_LOG").is_none()
        {
            log::set_max_level(level);
        }
        Ok(config)
    }

    /// How to reach the archive: flags, then environment, then config.
    ///
    /// # Errors
    /// A [`Failure`] when nothing names a store, or its URL is none.
    pub fn settings(&self, config: &Config) -> Result<Settings, Failure> {
        let url = match (&self.store, &config.global.store, &config.s3.bucket) {
            (Some(url), _, _) => url.parse()?,
            (None, Some(url), _) => url.clone(),
            (None, None, Some(bucket)) => {
                Url::S3 { bucket: bucket.clone(), prefix: config.s3.prefix.clone() }
            }
            (None, None, None) => {
                return Err(Failure::config(
                    "no store is named: give --store URL, or a config with [s3] bucket",
                ));
            }
        };
        let given = |flag: &Option<String>, key: &Option<String>| flag.clone().or(key.clone());
        Ok(Settings {
            url,
            region: given(&self.region, &config.s3.region),
            endpoint: given(&self.endpoint, &config.s3.endpoint),
            sse: config.s3.sse.clone(),
            sse_kms_key_id: config.s3.sse_kms_key_id.clone(),
            checksum: config.s3.checksum,
            conditional_writes: config.s3.conditional_writes,
            retry_for: self.retry_for.unwrap_or(RETRY_FOR),
        })
    }

    /// Opens the archive.
    ///
    /// # Errors
    /// Those of [`Common::settings`] and [`store::open`].
    pub async fn archive(&self, config: &Config) -> anyhow::Result<Archive> {
        store::open(&self.settings(config)?).await
    }
}
