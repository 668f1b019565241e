//! Restores that are interrupted, misled, or not what they look like.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chains;
mod compare;
mod crafted;
mod safety;

use std::fs;
use std::path::{Path, PathBuf};

use bts_tests::{Host, next_second, wait_for};

const MIB: u64 = 1 << 20;

/// A machine that has backed up a chain of this length.
fn with_chain(length: u64) -> Option<Host> {
    let host = Host::or_skip(&["data"])?;
    host.dataset("data", 1).fill(MIB);
    host.backup().run().ok();
    for number in 1..length {
        next_second();
        fs::write(host.path("data/changing"), number.to_string()).unwrap();
        host.backup().arg("--once").run().ok().says("kind=incremental");
    }
    Some(host)
}

/// The staging directory of a restore to this target.
fn staging(host: &Host, target: &str) -> PathBuf {
    host.path(&format!(".btrfs-to-s3-restore.{target}"))
}

/// A `BTS_BIN_DIR` whose `bts-get` notes each download, and does `script` in the
/// `number`th.
fn counting(host: &Host, number: u64, script: &str) -> PathBuf {
    host.sabotage(
        "bts-get",
        &format!(
            r#"case " $* " in *' --thaw-only '* | *' --dry-run '*) exec "$REAL" "$@" ;; esac
            echo x >>"${{0%/*}}/fetched"
            [[ $(wc -l <"${{0%/*}}/fetched") != {number} ]] || {{ {script}; }}
            exec "$REAL" "$@""#
        ),
    )
}

/// How many downloads were begun.
fn fetched(dir: &Path) -> usize {
    fs::read_to_string(dir.join("fetched")).unwrap_or_default().lines().count()
}
