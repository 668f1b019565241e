//! The config file.

use std::collections::BTreeSet;
use std::io::Write;

use bts::config::Config;
use proptest::prelude::*;

use crate::mutate::{plan, recipes};
use crate::parser::{Parser, Refused};

const FULL: &str = r#"[global]
log_level = "INFO"
state_path = "/srv/backup/state.json"
lock_path = "/var/lock/btrfs-to-s3.lock"
spool_dir = "/mnt/ssd/spool"
spool_size_bytes = "200 GiB"

[schedule]
full_every_days = 90
incremental_every_days = 3
run_at = 03:30:00

[snapshots]
base_dir = "/srv/data/.snapshots"
retain = 3
send_args = ["--proto", "2"]

[subvolumes]
paths = ["/srv/data", "/srv/root", "/"]
names = { "/" = "system" }
accept_nested = ["/srv/data/vm"]

[s3]
bucket = "archive"
region = "eu-central-1"
prefix = "/hosts/pve/"
chunk_size_bytes = 107_374_182_400
storage_class_manifest = "STANDARD"
concurrency = 8
sse = "aws:kms"
sse_kms_key_id = "k"

[restore]
verify_mode = "sample"
restore_days = 0x10
wait_for_restore = false
"#;

const SMALL: &str = "global.store = \"file:///srv/archive\"\n[subvolumes]\npaths = ['/data']\n";

fn samples() -> Vec<Vec<u8>> {
    [FULL, SMALL, ""].map(|text| text.as_bytes().to_vec()).into()
}

/// Loads a config file; what is accepted is sound, and the same the next time.
pub fn read(input: &[u8]) -> Result<(), Refused> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(input).unwrap();
    let config = Config::load(file.path()).map_err(|error| Refused::of(&error))?;
    assert_eq!(Config::load(file.path()).unwrap(), config);
    assert!(config.global.state_path.is_absolute() && config.global.lock_path.is_absolute());
    let names: BTreeSet<_> = config.subvolumes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), config.subvolumes.len());
    assert!(config.subvolumes.iter().all(|it| it.path.is_absolute()));
    assert!((1..=64).contains(&config.s3.concurrency) && config.s3.chunk_size_bytes > 0);
    assert!(config.global.store.is_none() || config.s3.bucket.is_none());
    Ok(())
}

#[test]
fn the_samples_are_sound() {
    for sample in samples() {
        Parser::Config.read(&sample).unwrap();
    }
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn config_files_end_in_a_verdict(recipe in recipes()) {
        let _ = Parser::Config.read(&recipe.bytes(&samples()));
    }
}
