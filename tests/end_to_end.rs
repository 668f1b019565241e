//! The wrapper and the programs on real Btrfs, with an archive in a directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bts_tests::program::{shell, wrapper};
use bts_tests::{Btrfs, Dataset, Host, assert_same, next_second, wait_for};
use rustix::fs::FlockOperation;

const MIB: u64 = 1 << 20;

/// The subvolumes' pointers, as they are.
fn pointer(host: &Host, name: &str) -> Vec<u8> {
    fs::read(host.archive().join("subvol").join(name).join("current.json")).unwrap()
}

#[test]
fn a_full_and_an_incremental_restore_to_what_was_sent() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.fs().subvolume("data/nested");
    host.dataset("data", 1).fill(40 * MIB);
    let ran = host.backup().run().ok().says("event=backup_metrics subvolume=data kind=full bytes=");
    assert!(ran.stderr.contains("nested"), "a nested subvolume is named: {}", ran.stderr);
    let first = host.newest("data");

    next_second();
    host.dataset("data", 2).change();
    host.backup().arg("--once").run().ok().says("kind=incremental");
    let second = host.newest("data");
    assert_ne!(first, second);

    let ran = host.restore("data", "restored").run().ok();
    assert_same(&second, &host.path("restored"));
    assert!(ran.stderr.contains("event=restore_metrics subvolume=data backups=2 bytes="));
    fs::write(host.path("restored/it is writable"), "").unwrap();

    let full = &host.chain("data")[0];
    host.restore("data", "earlier").args(["--manifest-key", full]).run().ok();
    assert_same(&first, &host.path("earlier"));

    let names = host.fs().names("");
    assert_eq!(names, ["data", "earlier", "restored", "snapshots"], "no staging is left");
}

#[test]
fn nothing_due_is_nothing_done() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.backup().run().ok();
    let (snapshots, before) = (host.snapshots("data"), pointer(&host, "data"));
    host.backup().run().ok().says("data: skip: ");
    assert_eq!(host.snapshots("data"), snapshots);
    assert_eq!(pointer(&host, "data"), before);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let ran = host.backup().arg("--dry-run").run().ok();
    assert!(ran.text().starts_with("data: full: "), "{}", ran.text());
    assert!(ran.text().contains("/snapshots/data__"), "{}", ran.text());
    assert!(host.snapshots("data").is_empty());
    assert_eq!(fs::read_dir(host.archive()).unwrap().count(), 0);
}

#[test]
fn old_snapshots_go_and_the_next_parent_stays() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let foreign = host.fs().snapshot(&host.path("data"), "snapshots/data-by-hand");
    for number in 0..4 {
        fs::write(host.path(&format!("data/{number}")), "new").unwrap();
        host.backup().arg("--once").run().ok();
        next_second();
    }
    assert_eq!(host.snapshots("data").len(), 2);
    assert_eq!(host.chain("data").len(), 4, "each was the parent of the next");
    assert!(foreign.exists());
    let newest = host.newest("data");
    host.restore("data", "restored").run().ok();
    assert_same(&newest, &host.path("restored"));
}

#[test]
fn kept_snapshots_are_read_only_and_what_was_received() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(MIB);
    host.backup().run().ok();
    // This machine has the snapshots of its own: these stay apart.
    host.restore("data", "restored").arg("--keep-snapshots").run().ok().says("restored.snapshots");
    let newest = host.newest("data");
    let kept = host.path("restored.snapshots").join(newest.file_name().unwrap());
    assert_same(&newest, &kept);
    assert!(fs::write(kept.join("new"), "").is_err(), "it is read-only");
    let names = host.fs().names("");
    assert_eq!(names, ["data", "restored", "restored.snapshots", "snapshots"]);
}

#[test]
fn a_subvolume_that_fails_leaves_the_others_alone() {
    let Some(host) = Host::or_skip(&["data", "home", "root"]) else { return };
    fs::create_dir(host.archive().join("subvol")).unwrap();
    let obstacle = host.archive().join("subvol/home");
    fs::write(&obstacle, "a file where a folder must be").unwrap();

    // Which depends on what the filesystem says to a file in the way.
    let ran = host.backup().run().says("home: nothing was published");
    assert!([74, 77].contains(&ran.status()), "{}", ran.status());
    pointer(&host, "data");
    pointer(&host, "root");
    assert_eq!(host.snapshots("home"), host.needed("home"), "nothing was published of it");

    fs::remove_file(&obstacle).unwrap();
    host.backup().run().ok().says("data: skip: ");
    pointer(&host, "home");
}

#[test]
fn only_the_subvolume_that_is_named_is_backed_up() {
    let Some(host) = Host::or_skip(&["data", "home"]) else { return };
    host.backup().args(["--subvolume", "home"]).run().ok();
    assert!(host.snapshots("data").is_empty());
    pointer(&host, "home");
}

#[test]
fn framing_and_unframing_gives_the_stream_back() {
    let Some(fs) = Btrfs::or_skip() else { return };
    Dataset::new(&fs.subvolume("data"), 1).fill(20 * MIB);
    let snapshot = fs.snapshot(&fs.path().join("data"), "snapshot");
    let script = r#"btrfs -q send "$SNAP" | bts-chunk --chunk-size 1MiB | bts-chunk --decode |
        cmp - <(btrfs -q send "$SNAP")"#;
    shell(script).env("SNAP", snapshot).run().ok();
}

#[test]
fn the_second_of_two_runs_gives_way_at_once_and_names_the_first() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let lock = fs::File::create(host.lock()).unwrap();
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let us = std::process::id().to_string();
    fs::write(host.lock(), format!("{us}\n")).unwrap();

    let began = Instant::now();
    host.backup().run().expect_status(75).says(&us);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(host.snapshots("data").is_empty());

    drop(lock);
    host.backup().run().ok();
}

/// Backs up once, changes something, lets the next backup fail as `sabotage`
/// makes it, and checks that the archive is as it was and a rerun needs no hand.
fn fails_and_recovers(program: &str, sabotage: &str, status: i32, says: &str) {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    let (before, snapshots) = (pointer(&host, "data"), host.snapshots("data"));
    next_second();
    host.dataset("data", 2).change();

    let dir = host.sabotage(program, sabotage);
    host.backup()
        .arg("--full")
        .env("BTS_BIN_DIR", dir)
        .run()
        .expect_status(status)
        .says(says)
        .says("nothing was published");
    assert_eq!(pointer(&host, "data"), before);
    let left: Vec<_> =
        host.snapshots("data").into_iter().filter(|path| !snapshots.contains(path)).collect();
    assert_eq!(left, host.needed("data"), "only a snapshot that a rerun needs stays");

    next_second();
    host.backup().arg("--once").run().ok();
    assert_ne!(pointer(&host, "data"), before);
    assert_eq!(host.needed("data"), Vec::<PathBuf>::new());
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn an_upload_that_is_killed_publishes_nothing() {
    let sabotage = r#"head -c 3000000 | "$REAL" "$@"; kill -KILL $$"#;
    fails_and_recovers("bts-put", sabotage, 75, "bts-put was ended by signal 9");
}

#[test]
fn an_upload_that_fails_is_what_is_reported() {
    let sabotage = r#"head -c 3000000 >/dev/null; echo 'no room in the bucket' >&2; exit 77"#;
    fails_and_recovers("bts-put", sabotage, 77, "no room in the bucket");
}

#[test]
fn a_send_that_fails_is_what_is_reported() {
    let sabotage = r#"case " $* " in
        *' send '*) "$REAL" "$@" | head -c 3000000; echo 'ERROR: a bad disk' >&2; exit 1 ;;
        *) exec "$REAL" "$@" ;;
        esac"#;
    fails_and_recovers("btrfs", sabotage, 74, "ERROR: a bad disk");
}

#[test]
fn a_stream_that_is_damaged_on_its_way_is_refused() {
    let sabotage = r#"case " $* " in
        *' send '*) "$REAL" "$@" | sed -z '5s/./X/' ;;
        *) exec "$REAL" "$@" ;;
        esac"#;
    fails_and_recovers("btrfs", sabotage, 65, "bts-chunk");
}

#[test]
fn a_run_that_is_told_to_end_leaves_nothing_behind() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    let dir = host.sabotage("bts-put", r#"touch "${0%/*}/started"; exec sleep 600"#);
    for (signal, name) in [("TERM", 143), ("INT", 130)] {
        let mut backup = host.backup();
        let child = backup.env("BTS_BIN_DIR", &dir).start();
        wait_for(&dir.join("started"));
        shell(&format!("kill -{signal} {}", child.id())).run().ok();
        backup.wait(child).expect_status(name);

        assert!(host.snapshots("data").is_empty());
        let mount = host.fs().path();
        let left = shell(r#"! pgrep -a -f -- "$MOUNT""#).env("MOUNT", mount).run().ok();
        assert_eq!(left.text(), "");
        fs::remove_file(dir.join("started")).unwrap();
    }
    host.backup().run().ok();
}

#[test]
fn a_restore_that_is_told_to_end_leaves_nothing_behind() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    let script = r#""$REAL" "$@" | head -c 5000000; touch "${0%/*}/started"; exec sleep 600"#;
    let dir = host.sabotage("bts-get", script);
    let mut restore = host.restore("data", "restored");
    let child = restore.env("BTS_BIN_DIR", &dir).start();
    wait_for(&dir.join("started"));
    shell(&format!("kill {}", child.id())).run().ok();
    restore.wait(child).expect_status(143);
    assert_eq!(host.fs().names(""), ["data", "snapshots"]);

    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn what_a_killed_run_leaves_running_keeps_the_next_one_out() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    let script = r#"echo $$ >"${0%/*}/started"; exec sleep 600"#;
    let dir = host.sabotage("bts-put", script);
    let mut backup = host.backup();
    let mut child = backup.env("BTS_BIN_DIR", &dir).start();
    wait_for(&dir.join("started"));
    child.kill().unwrap();
    child.wait().unwrap();

    host.backup().run().expect_status(75).says("what it started still runs");
    let orphan = fs::read_to_string(dir.join("started")).unwrap();
    shell(&format!("kill {orphan}")).run().ok();
    let free = format!("timeout 20 flock {} true", host.lock().display());
    shell(&free).run().ok();
    host.backup().run().ok();
}

#[test]
fn odd_names_and_paths_survive_the_round_trip() {
    let odd = "ödd 'q\" %41+ $HOME";
    let Some(fs) = Btrfs::or_skip() else { return };
    drop(fs);
    let Some(host) = Host::or_skip(&[odd]) else { return };
    let store = host.archive().join(odd);
    fs::create_dir(&store).unwrap();
    host.dataset(odd, 1).fill(MIB);
    let url = format!("file://{}", store.display());
    host.backup().args(["--store", &url]).run().ok();
    assert!(store.join("subvol/odd0/current.json").exists());
    host.restore("odd0", &format!("back {odd}")).args(["--store", &url]).run().ok();
    assert_same(&host.newest("odd0"), &host.path(&format!("back {odd}")));
}

#[test]
fn a_damaged_chunk_stops_the_restore_and_nothing_is_left() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    let find = r#"find "$ARCHIVE" -name part-00001.bin -exec sh -c 'printf X | dd of="$1" \
        bs=1 seek=5000 conv=notrunc status=none' sh {} ';'"#;
    shell(find).env("ARCHIVE", host.archive()).run().ok();
    let ran = host.restore("data", "restored").run();
    // btrfs receive may find out before bts-get has read the chunk to its end.
    assert!([65, 74].contains(&ran.status()), "{}: {}", ran.status(), ran.stderr);
    assert_eq!(host.fs().names(""), ["data", "snapshots"]);
}

#[test]
fn a_target_that_cannot_be_is_refused_before_anything_is_fetched() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    // There is no archive: whoever fetched would fail otherwise.
    host.restore("data", "data").run().expect_status(64).says("exists");
    host.restore("data", "no/such/folder").run().expect_status(64).says("is no directory");
    let mut elsewhere = wrapper();
    elsewhere.args(["restore", "--subvolume", "data", "--target", "/proc/target"]);
    elsewhere.arg("--config").arg(host.config());
    elsewhere.run().expect_status(64).says("Btrfs");
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_with_64() {
    for (arguments, says) in [
        (&[][..], "say what to do"),
        (&["bakcup"], "say what to do"),
        (&["backup"], "needs --config"),
        (&["backup", "--config"], "--config needs a value"),
        (&["backup", "--config", "x", "--target", "y"], "does not know --target"),
        (&["backup", "--config", "x", "y"], "does not know y"),
        (&["backup", "--config", "x", "--resend", "08"], "--resend takes a number"),
        (&["restore", "--config", "x", "--resend", "1"], "does not know --resend"),
        (&["restore", "--config=x", "--target=y"], "--subvolume NAME"),
        (&["restore", "--store=file:///x", "--subvolume=y"], "--target PATH"),
        (&["drill", "--config=x", "--scratch=y"], "--subvolume NAME"),
        (&["drill", "--config=x", "--subvolume=y"], "--scratch DIR"),
    ] {
        wrapper().args(arguments).run().expect_status(64).says(says);
    }
    let help = wrapper().arg("--help").run().ok();
    assert!(help.text().starts_with("Usage: btrfs-to-s3 backup"));
    let version = wrapper().arg("--version").run().ok();
    assert_eq!(version.text(), format!("btrfs-to-s3 {}\n", env!("CARGO_PKG_VERSION")));
}
