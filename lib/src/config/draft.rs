//! A config while it is read, and what its keys must be to each other.

use std::path::{Path, PathBuf};

use super::keys::KEYS;
use super::value::Value;
use super::{
    Config, Global, Pipeline, Restore, Retention, S3, Schedule, Snapshots, Subvolume, classes,
};
use crate::exit::Failure;
use crate::names::Name;

/// What the keys say, each for itself.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) global: Global,
    pub(super) schedule: Schedule,
    pub(super) snapshots: Snapshots,
    pub(super) subvolumes: Subvolumes,
    pub(super) s3: S3,
    pub(super) pipeline: Pipeline,
    pub(super) retention: Retention,
    pub(super) restore: Restore,
}

/// `[subvolumes]` as it stands in the file.
#[derive(Debug, Default)]
pub(super) struct Subvolumes {
    pub(super) paths: Vec<PathBuf>,
    pub(super) names: Vec<(PathBuf, String)>,
    pub(super) accept_nested: Vec<PathBuf>,
}

/// A config, and what its reader should be told.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) config: Config,
    pub(super) warnings: Vec<String>,
}

impl Checked {
    /// The config, once the warnings are said.
    pub(super) fn announce(self) -> Config {
        for warning in &self.warnings {
            log::warn!("{warning}");
        }
        self.config
    }
}

impl Draft {
    /// The defaults.
    pub(super) fn new() -> Self {
        let mut draft = Self::default();
        for key in KEYS {
            if let Some(text) = key.default {
                // Cannot fail: a test reads every default.
                let _ = (key.set)(&mut draft, Value::Text(text));
            }
        }
        draft
    }

    /// The config without the subvolumes.
    pub(super) fn without_subvolumes(self) -> Config {
        let Self { global, schedule, snapshots, s3, pipeline, retention, restore, .. } = self;
        let subvolumes = Vec::new();
        Config { global, schedule, snapshots, subvolumes, s3, pipeline, retention, restore }
    }

    /// Holds the keys against each other.
    pub(super) fn check(mut self) -> Result<Checked, Failure> {
        self.refuse_what_is_not_there_yet()?;
        let warnings = self.check_storage_classes()?;
        if self.s3.sse_kms_key_id.is_some() && self.s3.sse.as_deref() != Some("aws:kms") {
            return bad("s3.sse_kms_key_id is set, but s3.sse is not \"aws:kms\"");
        }
        self.check_spool()?;
        let subvolumes = std::mem::take(&mut self.subvolumes).check()?;
        Ok(Checked { config: Config { subvolumes, ..self.without_subvolumes() }, warnings })
    }

    /// To go on as if these keys were not there would store plain bytes where
    /// secrecy was asked for, or leave deletable what was to be locked.
    fn refuse_what_is_not_there_yet(&self) -> Result<(), Failure> {
        let Self { pipeline, s3, .. } = self;
        let asked = [
            ("pipeline.filter", !pipeline.filter.is_empty()),
            ("pipeline.unfilter", !pipeline.unfilter.is_empty()),
            ("s3.object_lock_days", s3.object_lock_days.is_some()),
            ("s3.object_lock_mode", s3.object_lock_mode.is_some()),
        ];
        match asked.iter().find(|(_, asked)| *asked) {
            Some((key, _)) => {
                bad(format!("{key} is not supported by this version: leave the key out"))
            }
            None => Ok(()),
        }
    }

    fn check_spool(&self) -> Result<(), Failure> {
        let Global { spool_dir, spool_size_bytes, .. } = &self.global;
        match (self.s3.spool_enabled, spool_dir, spool_size_bytes) {
            (true, None, _) => bad(
                "s3.spool_enabled is true, but global.spool_dir is not set: name a directory on a \
                 scratch disk",
            ),
            (true, _, 0) => bad(
                "s3.spool_enabled is true, but global.spool_size_bytes is not set: say how much may \
                 wait in the spool",
            ),
            _ => Ok(()),
        }
    }

    fn check_storage_classes(&mut self) -> Result<Vec<String>, Failure> {
        let S3 { storage_class_chunks, storage_class_manifest, endpoint, .. } = &mut self.s3;
        // Servers other than AWS have classes of their own.
        if endpoint.is_none() {
            classes::check("s3.storage_class_chunks", storage_class_chunks)?;
            classes::check("s3.storage_class_manifest", storage_class_manifest)?;
        }
        if !classes::is_archive(storage_class_manifest) {
            return Ok(Vec::new());
        }
        let class = std::mem::replace(storage_class_manifest, "STANDARD".to_owned());
        Ok(vec![format!(
            "s3.storage_class_manifest is {class:?}, an archive class: manifests must be readable \
             at once, so STANDARD is used"
        )])
    }
}

impl Subvolumes {
    fn check(self) -> Result<Vec<Subvolume>, Failure> {
        self.check_names_have_paths()?;
        let mut checked: Vec<Subvolume> = Vec::new();
        for path in &self.paths {
            let name = self.name_of(path)?;
            if let Some(other) = checked.iter().find(|other| other.path == *path) {
                return bad(format!("subvolumes.paths holds {:?} twice", other.path));
            }
            if let Some(other) = checked.iter().find(|other| other.name == name) {
                return bad(format!(
                    "subvolumes.paths: {:?} and {path:?} would both be called {name}: give one of \
                     them another name, as in names = {{ {path:?} = \"{name}2\" }}",
                    other.path
                ));
            }
            let nested = self.accept_nested.iter().filter(|nested| nested.starts_with(path));
            let accept_nested = nested.cloned().collect();
            checked.push(Subvolume { path: path.clone(), name, accept_nested });
        }
        let astray = |nested: &&PathBuf| !self.paths.iter().any(|path| nested.starts_with(path));
        match self.accept_nested.iter().find(astray) {
            Some(nested) => bad(format!(
                "subvolumes.accept_nested: {nested:?} lies in none of subvolumes.paths"
            )),
            None => Ok(checked),
        }
    }

    fn check_names_have_paths(&self) -> Result<(), Failure> {
        match self.names.iter().find(|(path, _)| !self.paths.contains(path)) {
            Some((path, _)) => bad(format!(
                "subvolumes.names: {path:?} is not in subvolumes.paths: add it there, or leave \
                 its name out"
            )),
            None => Ok(()),
        }
    }

    fn name_of(&self, path: &Path) -> Result<Name, Failure> {
        if let Some((_, name)) = self.names.iter().find(|(named, _)| named == path) {
            return name
                .parse()
                .or_else(|error| bad(format!("subvolumes.names: {path:?}: {error}")));
        }
        let Some(last) = path.file_name().and_then(|last| last.to_str()) else {
            return bad(format!(
                "subvolumes.paths: {path:?} has no name: give it one, as in \
                 names = {{ {path:?} = \"root\" }}"
            ));
        };
        last.parse().or_else(|error| {
            bad(format!(
                "subvolumes.paths: {path:?} needs another name ({error}): give it one, as in \
                 names = {{ {path:?} = \"data\" }}"
            ))
        })
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::config(message))
}
