//! The wrapper and the programs on real Btrfs, with an archive on S3 servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::thread::sleep;
use std::time::Duration;

use bts::store::Key;
use bts_tests::s3::{Moto, Options, Reach, S3Server};
use bts_tests::{Host, assert_same};

const MIB: u64 = 1 << 20;

/// Full, incremental, restore, compare.
fn round_trip(host: &Host, bulk: u64) {
    host.dataset("data", 1).fill(bulk);
    host.backup().run().ok().says("kind=full");
    sleep(Duration::from_millis(1100));
    host.dataset("data", 2).change();
    host.backup().arg("--once").run().ok().says("kind=incremental");
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn three_hundred_mebibytes_survive_a_server_that_checks_signatures() {
    let server = S3Server::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "host") else { return };
    round_trip(&host, 310 * MIB);
    let manifest =
        host.program("bts-manifest", &["show", "--manifest-key", &host.chain("data")[0]]);
    let chunks = manifest.ok().text().matches("/chunks/part-").count();
    assert!(chunks > 38, "{chunks} chunks of 8 MiB");
}

#[test]
fn odd_prefixes_survive_signing() {
    let server = S3Server::start();
    let prefix = "a b/ödd 'q\" %41+/~(x)!*";
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), prefix) else { return };
    round_trip(&host, MIB);
    assert!(server.bucket_dir().join(prefix).join("subvol/data/current.json").exists());
}

#[test]
fn an_archive_is_reached_over_https_with_an_authority_of_ones_own() {
    let server = S3Server::with(Options { https: true, ..Options::default() });
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "") else { return };
    round_trip(&host, 20 * MIB);
}

#[test]
fn chunks_go_into_the_archive_class_and_manifests_do_not() {
    let moto = Moto::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], moto.reach(), "host") else { return };
    host.dataset("data", 1).fill(10 * MIB);
    host.backup().env("BTRFS_TO_S3_S3_STORAGE_CLASS_CHUNKS", "DEEP_ARCHIVE").run().ok();

    let manifest = &host.chain("data")[0];
    let shown = host.program("bts-manifest", &["show", "--manifest-key", manifest]).ok();
    assert!(shown.text().contains("DEEP_ARCHIVE"), "{}", shown.text());
    let chunk = manifest.replace("manifest.json", "chunks/part-00000.bin");
    assert_eq!(storage_class(moto.reach(), &chunk), "DEEP_ARCHIVE");
    assert_eq!(storage_class(moto.reach(), manifest), "STANDARD");
    assert_eq!(storage_class(moto.reach(), "host/subvol/data/current.json"), "STANDARD");
}

fn storage_class(reach: &Reach, key: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let key: Key = key.parse().unwrap();
    runtime.block_on(async {
        let archive = reach.open().await.unwrap();
        archive.store.head(&key).await.unwrap().expect("the object exists").storage_class
    })
}

#[test]
fn a_store_that_refuses_ends_the_run_with_77_and_its_own_words() {
    let server = S3Server::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "host") else { return };
    let ran = host.backup().env("AWS_SECRET_ACCESS_KEY", "wrong").run();
    ran.expect_status(77).says("SignatureDoesNotMatch");
    assert!(host.snapshots("data").is_empty());
    let ran = host.backup().args(["--store", "s3://no-such-bucket/host"]).run();
    ran.expect_status(77).says("NoSuchBucket");
}

#[test]
fn a_store_that_does_not_answer_ends_the_run_with_69() {
    let server = S3Server::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "host") else { return };
    drop(server);
    let ran = host.backup().args(["--retry-for", "2s"]).run();
    ran.expect_status(69);
    assert!(host.snapshots("data").is_empty());
}
