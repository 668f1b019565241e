//! Peak memory on a stream of 4 GiB: it must not depend on the stream's length,
//! and the README states these bounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use bts_tests::Btrfs;
use bts_tests::program::shell;
use bts_tests::s3::S3Server;

const MIB: u64 = 1 << 20;
const PART_SIZE: u64 = 16 * MIB;
const CONCURRENCY: u64 = 4;

/// Peak resident memory as time(1) wrote it, in bytes. Measured from a process
/// that is small itself: a child is charged with what its parent held.
fn peak(dir: &Path, program: &str) -> u64 {
    let text = fs::read_to_string(dir.join(program)).unwrap();
    // A line says more when the program failed; the number is the last.
    text.lines().last().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn four_gibibytes_pass_through_in_constant_memory() {
    // Zeros that compression keeps small on disk, and that btrfs sends in full.
    let Some(btrfs) = Btrfs::with_options("compress-force=zstd") else { return };
    let data = btrfs.subvolume("data");
    let mut file = File::create(data.join("zeros")).unwrap();
    for _ in 0..4096 {
        file.write_all(&vec![0; MIB as usize]).unwrap();
    }
    let snapshot = btrfs.snapshot(&data, "snapshot");
    let server = S3Server::start();
    let script = format!(
        r#"measure() {{ command time -f %M -o "$DIR/$@"; }}
        btrfs -q send "$SNAP" | measure chunk bts-chunk --chunk-size 1GiB |
            measure put bts-put --backup subvol/big/full/20260117T220511Z-0a1b2c3d \
                --part-size {PART_SIZE} --concurrency {CONCURRENCY} >"$DIR/records"
        measure publish bts-manifest publish <"$DIR/records" >/dev/null
        measure chain bts-manifest chain --subvolume big | measure get bts-get --concurrency {CONCURRENCY} | wc -c"#
    );
    let mut script = shell(&script);
    script.env("DIR", btrfs.outside()).env("SNAP", snapshot).envs(server.reach().environment());
    let ran = script.env("BTRFS_TO_S3_GLOBAL_STORE", server.reach().url("")).run().ok();
    assert!(ran.text().trim().parse::<u64>().unwrap() > 4096 * MIB);

    let others = 32 * MIB;
    let put = PART_SIZE * (CONCURRENCY + 2) + 32 * MIB;
    let get = PART_SIZE * (1 + CONCURRENCY + 2) + 48 * MIB;
    for (program, most) in
        [("chunk", others), ("put", put), ("publish", others), ("chain", others), ("get", get)]
    {
        let peak = peak(btrfs.outside(), program);
        println!("{program}: {} KiB at most", peak / 1024);
        assert!(peak <= most, "{program}: {peak} bytes, {most} are allowed");
    }
}
