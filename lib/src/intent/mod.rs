//! Says that a run is alive, to those who clean up.
//!
//! `<backup id>/intent.json` is written before the first byte of a backup and
//! renewed daily while its run lives, because the chunks themselves cannot tell:
//! an object that was uploaded in parts counts from the beginning of its upload,
//! which may be weeks ago. Promises that [`crate::gc`] keeps off a backup whose
//! intent is younger than [`KEEPS_GC_OFF`], on whichever machine it runs.
//!
//! How old an intent is, the store's clock says; what is in it is for people. It
//! is no part of a backup: nothing is lost with it once the manifest is there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::exit::Failure;
use crate::manifest::to_bytes;
use crate::names::BackupId;
use crate::record::Run;
use crate::store::{Archive, Condition, Key, PutOptions};
use crate::time::Time;

/// How often a run that lives says so.
pub const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How long an intent speaks for its backup: many times [`RENEW_EVERY`], because
/// a machine may be off for weeks in the middle of a run and go on with it.
pub const KEEPS_GC_OFF: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name of the object within its backup's folder.
pub const FILE: &str = "intent.json";

/// What `intent.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The run that makes the backup.
    pub run_id: Uuid,
    /// The backup that it makes.
    pub backup: BackupId,
    /// The name of the machine that it runs on, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When it last said so, by that machine's clock.
    pub renewed_at: Time,
}

/// The whole key of a backup's intent.
///
/// # Errors
/// When the prefix is so long that no key is left.
pub fn key(archive: &Archive, backup: &BackupId) -> Result<Key, Failure> {
    archive.key(format_args!("{backup}/{FILE}")).map_err(|bad| Failure::config(bad.to_string()))
}

/// Says that `run` is alive, for the first time or once more. `storage_class` is
/// that of the manifest and its kin.
///
/// # Errors
/// Those of [`key`] and of the store.
pub async fn renew(archive: &Archive, run: &Run, storage_class: &str) -> anyhow::Result<()> {
    let intent = Intent {
        run_id: run.run_id,
        backup: run.backup.clone(),
        host: host(),
        renewed_at: Time::now(),
    };
    let options = PutOptions {
        condition: Condition::Always,
        storage_class: Some(storage_class.to_owned()),
        content_type: Some("application/json"),
        ..PutOptions::default()
    };
    let key = key(archive, &run.backup)?;
    archive.store.put(&key, to_bytes(&intent)?.into(), &options).await?;
    Ok(())
}

/// Renews the intent of `run` for as long as this is awaited; a failure is warned
/// about, because the run itself needs nobody to know.
pub async fn keep(archive: Archive, run: Run, storage_class: String) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        if let Err(error) = renew(&archive, &run, &storage_class).await {
            log::warn!("{error:#}; `bts-manifest gc` may take the upload for a dead one");
        }
    }
}

/// Takes it back, when the backup is published or given up. What cannot be
/// removed does no harm: it only keeps [`crate::gc`] off for a while.
pub async fn remove(archive: &Archive, backup: &BackupId) {
    let Ok(key) = key(archive, backup) else { return };
    if let Err(error) = archive.store.delete(&key).await {
        log::debug!("{error}");
    }
}

/// This machine's name, as the kernel has it.
fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Backup, Place};

    fn read(place: &Place, key: &Key) -> Intent {
        serde_json::from_slice(&std::fs::read(place.file(key.as_str())).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_intent_names_its_run_and_is_replaced_when_it_is_renewed() {
        let place = Place::new();
        let run = Backup::new(1, None).run();
        let key = key(&place.archive, &run.backup).unwrap();
        assert_eq!(key.as_str(), format!("host/{}/intent.json", run.backup));

        place.put(key.as_str(), "torn").await;
        renew(&place.archive, &run, "STANDARD").await.unwrap();
        let first = read(&place, &key);
        assert_eq!((first.run_id, &first.backup), (run.run_id, &run.backup));
        renew(&place.archive, &run, "STANDARD").await.unwrap();
        assert!(read(&place, &key).renewed_at >= first.renewed_at);
    }

    #[tokio::test]
    async fn an_intent_is_gone_once_it_is_removed_and_may_be_removed_again() {
        let place = Place::new();
        let run = Backup::new(1, None).run();
        renew(&place.archive, &run, "STANDARD").await.unwrap();
        remove(&place.archive, &run.backup).await;
        let key = key(&place.archive, &run.backup).unwrap();
        assert_eq!(place.archive.store.head(&key).await.unwrap(), None);
        remove(&place.archive, &run.backup).await;
    }
}
