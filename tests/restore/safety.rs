//! What could mislead a restore is refused, and nothing is fetched.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};

use bts_tests::{Host, assert_same};
use rustix::fs::FlockOperation;

use super::{counting, fetched, staging, with_chain};

fn refused(host: &Host, dir: &std::path::Path, status: i32, says: &str) {
    let mut restore = host.restore("data", "again");
    restore.env("BTS_BIN_DIR", dir).run().expect_status(status).says(says);
    assert_eq!(fetched(dir), 0);
    assert!(!host.path("again").exists());
}

#[test]
fn a_copy_of_the_chain_elsewhere_is_refused_with_its_path() {
    let Some(host) = with_chain(2) else { return };
    host.restore("data", "restored").arg("--keep-snapshots").run().ok();
    let dir = counting(&host, 0, ":");
    refused(&host, &dir, 64, &format!("{}", host.path("restored.snapshots").display()));
    assert!(!staging(&host, "again").exists());
    for name in host.fs().names("restored.snapshots") {
        host.fs().delete(&host.path("restored.snapshots").join(name));
    }
    // What was restored carries no UUID of the chain.
    host.restore("data", "again").run().ok();
}

#[test]
fn what_only_has_the_name_of_a_staged_snapshot_is_replaced() {
    let Some(host) = with_chain(2) else { return };
    let staging = staging(&host, "restored");
    fs::DirBuilder::new().mode(0o700).create(&staging).unwrap();
    let name = host.newest("data").file_name().unwrap().to_owned();
    host.fs().snapshot(&host.path("data"), staging.join(&name));
    fs::write(staging.join(format!("{}.synced", name.display())), "").unwrap();
    host.fs().snapshot(&host.path("data"), staging.join("of something else"));
    let ran = host.restore("data", "restored").run().ok();
    assert_eq!(ran.stderr.matches("deleting").count(), 2, "{}", ran.stderr);
    assert_same(&host.newest("data"), &host.path("restored"));
    assert!(!staging.exists());
}

#[test]
fn a_staging_directory_that_is_not_ours_alone_is_refused() {
    let Some(host) = with_chain(1) else { return };
    let dir = counting(&host, 0, ":");
    let staging = staging(&host, "again");
    fs::create_dir(host.path("elsewhere")).unwrap();
    symlink(host.path("elsewhere"), &staging).unwrap();
    refused(&host, &dir, 64, &staging.display().to_string());
    fs::remove_file(&staging).unwrap();

    let own = |mode| fs::set_permissions(&staging, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("not to be removed"), "").unwrap();
    own(0o755);
    refused(&host, &dir, 64, "mode 0755");
    own(0o700);
    std::os::unix::fs::chown(&staging, Some(1000), None).unwrap();
    refused(&host, &dir, 64, "belongs to user 1000");
}

#[test]
fn of_two_restores_to_one_target_the_second_gives_way() {
    let Some(host) = with_chain(1) else { return };
    let dir = counting(&host, 0, ":");
    let staging = staging(&host, "again");
    fs::DirBuilder::new().mode(0o700).create(&staging).unwrap();
    let lock = fs::File::open(&staging).unwrap();
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    refused(&host, &dir, 75, "another restore");
    assert!(staging.exists(), "it is the other one's");
    drop(lock);
    host.restore("data", "again").run().ok();
}

#[test]
fn another_subvolumes_manifest_is_refused() {
    let Some(host) = Host::or_skip(&["data", "home"]) else { return };
    host.backup().run().ok();
    let home = host.chain("home").remove(0);
    let mut restore = host.restore("data", "restored");
    restore.args(["--manifest-key", &home]).run().expect_status(64).says("is of home, not of data");
    assert!(!host.path("restored").exists());
}

#[test]
fn the_config_says_where_a_restore_goes_that_names_no_target() {
    let Some(host) = with_chain(1) else { return };
    fs::create_dir(host.path("restores")).unwrap();
    let base = host.path("restores");
    host.configure(&format!("[restore]\ntarget_base_dir = {:?}\n", base.to_str().unwrap()));
    let mut restore = bts_tests::program::wrapper();
    restore.arg("restore").arg("--config").arg(host.config()).args(["--subvolume", "data"]);
    restore.run().ok();
    assert_same(&host.newest("data"), &base.join("data"));
    restore.run().expect_status(64).says("exists");
}
