//! Chains of many backups: interrupted, long, gone on with elsewhere.

use std::fs;

use bts_tests::program::wrapper;
use bts_tests::{Host, assert_same, kill};
use rustix::process::Signal;

use super::{MIB, counting, fetched, next_second, staging, wait_for, with_chain};

#[test]
fn a_restore_that_is_killed_goes_on_where_it_was() {
    let Some(host) = with_chain(4) else { return };
    let cut = r#""$REAL" "$@" | head -c 1000; touch "${0%/*}/started"; exec sleep 600"#;
    let dir = counting(&host, 3, cut);
    let mut restore = host.restore("data", "restored");
    let mut child = restore.env("BTS_BIN_DIR", &dir).start();
    wait_for(&dir.join("started"));
    let started = kill::descendants(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    for pid in started {
        kill::signal(pid, Signal::KILL);
    }
    assert_eq!(fetched(&dir), 3);
    assert!(!host.path("restored").exists());

    let ran = host.restore("data", "restored").env("BTS_BIN_DIR", &dir).run().ok();
    assert_eq!(ran.stderr.matches("is there from an earlier attempt").count(), 2, "{}", ran.stderr);
    assert_eq!(fetched(&dir), 5, "only the two that were not staged are fetched");
    assert_same(&host.newest("data"), &host.path("restored"));
    assert_eq!(host.fs().names(""), ["data", "restored", "snapshots"]);
}

#[test]
fn a_restore_that_fails_keeps_what_it_has_proven_and_says_so() {
    let Some(host) = with_chain(3) else { return };
    let dir = counting(&host, 3, "echo 'the line is down' >&2; exit 69");
    let mut restore = host.restore("data", "restored");
    let ran = restore.env("BTS_BIN_DIR", &dir).run().expect_status(69);
    let staging = staging(&host, "restored");
    let ran = ran.says("the line is down").says(&format!("stays in {}", staging.display()));
    assert!(!ran.stderr.contains("restore_metrics"), "{}", ran.stderr);
    let staged = fs::read_dir(&staging).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir());
    assert_eq!(staged.count(), 2, "the full and the first incremental");
    assert!(!host.path("restored").exists());

    host.restore("data", "restored").env("BTS_BIN_DIR", &dir).run().ok();
    assert_eq!(fetched(&dir), 4);
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn what_was_not_synced_to_disk_is_fetched_again() {
    let Some(host) = with_chain(2) else { return };
    let dir = counting(&host, 2, "exit 69");
    host.restore("data", "restored").env("BTS_BIN_DIR", &dir).run().expect_status(69);
    let staging = staging(&host, "restored");
    for entry in fs::read_dir(&staging).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "synced") {
            fs::remove_file(path).unwrap();
        }
    }
    let mut restore = host.restore("data", "restored");
    restore.env("BTS_BIN_DIR", &dir).run().ok().says("was not synced");
    assert_eq!(fetched(&dir), 4);
}

#[test]
fn a_full_and_thirty_incrementals_restore_equal() {
    let Some(host) = with_chain(31) else { return };
    assert_eq!(host.chain("data").len(), 31);
    host.restore("data", "restored").run().ok().says("subvolume=data backups=31 bytes=");
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn another_machine_goes_on_from_kept_snapshots_and_its_backups_restore() {
    let Some(old) = with_chain(2) else { return };
    let Some(mut new) = Host::or_skip(&["data"]) else { return };
    new.share_archive(&old);
    new.fs().delete(&new.path("data"));
    let restore = |host: &Host, target: &str| host.restore("data", target);
    restore(&new, "data").arg("--keep-snapshots").run().ok().says("does not differ");
    assert_eq!(new.snapshots("data").len(), 2, "they are where a parent is looked for");
    assert_eq!(new.fs().names(""), ["data", "snapshots"]);
    assert_same(&old.newest("data"), &new.path("data"));

    next_second();
    fs::write(new.path("data/made elsewhere"), "new").unwrap();
    new.dataset("data", 7).bulk("more", MIB);
    new.backup().arg("--once").run().ok().says("kind=incremental");
    assert_eq!(new.chain("data").len(), 3);

    restore(&old, "restored").run().ok();
    assert_same(&new.newest("data"), &old.path("restored"));
}

#[test]
fn a_url_is_all_that_a_restore_needs() {
    let Some(host) = with_chain(2) else { return };
    let mut restore = wrapper();
    restore.args(["restore", "--store"]).arg(format!("file://{}", host.archive().display()));
    restore.args(["--subvolume", "data", "--target"]).arg(host.path("restored"));
    restore.run().ok().says("does not differ");
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn a_time_chooses_the_backup_and_a_dry_run_does_nothing() {
    let Some(host) = with_chain(3) else { return };
    let middle = host.snapshots("data").remove(0);
    let name = middle.file_name().unwrap().to_str().unwrap();
    // data__20260117T220511Z__inc
    let at = |range| &name["data__".len()..][range];
    let time = format!(
        "{}-{}-{}T{}:{}:{}Z",
        at(0..4),
        at(4..6),
        at(6..8),
        at(9..11),
        at(11..13),
        at(13..15)
    );
    let ran = host.restore("data", "restored").args(["--at", &time, "-n"]).run().ok();
    assert!(!ran.stderr.contains("receiving"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("stays in"), "{}", ran.stderr);
    assert_eq!(host.fs().names(""), ["data", "snapshots"]);
    host.restore("data", "restored").args(["--at", &time]).run().ok().says("backups=2 ");
    assert_same(&middle, &host.path("restored"));
}

#[test]
fn a_chain_that_is_all_staged_is_made_into_the_target() {
    let Some(host) = with_chain(2) else { return };
    let dir = host.sabotage(
        "btrfs",
        r#"case " $* " in *' snapshot -- '*) exit 1 ;; esac; exec "$REAL" "$@""#,
    );
    let mut restore = host.restore("data", "restored");
    restore.env("BTS_BIN_DIR", &dir).run().expect_status(74).says("cannot make the snapshot");
    let ran = host.restore("data", "restored").run().ok();
    assert!(!ran.stderr.contains("receiving"), "{}", ran.stderr);
    assert_same(&host.newest("data"), &host.path("restored"));
}
