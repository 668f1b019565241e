//! Restores over servers that damage what they send, lines that are slow or cut,
//! and readers that take their time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Read;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bts_tests::program::{Command, Ran, shell};
use bts_tests::s3::{Fault, Mark, Op, Reach, Relay, Rule, S3Server, Way};
use bts_tests::{Host, assert_same};
use serde_json::Value;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// What the summary says at its end.
const AGAIN: &str = " ranges were fetched again";

/// An archive on `server` with bytes that are no send stream, and its records.
struct Stored {
    dir: TempDir,
    bytes: Vec<u8>,
}

impl Stored {
    /// Stores `mib` MiB in chunks of 64 MiB and parts of 16 MiB.
    fn on(server: &S3Server, mib: u64) -> Self {
        Self::in_parts(server, mib, 16)
    }

    /// The same in parts of `part` MiB.
    fn in_parts(server: &S3Server, mib: u64, part: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let mut bytes = vec![0; (mib * MIB) as usize + 11];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
        fs::write(dir.path().join("bytes"), &bytes).unwrap();
        let script = r#"bts-chunk --raw --chunk-size 64MiB -- cat "$DIR/bytes" |
            bts-put --part-size "$PART" --backup subvol/raw/full/20260117T220511Z-$NONCE >"$DIR/records""#;
        let mut stored = shell(script);
        let part = format!("{part}MiB");
        reaching(&mut stored, server.reach())
            .env("DIR", dir.path())
            .env("PART", part)
            .env("NONCE", format!("{:08x}", rand::random::<u32>()))
            .run()
            .ok();
        Self { dir, bytes }
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join("records")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Leaves the digests of parts out of the records.
    fn without_part_digests(&self) {
        let mut text = String::new();
        for mut record in self.records() {
            record.as_object_mut().unwrap().remove("parts");
            text += &format!("{record}\n");
        }
        fs::write(self.dir.path().join("records"), text).unwrap();
    }

    /// `bts-get` of it all, into the file `got`.
    fn get(&self, reach: &Reach, options: &str) -> Ran {
        let script = format!(r#"bts-get {options} <"$DIR/records" >"$DIR/got""#);
        reaching(&mut shell(&script), reach).env("DIR", self.dir.path()).run()
    }

    fn got(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("got")).unwrap()
    }
}

fn reaching<'a>(command: &'a mut Command, reach: &Reach) -> &'a mut Command {
    command.envs(reach.environment()).env("BTRFS_TO_S3_GLOBAL_STORE", reach.url(""))
}

/// How many ranges the summary says were fetched again.
fn again(ran: &Ran) -> u64 {
    let line = ran.stderr.lines().find(|line| line.ends_with(AGAIN)).expect("a summary");
    let words = line.strip_suffix(AGAIN).unwrap();
    words.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Every tenth answer with bytes of a chunk has a bit flipped.
fn every_tenth(server: &S3Server) {
    server.control().inject(Rule::of(Op::GetObject, Fault::Flip(0)).key(".bin").every(10));
}

#[test]
fn ranges_that_arrive_damaged_are_fetched_again() {
    let server = S3Server::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "host") else { return };
    host.dataset("data", 1).fill(200 * MIB);
    host.backup().run().ok();
    every_tenth(&server);
    let ran = host.restore("data", "restored").run().ok();
    let (again, faults) = (again(&ran), server.control().count(Op::GetObject).faults);
    assert!(again >= 4 && again == faults, "{again} again, {faults} damaged");
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn a_server_that_always_damages_ends_the_restore_and_there_is_no_target() {
    let server = S3Server::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "host") else { return };
    host.dataset("data", 1).fill(40 * MIB);
    host.backup().run().ok();
    let chunk = "chunks/part-00002.bin";
    server.control().inject(Rule::of(Op::GetObject, Fault::Flip(7)).key(chunk).always());
    let ran = host.restore("data", "restored").run().expect_status(65);
    let ran = ran.says(chunk).says("bytes 0 to").says("(5 times)");
    assert!(!ran.stderr.contains(AGAIN), "{}", ran.stderr);
    assert_eq!(host.fs().names(""), ["data", "snapshots"]);
}

#[test]
fn records_of_an_upload_are_checked_by_part_however_large_parts_are() {
    let server = S3Server::start();
    let stored = Stored::in_parts(&server, 300, 40);
    every_tenth(&server);
    let ran = stored.get(server.reach(), "").ok();
    assert!(stored.got() == stored.bytes);
    // A part of 40 MiB comes in three ranges, and all of them come again.
    let faults = server.control().count(Op::GetObject).faults;
    assert!(faults > 0 && again(&ran) > faults, "{} again of {faults}", again(&ran));
}

#[test]
fn without_part_digests_the_end_of_a_damaged_chunk_is_never_written() {
    let server = S3Server::start();
    let stored = Stored::on(&server, 150);
    stored.without_part_digests();
    stored.get(server.reach(), "").ok();
    assert!(stored.got() == stored.bytes);
    let second = "part-00001.bin";
    server.control().inject(Rule::of(Op::GetObject, Fault::Flip(7)).key(second));
    stored.get(server.reach(), "").expect_status(65).says(second).says("sha256");
    assert_eq!(stored.got().len() as u64, 127 * MIB);
}

#[test]
fn connections_that_are_cut_within_a_range_go_on_from_there() {
    let server = S3Server::start();
    let stored = Stored::on(&server, 150);
    let relay = Relay::to(server.reach());
    relay.cut_after(Way::Down, 50 * MIB);
    let ran = stored.get(&relay.reach(server.reach()), "").ok();
    assert!(stored.got() == stored.bytes);
    assert!((1..=8).contains(&again(&ran)), "{}", again(&ran));
    // What had come before the cut was kept, but for what a socket held.
    let carried = relay.carried(Way::Down);
    assert!(carried < 180 * MIB, "{} MiB", carried / MIB);
}

/// How long `bts-get` takes over lines that carry 10 MB/s each.
fn seconds(stored: &Stored, reach: &Reach, concurrency: u64) -> f64 {
    let start = Instant::now();
    stored.get(reach, &format!("--concurrency {concurrency}")).ok();
    assert!(stored.got() == stored.bytes);
    start.elapsed().as_secs_f64()
}

#[test]
fn eight_connections_bring_more_than_five_times_what_one_brings() {
    let server = S3Server::start();
    let (small, large) = (Stored::on(&server, 48), Stored::on(&server, 512));
    let relay = Relay::to(server.reach());
    relay.limit(10_000_000);
    let reach = relay.reach(server.reach());
    let one = small.bytes.len() as f64 / seconds(&small, &reach, 1);
    let eight = large.bytes.len() as f64 / seconds(&large, &reach, 8);
    println!("one: {:.1} MB/s, eight: {:.1} MB/s", one / 1e6, eight / 1e6);
    assert!(eight > 5.0 * one, "one: {one:.0} B/s, eight: {eight:.0} B/s");
}

/// The most memory that a process held so far, in bytes.
fn peak(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What the manual says of memory, for parts of at most 16 MiB.
fn allowed(concurrency: u64) -> u64 {
    (1 + concurrency + 2) * 16 * MIB + 48 * MIB
}

#[test]
fn a_reader_that_waits_does_not_make_memory_grow() {
    let server = S3Server::start();
    let stored = Stored::on(&server, 400);
    let records = fs::File::open(stored.dir.path().join("records")).unwrap();
    let mut command = Command::new("bts-get");
    let mut getting = reaching(&mut command, server.reach()).stdin(records).start();
    let mut out = getting.stdout.take().unwrap();
    let mut got = vec![0; 1000];
    out.read_exact(&mut got).unwrap();
    let gets = |server: &S3Server| server.control().count(Op::GetObject).requests;
    assert!(server.control().wait_for(Mark::Of(Op::GetObject, 11), Duration::from_secs(60)));
    sleep(Duration::from_secs(1));
    // One part waits in the pipe, and its buffer is not free before it is through.
    assert_eq!(gets(&server), 11, "ranges for a reader that waits");
    // As long as something is to be written, the process is there to be looked at.
    got.resize(stored.bytes.len() - MIB as usize, 0);
    out.read_exact(&mut got[1000..]).unwrap();
    let peak = peak(&getting);
    out.read_to_end(&mut got).unwrap();
    assert!(getting.wait().unwrap().success());
    assert!(got == stored.bytes);
    println!("{} MiB at most", peak / MIB);
    assert!(peak <= allowed(8), "{} MiB, {} are allowed", peak / MIB, allowed(8) / MIB);
}
