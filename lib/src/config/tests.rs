//! What config files and variables come to, and the words for what is wrong.

mod mistakes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::draft::{Checked, Draft};
use super::file::File;
use super::keys::KEYS;
use super::value::Value;
use super::{Config, VerifyMode, keys, read};
use crate::exit::Status;
use mistakes::MISTAKES;

fn checked(text: &str, variables: &[(&str, &str)]) -> Result<Checked, String> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables: BTreeMap<_, _> = variables.iter().map(pair).collect();
    read(Some(File { name: "c.toml", text }), &variables).map_err(|failure| {
        assert_eq!(failure.status, Status::Config);
        failure.message
    })
}

fn config(text: &str) -> Config {
    checked(text, &[]).unwrap().config
}

fn message(text: &str) -> String {
    checked(text, &[]).expect_err(text)
}

/// A file that holds every key of the existing program and no other.
const EXISTING: &str = r#"
[global]
log_level = "INFO"
state_path = "/srv/backup/state.json"
lock_path = "/var/lock/btrfs-to-s3.lock"
spool_dir = "/mnt/ssd/spool"
spool_size_bytes = 214748364800

[schedule]
full_every_days = 90
incremental_every_days = 3
run_at = "03:30"

[snapshots]
base_dir = "/srv/data/.snapshots"
retain = 3

[subvolumes]
paths = ["/srv/data", "/srv/root", "/home"]

[s3]
bucket = "archive"
region = "eu-central-1"
prefix = "/hosts/pve/"
chunk_size_bytes = 107374182400
storage_class_chunks = "DEEP_ARCHIVE"
storage_class_manifest = "STANDARD"
concurrency = 8
spool_enabled = false
sse = "AES256"

[restore]
target_base_dir = "/srv/restore"
verify_mode = "sample"
sample_max_files = 500
wait_for_restore = false
restore_timeout_seconds = 172800
restore_tier = "Bulk"
"#;

#[test]
fn a_file_of_the_existing_program_loads_as_it_is() {
    let Checked { config, warnings } = checked(EXISTING, &[]).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.global.log_level, Some(log::LevelFilter::Info));
    assert_eq!(config.global.state_path, PathBuf::from("/srv/backup/state.json"));
    assert_eq!(config.global.spool_dir, Some(PathBuf::from("/mnt/ssd/spool")));
    assert_eq!(config.global.spool_size_bytes, 200 << 30);
    assert_eq!(config.schedule.full_every_days, 90);
    assert_eq!(config.schedule.incremental_every_days, 3);
    assert_eq!(config.schedule.run_at, jiff::civil::time(3, 30, 0, 0));
    assert_eq!(config.snapshots.base_dir, Some(PathBuf::from("/srv/data/.snapshots")));
    assert_eq!(config.snapshots.retain, 3);
    let names: Vec<_> = config.subvolumes.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["data", "root", "home"]);
    assert_eq!(config.s3.bucket.as_deref(), Some("archive"));
    assert_eq!(config.s3.prefix, "hosts/pve");
    assert_eq!(config.s3.chunk_size_bytes, 100 << 30);
    assert_eq!(config.s3.concurrency, 8);
    assert_eq!(config.restore.verify_mode, VerifyMode::Sample);
    assert_eq!(config.restore.sample_max_files, 500);
    assert!(!config.restore.wait_for_restore);
    assert_eq!(config.restore.restore_timeout_seconds, 172_800);
    assert_eq!(config.restore.restore_tier, crate::store::Tier::Bulk);
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = config("");
    assert_eq!(config, Config::default());
    assert_eq!(config.global.state_path, PathBuf::from("/var/lib/btrfs-to-s3/state.json"));
    assert_eq!(config.global.lock_path, PathBuf::from("/run/lock/btrfs-to-s3.lock"));
    assert_eq!(config.schedule.full_every_days, 180);
    assert_eq!(config.schedule.incremental_every_days, 7);
    assert_eq!(config.schedule.run_at, jiff::civil::time(2, 0, 0, 0));
    assert_eq!(config.snapshots.base_dir, None);
    assert_eq!(config.snapshots.retain, 2);
    assert_eq!(config.s3.chunk_size_bytes, 214_748_364_800);
    assert_eq!(config.s3.storage_class_chunks, "DEEP_ARCHIVE");
    assert_eq!(config.s3.storage_class_manifest, "STANDARD");
    assert_eq!(config.s3.concurrency, 4);
    assert_eq!(config.s3.sse.as_deref(), Some("AES256"));
    assert_eq!(config.restore.restore_days, 14);
    assert_eq!(config.restore.restore_timeout_seconds, 259_200);
    assert_eq!(config.restore.restore_tier, crate::store::Tier::Standard);
    assert!(config.restore.wait_for_restore);
}

#[test]
fn every_default_can_be_read() {
    for key in KEYS {
        if let Some(text) = key.default {
            let read = (key.set)(&mut Draft::default(), Value::Text(text));
            assert_eq!(read, Ok(()), "{}.{}", key.section, key.name);
        }
    }
}

#[test]
fn no_key_is_there_twice() {
    let mut all: Vec<_> = keys().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), KEYS.len());
}

#[test]
fn sizes_take_units() {
    let size = |text: &str| config(&format!("[s3]\nchunk_size_bytes = {text}")).s3.chunk_size_bytes;
    assert_eq!(size("8388608"), 8 << 20);
    assert_eq!(size("0x800000"), 8 << 20);
    assert_eq!(size("\"200 GiB\""), 200 << 30);
    assert_eq!(size("\"5TiB\""), 5 << 40);
}

#[test]
fn times_of_day_may_have_seconds_and_need_no_quotes() {
    for text in ["\"23:05\"", "\"23:05:00\"", "23:05:00"] {
        let schedule = config(&format!("[schedule]\nrun_at = {text}")).schedule;
        assert_eq!(schedule.run_at, jiff::civil::time(23, 5, 0, 0), "{text}");
    }
}

#[test]
fn subvolumes_are_named_and_get_the_nested_ones_that_lie_in_them() {
    let config = config(
        r#"
        [subvolumes]
        paths = ["/", "/home/", "/srv/my data"]
        names = { "/" = "root", "/srv/my data" = "my-data" }
        accept_nested = ["/home/alice/vm", "/var/lib/machines"]
        "#,
    );
    let [root, home, data] = config.subvolumes.as_slice() else { panic!("three subvolumes") };
    assert_eq!((root.name.as_str(), root.path.to_str()), ("root", Some("/")));
    assert_eq!(root.accept_nested.len(), 2);
    assert_eq!((home.name.as_str(), home.path.to_str()), ("home", Some("/home")));
    assert_eq!(home.accept_nested, [PathBuf::from("/home/alice/vm")]);
    assert_eq!((data.name.as_str(), data.accept_nested.len()), ("my-data", 0));
}

#[test]
fn send_args_are_those_that_keep_a_stream_whole() {
    let args = |text: &str| config(&format!("[snapshots]\nsend_args = {text}")).snapshots.send_args;
    assert_eq!(args("[]"), Vec::<String>::new());
    assert_eq!(args(r#"["--proto", "2", "--compressed-data"]"#).len(), 3);
    assert_eq!(args(r#"["--compressed-data"]"#).len(), 1);
    for text in [
        r#"["--no-data"]"#,
        r#"["-e"]"#,
        r#"["--proto", "3"]"#,
        r#"["--proto"]"#,
        r#"["-c", "/x"]"#,
    ] {
        assert_eq!(
            message(&format!("[snapshots]\nsend_args = {text}")),
            format!(
                "c.toml, line 2: snapshots.send_args is {text}: only \"--proto\", \"1\" or \"2\", \
                 and \"--compressed-data\" may be there"
            )
        );
    }
}

#[test]
fn each_mistake_gets_one_line_that_names_file_key_value_and_remedy() {
    for (text, expected) in MISTAKES {
        assert_eq!(message(text), *expected);
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    for text in ["[s3]\nbucket = ", "[s3]\nbucket = \"a\"\nbucket = \"b\"", "[s3]\n[s3"] {
        let said = message(text);
        assert!(said.starts_with("c.toml, line "), "{said}");
        assert!(said.contains("this is no TOML: ") && !said.contains('\n'), "{said}");
    }
}

#[test]
fn classes_of_other_servers_are_taken_where_an_endpoint_is_named() {
    let text = "[s3]\nendpoint = \"http://127.0.0.1:3900\"\nstorage_class_chunks = \"COLD2\"";
    assert_eq!(config(text).s3.storage_class_chunks, "COLD2");
}

#[test]
fn manifests_never_go_to_an_archive_class() {
    let text = "[s3]\nstorage_class_manifest = \"DEEP_ARCHIVE\"";
    let Checked { config, warnings } = checked(text, &[]).unwrap();
    assert_eq!(config.s3.storage_class_manifest, "STANDARD");
    assert_eq!(
        warnings,
        ["s3.storage_class_manifest is \"DEEP_ARCHIVE\", an archive class: manifests must be \
             readable at once, so STANDARD is used"]
    );
    // Instant retrieval is no archive that needs a thaw.
    let text = "[s3]\nstorage_class_manifest = \"GLACIER_IR\"";
    assert_eq!(config_class(text), "GLACIER_IR");
}

fn config_class(text: &str) -> String {
    config(text).s3.storage_class_manifest
}

#[test]
fn a_spool_needs_a_place_and_a_cap() {
    let said = |global: &str| {
        let text = format!("[global]\n{global}\n[s3]\nspool_enabled = true");
        checked(&text, &[]).unwrap_err().to_string()
    };
    assert!(said("").contains("global.spool_dir is not set"));
    assert!(said("spool_dir = \"/scratch\"").contains("global.spool_size_bytes is not set"));
    config(
        "[global]\nspool_dir = \"/s\"\nspool_size_bytes = \"1 GiB\"\n[s3]\nspool_enabled = true",
    );
}

#[test]
fn no_encryption_is_asked_for_only_when_the_file_says_so() {
    assert_eq!(config("[s3]\nsse = \"none\"").s3.sse, None);
    assert_eq!(
        config("[s3]\nsse = \"aws:kms\"\nsse_kms_key_id = \"k\"").s3.sse.unwrap(),
        "aws:kms"
    );
}

#[test]
fn the_environment_overrides_the_file_with_values_of_each_type() {
    let variables = [
        ("BTRFS_TO_S3_S3_CHUNK_SIZE_BYTES", "8MiB"),
        ("BTRFS_TO_S3_S3_PREFIX", "a b/+%"),
        ("BTRFS_TO_S3_S3_CONCURRENCY", "7"),
        ("BTRFS_TO_S3_S3_SPOOL_ENABLED", "false"),
        ("BTRFS_TO_S3_SCHEDULE_RUN_AT", "04:00"),
        ("BTRFS_TO_S3_SUBVOLUMES_PATHS", "[\"/a\", \"/\"]"),
        ("BTRFS_TO_S3_SUBVOLUMES_NAMES", "{ \"/\" = \"root\" }"),
        ("HOME", "/root"),
        ("BTRFS_TO_S3_TEST_STORE", "s3://x"),
    ];
    let Checked { config, warnings } =
        checked("[s3]\nconcurrency = 2\nprefix = \"old\"", &variables).unwrap();
    assert_eq!(config.s3.chunk_size_bytes, 8 << 20);
    assert_eq!(config.s3.prefix, "a b/+%");
    assert_eq!(config.s3.concurrency, 7);
    assert_eq!(config.schedule.run_at, jiff::civil::time(4, 0, 0, 0));
    assert_eq!(config.subvolumes.len(), 2);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_wrong_variable_is_named() {
    assert_eq!(
        checked("", &[("BTRFS_TO_S3_S3_CONCURRENCY", "lots")]).unwrap_err(),
        "the environment's BTRFS_TO_S3_S3_CONCURRENCY is \"lots\": write a whole number from 1 to \
         64"
    );
    assert_eq!(
        checked("", &[("BTRFS_TO_S3_SUBVOLUMES_PATHS", "/a")]).unwrap_err(),
        "the environment's BTRFS_TO_S3_SUBVOLUMES_PATHS is \"/a\": write a list of absolute paths \
         like [\"/srv/data\"]"
    );
}

#[test]
fn a_variable_that_only_looks_like_a_key_is_warned_of() {
    let warnings = checked("", &[("BTRFS_TO_S3_S3_BUCKT", "b")]).unwrap().warnings;
    assert_eq!(
        warnings,
        ["the environment's BTRFS_TO_S3_S3_BUCKT is no key's and counts for nothing: did you \
             mean BTRFS_TO_S3_S3_BUCKET?"]
    );
}

#[test]
fn the_environment_has_the_last_word_on_the_store() {
    let store = checked("[s3]\nbucket = \"b\"", &[("BTRFS_TO_S3_GLOBAL_STORE", "file:///a")]);
    assert_eq!(store.unwrap().config.s3.bucket, None);
    let bucket =
        checked("[global]\nstore = \"file:///a\"", &[("BTRFS_TO_S3_S3_BUCKET", "b")]).unwrap();
    assert_eq!(bucket.config.global.store, None);
}

#[test]
fn a_bucket_needs_a_region_or_an_endpoint() {
    let bucket = config("[s3]\nbucket = \"b\"");
    assert_eq!(
        bucket.check_region(None, None).unwrap_err().message,
        "s3.bucket is \"b\", but nothing names its region: set s3.region (or s3.endpoint, where \
         the server is not AWS)"
    );
    assert_eq!(bucket.check_region(Some("eu-west-1"), None), Ok(()));
    assert_eq!(bucket.check_region(None, Some("http://127.0.0.1:1")), Ok(()));
    assert_eq!(config("[global]\nstore = \"file:///a\"").check_region(None, None), Ok(()));
    assert_eq!(config("[s3]\nbucket = \"b\"\nregion = \"r\"").check_region(None, None), Ok(()));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let failure = Config::load(&missing).unwrap_err();
    assert_eq!(
        failure.message,
        format!(
            "cannot read the config file {}: No such file or directory (os error 2)",
            missing.display()
        )
    );
    let file = directory.path().join("c.toml");
    std::fs::write(&file, "[schedule]\nfull_every_days = 30\n").unwrap();
    assert_eq!(Config::load(&file).unwrap().schedule.full_every_days, 30);
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "\\PC*") {
        let _ = checked(&text, &[]);
    }

    #[test]
    fn no_value_makes_the_reader_panic(
        key in 0..KEYS.len(),
        value in prop_oneof![
            "\\PC*", "-?[0-9]{1,30}", "\"[^\"\\\\]*\"", "\\[\"/?[a-z]*\"\\]",
            "\\{ \"/?[a-z]*\" = \"[a-z/]*\" \\}", "[0-9]{2}:[0-9]{2}",
        ],
    ) {
        let key = &KEYS[key];
        let text = format!("[{}]\n{} = {value}\n", key.section, key.name);
        let _ = checked(&text, &[]);
        let variable = format!("BTRFS_TO_S3_{}_{}", key.section, key.name).to_uppercase();
        let _ = checked("", &[(&variable, &value)]);
    }
}
