//! The harness itself: a test that cannot fail proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::catch_unwind;
use std::process::Command;

use bts_tests::{Btrfs, Dataset, assert_same};

/// A filesystem with a dataset, its snapshot, and that snapshot received again
/// by nothing but btrfs.
fn received() -> Option<Btrfs> {
    let fs = Btrfs::or_skip()?;
    let data = fs.subvolume("data");
    fs.subvolume("data/nested");
    Dataset::new(&data, 1).fill(30 << 20);
    let first = fs.snapshot(&data, "first");
    Dataset::new(&data, 2).change();
    let second = fs.snapshot(&data, "second");
    fs::create_dir(fs.path().join("received")).unwrap();
    let script = r#"set -euo pipefail
        btrfs -q send "$1" | btrfs -q receive "$3"
        btrfs -q send -p "$1" "$2" | btrfs -q receive "$3""#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash"]).args([first, second, fs.path().join("received")]);
    assert!(bash.status().unwrap().success());
    Some(fs)
}

#[test]
fn the_dataset_comes_through_send_and_receive_unchanged() {
    let Some(fs) = received() else { return };
    for name in ["first", "second"] {
        assert_same(&fs.path().join(name), &fs.path().join("received").join(name));
    }
    let first = fs.path().join("first");
    assert!(catch_unwind(|| assert_same(&first, &first.with_file_name("second"))).is_err());
}

#[test]
fn the_comparison_finds_what_a_listing_does_not_show() {
    let Some(fs) = Btrfs::or_skip() else { return };
    let data = fs.subvolume("data");
    Dataset::new(&data, 3).fill(1 << 20);
    let snapshot = fs.snapshot(&data, "snapshot");
    assert_same(&snapshot, &data);

    let changed = data.join("sizes/4096");
    let modified = changed.metadata().unwrap().modified().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&changed).unwrap();
    file.write_all_at(b"x", 7).unwrap();
    file.set_modified(modified).unwrap();
    assert!(catch_unwind(|| assert_same(&snapshot, &data)).is_err());
}

#[test]
fn nothing_stays_mounted_or_attached_when_a_test_fails() {
    let Some(fs) = Btrfs::or_skip() else { return };
    let place = fs.path();
    let image = fs.outside().join("image").display().to_string();
    assert!(fs::read_to_string("/proc/mounts").unwrap().contains(place.to_str().unwrap()));
    let failed = catch_unwind(move || {
        let _fs = fs;
        panic!("as a test that fails does");
    });
    assert!(failed.is_err());
    assert!(!place.exists());
    assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(place.to_str().unwrap()));
    for entry in fs::read_dir("/sys/block").unwrap() {
        let backing = entry.unwrap().path().join("loop/backing_file");
        assert!(!fs::read_to_string(backing).unwrap_or_default().contains(&image));
    }
}
