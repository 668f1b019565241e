//! Backups that are interrupted: what a second run costs, and that it needs no
//! hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use bts_tests::program::{Command, shell};
use bts_tests::s3::{Count, Mark, Op, Relay, S3Server};
use bts_tests::{Host, assert_same, kill};
use rustix::process::Signal;

const MIB: u64 = 1 << 20;

/// How many parts may have been on their way when an upload died.
const IN_FLIGHT: u64 = 4;

/// A host whose archive is on `server`, with chunks of `chunk` MiB.
fn host(server: &S3Server, chunk: u64) -> Option<Host> {
    let host = Host::on_s3_or_skip(&["data"], server.reach(), "host")?;
    Some(host.with_env("BTRFS_TO_S3_S3_CHUNK_SIZE_BYTES", format!("{chunk}MiB")))
}

fn uploaded(server: &S3Server) -> u64 {
    let Count { bytes, .. } = server.control().count(Op::UploadPart);
    bytes
}

/// Backs up, and kills `bts-put` when the server has got `bytes` more.
fn dies_at(host: &Host, server: &S3Server, bytes: u64) {
    let mut backup = host.backup();
    let child = backup.arg("--resend=0").start();
    let wrapper = child.id();
    let mark = Mark::Uploaded(uploaded(server) + bytes);
    server.control().when(mark, move || assert!(kill::descendant(wrapper, "bts-put")));
    backup.wait(child).expect_status(75).says("bts-put was ended by signal 9");
}

fn restores_equal(host: &Host) {
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn an_upload_killed_at_70_percent_of_a_gibibyte_sends_only_what_is_missing() {
    let server = S3Server::start();
    let Some(host) = host(&server, 256) else { return };
    host.dataset("data", 1).fill(1024 * MIB);
    let part = 16 * MIB;
    dies_at(&host, &server, 717 * MIB);
    let snapshots = host.snapshots("data");

    let before = uploaded(&server);
    host.backup().run().ok().says("going on");
    let sent = uploaded(&server) - before;
    let size = ["chain", "--subvolume", "data", "--print0", "size"];
    let size = host.program("bts-manifest", &size).ok();
    let size: u64 = size.text().trim_end_matches('\0').parse().unwrap();
    let most = size - 717 * MIB + IN_FLIGHT * part;
    println!("{sent} bytes sent of {size}, {most} allowed");
    assert!(size > 1024 * MIB && sent <= most, "{sent} of at most {most}");
    assert_eq!(host.snapshots("data"), snapshots, "the same snapshot was sent");
    restores_equal(&host);
}

/// Backs up, and lets the upload be stored whole but not published.
fn uploads_only(host: &Host) {
    let script = r#"[[ " $* " != *" publish "* ]] || exit 75; exec "$REAL" "$@""#;
    let dir = host.sabotage("bts-manifest", script);
    host.backup().arg("--once").env("BTS_BIN_DIR", &dir).run().expect_status(75);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Kills publishing at its first request, then at its second, and so on, until it
/// succeeds; `current` is what stands until then. How often it was killed.
fn dies_publishing(host: &Host, server: &S3Server, current: Option<&str>) -> u64 {
    for killed in 0.. {
        let mut publish = Command::new("bts-manifest");
        publish.args(["publish", "--subvolume", "data"]);
        let mut publish = host.command(publish);
        let child = publish.start();
        let pid = child.id();
        let mark = Mark::Requests(server.control().total().requests + killed + 1);
        server.control().when(mark, move || assert!(kill::signal(pid, Signal::KILL)));
        let ran = publish.wait(child);
        server.control().forget_hooks();
        if ran.status() == 0 {
            return killed;
        }
        assert_eq!(ran.status(), 137, "{}", ran.stderr);
        let chain = host.chain_if_any("data");
        let newest = chain.last().map(String::as_str);
        // The last request may be the one that moves the pointer.
        assert!(newest == current || chain.len() > usize::from(current.is_some()), "{chain:?}");
    }
    unreachable!("it has an end")
}

#[test]
fn publishing_that_is_killed_at_any_request_is_finished_by_the_next_attempt() {
    let server = S3Server::start();
    let Some(host) = host(&server, 8) else { return };
    host.dataset("data", 1).fill(10 * MIB);
    uploads_only(&host);
    assert!(dies_publishing(&host, &server, None) > 8);
    host.backup().run().ok();
    sleep(Duration::from_millis(1100));
    host.dataset("data", 2).change();
    uploads_only(&host);
    let full = host.chain("data").pop();
    assert!(dies_publishing(&host, &server, full.as_deref()) > 8);
    host.backup().run().ok();
    assert_eq!(host.chain("data").len(), 2);
    restores_equal(&host);
}

/// Reflinks made elsewhere to an extent that a snapshot holds several times
/// change what `btrfs send` makes of the same snapshot: data where it sent
/// clones.
fn reflinks_elsewhere(data: &Path) {
    let script = r#"cd "$DATA" && mkdir elsewhere && for i in $(seq 1500); do
        cp --reflink=always cloned elsewhere/$i; done; sync"#;
    shell(script).env("DATA", data).run().ok();
}

fn bytes_that_changed_are_sent_again(share: u64) {
    let server = S3Server::start();
    let Some(host) = host(&server, 16) else { return };
    let data = host.path("data");
    host.dataset("data", 1).fill(24 * MIB);
    let script = r#"cd "$DATA" && head -c 2000000 /dev/urandom >cloned &&
        for i in 1 2 3; do cp --reflink=always cloned clone$i; done && sync"#;
    shell(script).env("DATA", &data).run().ok();
    host.dataset("data", 2).bulk("later", 24 * MIB);

    dies_at(&host, &server, 50 * MIB * share / 100);
    let stream = || {
        let count = r#"btrfs -q send "$SNAPSHOT" | wc -c"#;
        let ran = shell(count).env("SNAPSHOT", host.newest("data")).run().ok();
        ran.text().trim().parse::<u64>().unwrap()
    };
    let before = stream();
    reflinks_elsewhere(&data);
    assert_ne!(stream(), before, "btrfs send makes something else of the same snapshot now");
    host.backup().run().ok();
    restores_equal(&host);
}

#[test]
fn a_stream_that_changed_after_its_clones_were_sent_is_backed_up_as_it_is_now() {
    bytes_that_changed_are_sent_again(85);
}

#[test]
fn a_stream_that_changed_before_its_clones_were_sent_is_backed_up_as_it_is_now() {
    bytes_that_changed_are_sent_again(20);
}

#[test]
fn an_outage_of_90_seconds_is_waited_for_and_told() {
    let server = S3Server::start();
    let relay = Relay::to(server.reach());
    let Some(host) = Host::on_s3_or_skip(&["data"], &relay.reach(server.reach()), "host") else {
        return;
    };
    host.dataset("data", 1).fill(60 * MIB);
    let mut backup = host.backup();
    let child = backup.args(["--retry-for", "5m"]).start();
    assert!(server.control().wait_for(Mark::Uploaded(20 * MIB), Duration::from_secs(60)));
    relay.down();
    sleep(Duration::from_secs(90));
    relay.up();
    backup.wait(child).ok().says("trying again in").says("event=backup_metrics");
    restores_equal(&host);
}

#[test]
fn a_full_spool_disk_is_an_error_with_a_remedy_and_the_next_run_goes_on() {
    let server = S3Server::start();
    let relay = Relay::to(server.reach());
    let Some(host) = Host::on_s3_or_skip(&["data"], &relay.reach(server.reach()), "host") else {
        return;
    };
    host.dataset("data", 1).fill(60 * MIB);
    let scratch = host.fs().outside().join("scratch");
    let mount = r#"mkdir "$SCRATCH" && mount -t tmpfs -o size=12m tmpfs "$SCRATCH""#;
    shell(mount).env("SCRATCH", &scratch).run().ok();
    // Slow enough for parts to pile up.
    relay.limit(2 * MIB);
    let spooling = |size: &str| {
        let mut backup = host.backup();
        backup.env("BTRFS_TO_S3_S3_SPOOL_ENABLED", "true");
        backup.env("BTRFS_TO_S3_GLOBAL_SPOOL_DIR", &scratch);
        backup.env("BTRFS_TO_S3_GLOBAL_SPOOL_SIZE_BYTES", size);
        backup.run()
    };
    let full = spooling("1GiB");
    relay.limit(u64::MAX);
    let well = spooling("10MiB");
    let left = std::fs::read_dir(&scratch).unwrap().count();
    shell(r#"umount "$SCRATCH""#).env("SCRATCH", &scratch).run().ok();
    full.expect_status(74).says("No space left on device").says("global.spool_size_bytes");
    well.ok().says("going on");
    assert_eq!(left, 0);
    restores_equal(&host);
}
