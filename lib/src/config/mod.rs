//! The config file: `btrfs-to-s3.toml`.
//!
//! Promises that a [`Config`] is sound in itself: every key known, every value of
//! the right shape, sizes in bytes, paths absolute, names unique. What only the
//! machine can tell (whether a path is a subvolume) is for those who use it.
//! This module alone reads TOML.

use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::names::Name;
use crate::record::Hash;
use crate::store::s3::{ChecksumMode, ConditionalWrites};

/// Everything that the config file can say. A section's fields are documented in
/// btrfs-to-s3.toml(5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[global]`
    pub global: Global,
    /// `[schedule]`
    pub schedule: Schedule,
    /// `[snapshots]`
    pub snapshots: Snapshots,
    /// `[subvolumes]`: in the order of `paths`.
    pub subvolumes: Vec<Subvolume>,
    /// `[s3]`
    pub s3: S3,
    /// `[pipeline]`
    pub pipeline: Pipeline,
    /// `[retention]`
    pub retention: Retention,
    /// `[restore]`
    pub restore: Restore,
}

impl Config {
    /// Reads and checks the file at `path`, after which the environment's
    /// `BTRFS_TO_S3_<SECTION>_<KEY>` override what it says.
    ///
    /// # Errors
    /// A [`Failure`] with [`crate::exit::Status::Config`] that names the key.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        Err(Failure::config(format!("{}: no config file is read yet", path.display())))
    }

    /// What holds without a file: the defaults and the environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env() -> Result<Self, Failure> {
        Ok(Self::default())
    }
}

/// `[global]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Global {
    /// `log_level`
    pub log_level: Option<log::LevelFilter>,
    /// `state_path`: the state file; the journals lie in `runs/` beside it.
    pub state_path: PathBuf,
    /// `lock_path`
    pub lock_path: PathBuf,
    /// `spool_dir`
    pub spool_dir: Option<PathBuf>,
    /// `spool_size_bytes`
    pub spool_size_bytes: u64,
    /// `store`: a URL, instead of `[s3]` bucket and prefix.
    pub store: Option<crate::store::Url>,
}

/// `[schedule]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Schedule {
    /// `full_every_days`
    pub full_every_days: u32,
    /// `incremental_every_days`
    pub incremental_every_days: u32,
    /// `run_at`: local time.
    pub run_at: jiff::civil::Time,
}

/// `[snapshots]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Snapshots {
    /// `base_dir`: where snapshots are made.
    pub base_dir: PathBuf,
    /// `retain`: how many are kept of each subvolume.
    pub retain: u32,
    /// `send_args`: `--proto N`, `--compressed-data`.
    pub send_args: Vec<String>,
}

/// One of `[subvolumes] paths`, with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Subvolume {
    /// Its path.
    pub path: PathBuf,
    /// Its name in the archive: from `names`, else the path's last component.
    pub name: Name,
    /// `accept_nested` paths that lie in it: nested subvolumes that are meant
    /// to be left out.
    pub accept_nested: Vec<PathBuf>,
}

/// `[s3]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct S3 {
    /// `bucket`
    pub bucket: Option<String>,
    /// `region`
    pub region: Option<String>,
    /// `prefix`, without `/` at its ends.
    pub prefix: String,
    /// `endpoint`
    pub endpoint: Option<String>,
    /// `chunk_size_bytes`
    pub chunk_size_bytes: u64,
    /// `storage_class_chunks`
    pub storage_class_chunks: String,
    /// `storage_class_manifest`: never an archive class.
    pub storage_class_manifest: String,
    /// `concurrency`: parts in flight.
    pub concurrency: usize,
    /// `spool_enabled`
    pub spool_enabled: bool,
    /// `sse`; `None` when the file says `"none"`: the bucket decides.
    pub sse: Option<String>,
    /// `sse_kms_key_id`
    pub sse_kms_key_id: Option<String>,
    /// `checksum`
    pub checksum: ChecksumMode,
    /// `conditional_writes`
    pub conditional_writes: ConditionalWrites,
    /// `object_lock_days`
    pub object_lock_days: Option<u32>,
    /// `object_lock_mode`
    pub object_lock_mode: Option<String>,
}

/// `[pipeline]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pipeline {
    /// `hash`
    pub hash: Hash,
    /// `filter`: argv arrays.
    pub filter: Vec<Vec<String>>,
    /// `unfilter`: argv arrays.
    pub unfilter: Vec<Vec<String>>,
}

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Retention {
    /// `keep_generations`
    pub keep_generations: Option<u32>,
    /// `min_age_days`
    pub min_age_days: Option<u32>,
}

/// How a restored tree is compared with its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// Every file.
    #[default]
    Full,
    /// A random choice of files.
    Sample,
    /// Not at all.
    None,
}

/// `[restore]`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Restore {
    /// `target_base_dir`
    pub target_base_dir: Option<PathBuf>,
    /// `verify_mode`
    pub verify_mode: VerifyMode,
    /// `sample_max_files`
    pub sample_max_files: u32,
    /// `restore_days`
    pub restore_days: u32,
    /// `wait_for_restore`
    pub wait_for_restore: bool,
    /// `restore_timeout_seconds`
    pub restore_timeout_seconds: u64,
    /// `restore_tier`
    pub restore_tier: String,
}
