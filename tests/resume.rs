//! Interrupted backups, and the runs that go on with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use bts_tests::program::shell;
use bts_tests::{Host, assert_same, next_second, wait_for};

const MIB: u64 = 1 << 20;

fn pointer(host: &Host) -> Option<Vec<u8>> {
    fs::read(host.archive().join("subvol/data/current.json")).ok()
}

/// A machine with 60 MiB to back up, in chunks of 8 MiB.
fn host() -> Option<Host> {
    let host = Host::or_skip(&["data"])?;
    host.dataset("data", 1).fill(60 * MIB);
    Some(host)
}

/// Waits until nothing that an ended wrapper started holds the lock.
fn wait_for_orphans(host: &Host) {
    shell(r#"timeout 60 flock "$LOCK" true"#).env("LOCK", host.lock()).run().ok();
}

/// The next run goes on with the one that was interrupted, and what it publishes
/// restores to the snapshot of that.
fn the_next_run_resumes(host: &Host) {
    let [snapshot] = host.needed("data").try_into().expect("one run is unfinished");
    assert_eq!(host.newest("data"), snapshot);
    next_second();
    host.dataset("data", 2).change();
    host.backup().run().ok().says("data: resume: the upload of ").says("going on with it");
    assert_eq!(host.newest("data"), snapshot);
    restores(host);
}

fn restores(host: &Host) {
    assert!(host.needed("data").is_empty());
    assert!(!host.journal("data").exists());
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

/// A `bts-put` that gets 30 MB of the stream and then waits for more, having said
/// so. Nothing outlives it.
const HALF: &str = r#"exec "$REAL" "$@" < <(head -c 30000000; touch "${0%/*}/half"
    while kill -0 $$ 2>/dev/null; do sleep 0.1; done)"#;

#[test]
fn an_upload_that_is_killed_in_the_middle_is_gone_on_with() {
    let Some(host) = host() else { return };
    let dir = host.sabotage("bts-put", HALF);
    let mut backup = host.backup();
    let mut child = backup.env("BTS_BIN_DIR", &dir).start();
    wait_for(&dir.join("half"));
    // All at once, as when the power fails.
    child.kill().unwrap();
    child.wait().unwrap();
    let all = r#"fuser -s -k -KILL "$LOCK" || true"#;
    shell(all).env("LOCK", host.lock()).run().ok();
    wait_for_orphans(&host);
    assert_eq!(pointer(&host), None);
    the_next_run_resumes(&host);
}

#[test]
fn a_run_right_after_one_that_was_told_to_end_goes_on_with_it() {
    let Some(host) = host() else { return };
    let dir = host.sabotage("bts-put", HALF);
    for signal in ["TERM", "INT"] {
        let mut backup = host.backup();
        let child = backup.env("BTS_BIN_DIR", &dir).start();
        wait_for(&dir.join("half"));
        shell(&format!("kill -{signal} {}", child.id())).run().ok();
        let ran = backup.wait(child).says("is kept");
        assert!([143, 130].contains(&ran.status()), "{}: {}", ran.status(), ran.stderr);
        let mount = host.fs().path();
        let left = shell(r#"! pgrep -a -f -- "$MOUNT""#).env("MOUNT", mount).run().ok();
        assert_eq!(left.text(), "");
        fs::remove_file(dir.join("half")).unwrap();
    }
    the_next_run_resumes(&host);
}

/// Runs a backup in which `program`, asked for the word `at`, does what it is
/// asked and then kills the wrapper; the next run publishes without sending.
fn killed_after(program: &str, at: &str, does: &str) {
    let Some(host) = host() else { return };
    let script = format!(
        r#"case " $* " in *' {at} '*) ;; *) exec "$REAL" "$@" ;; esac
        {does}
        read -r wrapper <{:?}
        kill -KILL "$wrapper""#,
        host.lock()
    );
    let dir = host.sabotage(program, &script);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(137);
    wait_for_orphans(&host);
    let snapshots = host.snapshots("data");
    next_second();
    host.backup().run().ok().says("data: publish: ");
    assert_eq!(host.snapshots("data"), snapshots);
    restores(&host);
    host.backup().run().ok().says("data: skip: ");
}

#[test]
fn a_run_that_is_killed_between_upload_and_publish_is_published() {
    killed_after("bts-manifest", "publish", ":");
}

#[test]
fn a_run_that_is_killed_between_manifest_and_pointer_is_published() {
    let does = r#""$REAL" "$@"; find "$(dirname "$3")" -name current.json -delete"#;
    // The config lies beside the archive.
    killed_after("bts-manifest", "publish", does);
}

#[test]
fn a_run_that_is_killed_between_pointer_and_state_is_finished() {
    killed_after("bts-manifest", "publish", r#""$REAL" "$@""#);
}

/// Stops and continues the `btrfs send` of a backup whose `bts-put` is slow, so
/// that the pipes are full: the kernel then starts the stream again.
fn stopped_and_continued(host: &Host, arguments: &[&str]) -> bts_tests::program::Ran {
    let script = r#"[[ ! -e ${0%/*}/slow ]] || exec "$REAL" "$@"
        touch "${0%/*}/slow"
        { head -c 3000000; while [[ ! -e ${0%/*}/go ]]; do sleep 0.1; done; cat; } |
            "$REAL" "$@""#;
    let dir = host.sabotage("bts-put", script);
    let mut backup = host.backup();
    let child = backup.args(arguments).env("BTS_BIN_DIR", &dir).start();
    wait_for(&dir.join("slow"));
    let stop = r#"sleep 2
        for send in $(pgrep -f "btrfs -q send .*$MOUNT"); do
            kill -STOP "$send"; sleep 0.5; kill -CONT "$send"
        done"#;
    shell(stop).env("MOUNT", host.fs().path()).run().ok();
    fs::write(dir.join("go"), "").unwrap();
    backup.wait(child)
}

#[test]
fn a_send_that_was_stopped_and_continued_is_sent_again() {
    let Some(host) = host() else { return };
    let ran = stopped_and_continued(&host, &[]).ok();
    ran.says("started its stream again").says("data: resume: ");
    assert_eq!(host.snapshots("data").len(), 1);
    restores(&host);
}

#[test]
fn with_resending_off_a_stopped_and_continued_send_publishes_nothing() {
    let Some(host) = host() else { return };
    host.backup().run().ok();
    let before = pointer(&host);
    next_second();
    host.dataset("data", 3).bulk("more", 60 * MIB);
    let ran = stopped_and_continued(&host, &["--once", "--resend=0"]).expect_status(76);
    ran.says("started its stream again");
    assert_eq!(pointer(&host), before);
    the_next_run_resumes(&host);
}
