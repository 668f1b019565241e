//! What is said to be equal was compared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bts_tests::program::{Ran, shell};
use bts_tests::{Host, assert_same};

use super::with_chain;

/// A `BTS_BIN_DIR` whose `btrfs` does `script` in what a restore makes.
fn planting(host: &Host, script: &str) -> PathBuf {
    host.sabotage(
        "btrfs",
        &format!(
            r#""$REAL" "$@" || exit
            case " $* " in *' subvolume snapshot -- '*) cd -- "${{@: -1}}" && {{ {script}; }} ;; esac"#
        ),
    )
}

/// Changes one file's content, and nothing that a look at it would tell.
const CONTENT: &str = "printf other >changing && touch -d @1000000000 changing";

fn prepared() -> Option<Host> {
    let host = with_chain(1)?;
    let script = "printf value >\"$FILE\" && touch -d @1000000000 \"$FILE\"";
    shell(script).env("FILE", host.path("data/changing")).run().ok();
    host.backup().arg("--full").run().ok();
    Some(host)
}

fn restored(host: &Host, plant: &str, compare: &str) -> Ran {
    let dir = planting(host, plant);
    let mut restore = host.restore("data", "restored");
    let ran = restore.args(["--compare", compare]).env("BTS_BIN_DIR", &dir).run();
    fs::remove_dir_all(dir).unwrap();
    if host.path("restored").exists() {
        host.fs().delete(&host.path("restored"));
    }
    ran
}

#[test]
fn a_difference_is_found_and_shown_whatever_it_is() {
    let Some(host) = prepared() else { return };
    for mode in ["full", "sample"] {
        let ran = restored(&host, CONTENT, mode).expect_status(65);
        ran.says("differs from its source").says("changing").says("in 1 places");
        let ran = restored(&host, "touch -d @1000000000 . && chmod 0123 changing", mode);
        ran.expect_status(65).says("changing");
        restored(&host, "printf new >added", mode).expect_status(65).says("*deleting   added");
        restored(&host, ":", mode).ok().says("does not differ");
    }
    assert_eq!(host.fs().names(""), ["data", "snapshots"], "no staging is left");
}

#[test]
fn a_sample_is_of_as_many_files_as_the_config_says() {
    let Some(host) = prepared() else { return };
    host.configure("[restore]\nverify_mode = \"sample\"\nsample_max_files = 7\n");
    let ran = host.restore("data", "restored").run().ok();
    ran.says("and the contents of 7 of them");
}

#[test]
fn nothing_is_called_equal_that_was_not_compared() {
    let Some(host) = prepared() else { return };
    let quiet = |ran: Ran| {
        let ran = ran.ok().says("compared with nothing, the hashes alone vouch");
        assert!(!ran.stderr.contains("differ"), "{}", ran.stderr);
    };
    quiet(restored(&host, CONTENT, "none"));

    // The name is there, the snapshot is not: it was made writable and changed.
    let source = host.newest("data");
    let script = r#"btrfs property set -f "$SOURCE" ro false && touch "$SOURCE/new" &&
        btrfs property set "$SOURCE" ro true"#;
    shell(script).env("SOURCE", &source).run().ok();
    quiet(restored(&host, ":", "full"));
    host.fs().delete(&source);
    quiet(restored(&host, ":", "full"));
}

#[test]
fn a_comparison_without_rsync_is_refused_before_anything_is_fetched() {
    let Some(host) = prepared() else { return };
    let dir = host.fs().outside().join("tools");
    fs::create_dir(&dir).unwrap();
    for path in ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name() != "rsync" {
                let _ = symlink(entry.path(), dir.join(entry.file_name()));
            }
        }
    }
    let mut restore = host.restore("data", "restored");
    let ran = restore.env("PATH", &dir).run().expect_status(78).says("cannot run rsync");
    assert!(!ran.stderr.contains("receiving"), "{}", ran.stderr);
    assert_eq!(host.fs().names(""), ["data", "snapshots"]);
    restore.args(["--compare", "none"]).run().ok();
}

#[test]
fn a_drill_compares_measures_and_leaves_nothing() {
    let Some(host) = with_chain(2) else { return };
    fs::create_dir(host.path("scratch")).unwrap();
    let drill = |plant: &str| {
        let mut drill = bts_tests::program::wrapper();
        drill.arg("drill").arg("--config").arg(host.config());
        drill.args(["--subvolume", "data", "--scratch"]).arg(host.path("scratch"));
        let dir = host.sabotage("bts-get", plant);
        let ran = drill.env("BTS_BIN_DIR", &dir).run();
        fs::remove_dir_all(dir).unwrap();
        ran
    };
    let ran = drill(r#"exec "$REAL" "$@""#).ok().says("does not differ");
    ran.says("event=drill_metrics subvolume=data backups=2 bytes=");
    assert!(host.fs().names("scratch").is_empty());
    drill("exit 69").expect_status(69);
    assert!(host.fs().names("scratch").is_empty());
    assert_eq!(host.fs().names(""), ["data", "scratch", "snapshots"]);
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}
