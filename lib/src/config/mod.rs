//! The config file: `btrfs-to-s3.toml`.
//!
//! Promises that a [`Config`] is sound in itself: every key known, every value of
//! the right shape, sizes in bytes, paths absolute, names unique. What only the
//! machine can tell (whether a path is a subvolume) is for those who use it.
//! This module alone reads TOML.

mod classes;
mod draft;
mod file;
mod keys;
mod suggest;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::names::Name;
use crate::record::Hash;
use crate::store::s3::{ChecksumMode, ConditionalWrites};
use draft::{Checked, Draft};
use file::File;

/// Every key that a config file may hold, as `(section, key)`, in the order in
/// which the manual shows them.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    keys::KEYS.iter().map(|key| (key.section, key.name))
}

/// Everything that the config file can say. A section's fields are documented in
/// btrfs-to-s3.toml(5).
#[derive(Clone, Debug, PartialEq)]
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

/// What holds where neither a file nor the environment says anything. The
/// defaults of the single sections are blanks, not these.
impl Default for Config {
    fn default() -> Self {
        Draft::new().without_subvolumes()
    }
}

impl Config {
    /// Reads and checks the file at `path`, after which the environment's
    /// `BTRFS_TO_S3_<SECTION>_<KEY>` override what it says.
    ///
    /// # Errors
    /// A [`Failure`] with [`crate::exit::Status::Config`] that names the key.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::config(format!("cannot read the config file {name}: {error}"))
        })?;
        Ok(read(Some(File { name: &name, text: &text }), &variables())?.announce())
    }

    /// What holds without a file: the defaults and the environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env() -> Result<Self, Failure> {
        Ok(read(None, &variables())?.announce())
    }

    /// Whether the bucket, if it is this config that names one, can be reached:
    /// `region` and `endpoint` are what the command line says.
    ///
    /// # Errors
    /// A [`Failure`] when nothing names the bucket's region.
    pub fn check_region(
        &self,
        region: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<(), Failure> {
        let Self { global, s3, .. } = self;
        let (None, Some(bucket)) = (&global.store, &s3.bucket) else { return Ok(()) };
        let region = region.or(s3.region.as_deref());
        let endpoint = endpoint.or(s3.endpoint.as_deref());
        if region.or(endpoint).is_none() {
            return Err(Failure::config(format!(
                "s3.bucket is {bucket:?}, but nothing names its region: set s3.region (or \
                 s3.endpoint, where the server is not AWS)"
            )));
        }
        Ok(())
    }
}

/// Reads the file, then the environment, then holds the keys against each other.
fn read(file: Option<File<'_>>, variables: &BTreeMap<String, String>) -> Result<Checked, Failure> {
    let mut draft = Draft::new();
    if let Some(file) = file {
        file.read(&mut draft)?;
    }
    let unknown = file::read_variables(variables, &mut draft)?;
    let mut checked = draft.check().map_err(|failure| match file {
        Some(file) => Failure::config(format!("{}: {}", file.name, failure.message)),
        None => failure,
    })?;
    checked.warnings.extend(unknown);
    Ok(checked)
}

/// The environment, as far as it is text: no key's value can be anything else.
fn variables() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(text).collect()
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
    /// `base_dir`: where snapshots are made; has no default.
    pub base_dir: Option<PathBuf>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum VerifyMode {
    /// Every file
    #[default]
    Full,
    /// A random choice of files
    Sample,
    /// Not at all
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
    pub restore_tier: crate::store::Tier,
}
