//! Plans that go on with an unfinished run, and what becomes of it, with journals
//! that the tests write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use bts::btrfs;
use bts::journal::Journal;
use bts_tests::program::shell;
use bts_tests::{Host, assert_same, next_second};

const MIB: u64 = 1 << 20;

fn pointer(host: &Host) -> Vec<u8> {
    fs::read(pointer_path(host)).unwrap()
}

fn pointer_path(host: &Host) -> PathBuf {
    host.archive().join("subvol/data/current.json")
}

/// A machine with something to back up.
fn host() -> Option<Host> {
    let host = Host::or_skip(&["data"])?;
    host.dataset("data", 1).fill(20 * MIB);
    Some(host)
}

/// Lets a `bts-put` store everything, leave `lines` of a journal, and then fail
/// with `status`, once; those after it are the real ones.
fn fails_once(host: &Host, lines: &str, status: i32) -> PathBuf {
    let journal = host.journal("data");
    let archive = host.archive();
    let script = format!(
        r#"dir=${{0%/*}}
        [[ ! -e $dir/failed ]] || exec "$REAL" "$@"
        "$REAL" "$@" >"$dir/records" || exit
        mkdir -p {runs:?}
        {lines} "$dir/records" >{journal:?}
        [[ '{lines}' == cat ]] || find {archive:?} -path '*/chunks/*' -newer {config:?} -delete
        touch "$dir/failed"
        exit {status}"#,
        runs = journal.parent().unwrap(),
        config = host.config(),
    );
    // What is older than the config is of earlier backups.
    sleep(Duration::from_millis(20));
    host.configure("");
    sleep(Duration::from_millis(20));
    host.sabotage("bts-put", &script)
}

/// A run that stored everything, and one that stored nothing to speak of.
const WHOLE: &str = "cat";
const BEGUN: &str = "head -n 1";

/// A folder in which `btrfs send` is an error.
fn no_send(host: &Host) -> PathBuf {
    let script = r#"case " $* " in *' send '*) exit 1 ;; *) exec "$REAL" "$@" ;; esac"#;
    host.sabotage("btrfs", script)
}

#[test]
fn what_is_stored_whole_is_published_without_being_sent_again() {
    let Some(host) = host() else { return };
    let dir = fails_once(&host, WHOLE, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69).says("is kept");
    let [snapshot] = host.snapshots("data").try_into().unwrap();
    assert_eq!(host.needed("data"), std::slice::from_ref(&snapshot));
    assert!(!pointer_path(&host).exists());

    let mut backup = host.backup();
    backup.env("BTS_BIN_DIR", no_send(&host));
    backup.run().ok().says("data: publish: everything of ").says("event=backup_metrics");
    assert_eq!(host.snapshots("data"), std::slice::from_ref(&snapshot));
    assert!(!host.journal("data").exists());
    assert!(host.needed("data").is_empty());
    host.restore("data", "restored").run().ok();
    assert_same(&snapshot, &host.path("restored"));
    host.backup().run().ok().says("data: skip: ");
}

#[test]
fn a_run_that_stops_after_its_manifest_or_its_pointer_is_finished() {
    let Some(host) = host() else { return };
    let dir = fails_once(&host, WHOLE, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69);
    // Both are stores as a crash leaves them: the pointer moved, and not yet.
    let script = r#"case " $* " in *' --settle '*) exit 74 ;; *) exec "$REAL" "$@" ;; esac"#;
    let no_settle = host.sabotage("bts-plan", script);
    host.backup().env("BTS_BIN_DIR", &no_settle).run().expect_status(74);
    let published = pointer(&host);
    fs::remove_file(pointer_path(&host)).unwrap();
    host.backup().env("BTS_BIN_DIR", &no_settle).run().expect_status(74).says("data: publish: ");
    assert_eq!(pointer(&host), published);

    let ran = host.backup().run().ok();
    let ran = ran.says("data: publish: the backup of ").says("what is left is to take note of it");
    assert!(!ran.stderr.contains("skip"), "{}", ran.stderr);
    assert_eq!(pointer(&host), published);
    assert!(!host.journal("data").exists());
    host.backup().run().ok().says("data: skip: ");
}

#[test]
fn an_interrupted_upload_is_gone_on_with_from_the_same_snapshot() {
    let Some(host) = host() else { return };
    let dir = fails_once(&host, BEGUN, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69).says("is kept");
    let [snapshot] = host.snapshots("data").try_into().unwrap();
    next_second();
    host.dataset("data", 2).change();
    host.backup().arg("-n").run().ok();
    host.backup().run().ok().says("data: resume: the upload of ");
    assert_eq!(host.snapshots("data"), std::slice::from_ref(&snapshot));
    host.restore("data", "restored").run().ok();
    assert_same(&snapshot, &host.path("restored"));
}

#[test]
fn a_lost_upload_is_sent_again_by_the_same_run() {
    for status in [75, 76] {
        let Some(host) = host() else { return };
        let dir = fails_once(&host, BEGUN, status);
        let ran = host.backup().env("BTS_BIN_DIR", dir).run().ok();
        ran.says("data: full: ").says("data: resume: the upload of ");
        assert_eq!(host.snapshots("data").len(), 1);
        host.restore("data", "restored").run().ok();
        assert_same(&host.newest("data"), &host.path("restored"));
    }
}

#[test]
fn with_resending_off_a_restarted_send_is_what_is_reported() {
    let Some(host) = host() else { return };
    host.backup().run().ok();
    let before = pointer(&host);
    next_second();
    let dir = fails_once(&host, BEGUN, 76);
    let mut backup = host.backup();
    backup.args(["--once", "--resend", "0"]).env("BTS_BIN_DIR", dir);
    backup.run().expect_status(76).says("is kept");
    assert_eq!(pointer(&host), before);
    host.backup().run().ok().says("data: resume: ");
    assert_eq!(host.chain("data").len(), 2);
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn an_upload_that_is_lost_again_and_again_ends() {
    let Some(host) = host() else { return };
    let dir = host.sabotage("bts-put", r#"echo x >>"${0%/*}/tries"; exit 75"#);
    host.backup().args(["--resend", "2"]).env("BTS_BIN_DIR", &dir).run().expect_status(75);
    assert_eq!(fs::read_to_string(dir.join("tries")).unwrap().lines().count(), 3);
    assert!(host.snapshots("data").is_empty(), "each try's snapshot is gone");
}

#[test]
fn a_run_whose_snapshot_is_gone_is_given_up_and_the_reason_told() {
    let Some(host) = host() else { return };
    let dir = fails_once(&host, BEGUN, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69);
    let [snapshot] = host.snapshots("data").try_into().unwrap();
    shell("btrfs -q subvolume delete \"$P\"").env("P", &snapshot).run().ok();
    next_second();
    let ran = host.backup().run().ok().says("data: full: there is no backup yet; the run of ");
    ran.says("is not gone on with: its snapshot data__");
    assert_ne!(host.newest("data"), snapshot);
}

#[test]
fn a_run_in_another_archive_is_left_alone() {
    let Some(host) = host() else { return };
    let dir = fails_once(&host, WHOLE, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69);
    let other = host.fs().outside().join("other");
    fs::create_dir(&other).unwrap();
    let url = format!("file://{}", other.display());
    let mut publish = host.command(bts_tests::program::Command::new("bts-manifest"));
    publish.args(["publish", "--subvolume", "data", "--store", &url]);
    publish.run().expect_status(78).says("is stored in file://");
    let ran = host.backup().args(["-n", "--store", &url]).run().ok();
    let ran = ran.says("data: the run of subvol/data/full/").says("is left alone");
    assert!(ran.text().starts_with("data: full: there is no backup yet\n"), "{}", ran.text());
    host.backup().arg("-n").run().ok();
    assert!(host.journal("data").exists());
}

#[test]
fn publishing_a_run_that_is_not_stored_whole_is_refused() {
    let Some(host) = host() else { return };
    let publish = || host.program("bts-manifest", &["publish", "--subvolume", "data"]);
    publish().expect_status(75).says("no backup waits to be published");
    assert!(!host.journal("data").exists());
    let dir = fails_once(&host, BEGUN, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69);
    let ran = publish().expect_status(75).says("its upload is not finished");
    assert!(ran.text().contains("\"type\":\"error\""), "{}", ran.text());
}

#[test]
fn settling_removes_the_journal_of_what_is_published_and_no_other() {
    let Some(host) = host() else { return };
    let dir = fails_once(&host, WHOLE, 69);
    host.backup().env("BTS_BIN_DIR", dir).run().expect_status(69);
    host.program("bts-manifest", &["publish", "--subvolume", "data"]).ok();
    let settle = || {
        let script = r#"bts-manifest current --all -c "$C" | bts-plan --settle -c "$C""#;
        shell(script).env("C", host.config()).run().ok()
    };
    let (held, _) = Journal::open(&host.journal("data")).unwrap();
    settle().says("its journal stays");
    assert!(host.journal("data").exists());
    drop(held);
    let text = fs::read_to_string(host.journal("data")).unwrap();
    let other = text.replacen("subvol/data/full/2", "subvol/data/full/1", 1);
    fs::write(host.journal("data"), other).unwrap();
    settle();
    assert!(host.journal("data").exists(), "it is of another run");
    fs::write(host.journal("data"), text).unwrap();
    settle();
    assert!(!host.journal("data").exists());
}

#[test]
fn what_failed_runs_left_behind_goes_and_what_a_run_needs_stays() {
    let Some(host) = host() else { return };
    host.backup().run().ok();
    let published = host.newest("data");
    let left = host.fs().snapshot(&host.path("data"), "snapshots/data__20360101T020000Z__inc");
    let by_hand = host.fs().snapshot(&host.path("data"), "snapshots/data-by-hand");
    next_second();
    let dir = fails_once(&host, BEGUN, 69);
    host.backup().arg("--once").env("BTS_BIN_DIR", dir).run().expect_status(69);
    let [needed] = host.needed("data").try_into().unwrap();
    let script = r#"bts-manifest current --all -c "$C" |
        bts-plan --settle -c "$C" --print0 snapshot,reason"#;
    let ran = shell(script).env("C", host.config()).run().ok();
    let named: Vec<_> = ran.text().split_terminator('\0').collect();
    let reason = "a run that published nothing made it, and no other goes on with it";
    assert_eq!(named, [left.to_str().unwrap(), reason]);
    assert!([&published, &by_hand, &needed].iter().all(|path| path.exists()));
}

/// The host whose newest snapshot is the one that the archive holds.
fn winner<'a>(hosts: &[&'a Host]) -> &'a Host {
    let ran = hosts[0]
        .program("bts-manifest", &["chain", "--subvolume", "data", "--only", "--print0", "uuid"]);
    let uuid = ran.ok().text().trim_end_matches('\0').to_owned();
    let made = |host: &&&Host| btrfs::info(&host.newest("data")).unwrap().uuid.to_string() == uuid;
    hosts.iter().find(made).expect("one of them made it")
}

#[test]
fn of_two_hosts_that_race_for_one_pointer_none_spoils_the_archive() {
    let (Some(one), Some(mut other)) = (host(), host()) else { return };
    other.dataset("data", 7).change();
    other.share_archive(&one);
    // Both are ready to publish before either does.
    let gate = one.fs().outside().join("gate");
    fs::create_dir(&gate).unwrap();
    let script = format!(
        r#"case " $* " in *' publish '*)
            touch {gate:?}/$$
            for ((i = 0; i < 600; i++)); do
                set -- "$@"; n=({gate:?}/*); ((${{#n[@]}} < 2)) || break; sleep 0.1
            done
        esac
        exec "$REAL" "$@""#
    );
    let (dir, other_dir) =
        (one.sabotage("bts-manifest", &script), other.sabotage("bts-manifest", &script));
    let (mut first, mut second) = (one.backup(), other.backup());
    let started = first.env("BTS_BIN_DIR", dir).start();
    let also = second.env("BTS_BIN_DIR", other_dir).start();
    let ended = [first.wait(started).status(), second.wait(also).status()];
    assert!([[0, 75], [75, 0], [0, 0]].contains(&ended), "{ended:?}");
    let made = winner(&[&one, &other]);
    one.restore("data", "restored").run().ok();
    assert_same(&made.newest("data"), &one.path("restored"));

    // Whoever lost makes a backup of its own, or publishes the one it has.
    next_second();
    let loser = if made.config() == one.config() { &other } else { &one };
    loser.backup().arg("--once").run().ok();
    let made = winner(&[&one, &other]);
    assert_eq!(made.config(), loser.config());
    made.restore("data", "again").run().ok();
    assert_same(&made.newest("data"), &made.path("again"));
}
