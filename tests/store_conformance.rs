//! Every store against the promises of `bts::store::Store`.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::Arc;

use bts::store::dir::DirStore;
use bts::store::s3::ConditionalWrites;
use bts_tests::conformance::{Lacks, check};
use bts_tests::s3::{Checks, Moto, Options, Reach, S3Server};

async fn check_server(reach: &Reach, lacks: Lacks) {
    let archive = reach.open().await.unwrap();
    check(Arc::clone(&archive.store), &archive.prefix(), lacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let lacks = Lacks { metadata: true, ..Lacks::default() };
    check(Arc::new(DirStore::new(folder.path())), "", lacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_checks_crc32_keeps_the_promises() {
    let server = S3Server::start();
    let reach = Reach { prefix: "pre fix/+%é".to_owned(), ..server.reach().clone() };
    check_server(&reach, Lacks::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_checks_md5_alone_keeps_the_promises() {
    let server = S3Server::with(Options { checks: Checks::Md5, ..Options::default() });
    check_server(server.reach(), Lacks::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_conditional_writes_keeps_the_promises() {
    let server = S3Server::start();
    let reach = server.reach();
    let mut settings = reach.settings();
    settings.conditional_writes = ConditionalWrites::Off;
    let archive = reach.open_with(&settings).await.unwrap();
    assert!(!archive.store.conditional().await.unwrap());
    check(archive.store, "", Lacks::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_promises() {
    let moto = Moto::start();
    // moto handles requests in threads without a lock, and computes a checksum
    // of its own instead of comparing ours.
    let lacks =
        Lacks { atomic_conditions: true, checks: true, unknown_uploads: true, ..Lacks::default() };
    check_server(moto.reach(), lacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_of_the_environment_keeps_the_promises() {
    match Reach::from_env() {
        Some(reach) => check_server(&reach, Lacks::default()).await,
        None => eprintln!("skipped: BTRFS_TO_S3_TEST_STORE is not set"),
    }
}

/// The certificate authority is OpenSSL's to read, from the environment of a
/// process: this one runs itself once more, with [`CHILD`] set.
#[test]
fn a_server_over_https_keeps_the_promises() {
    let server = S3Server::with(Options { https: true, ..Options::default() });
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "https_in_a_child", "--nocapture"])
        .envs(server.reach().environment())
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const CHILD: &str = "BTS_TEST_HTTPS_CHILD";

#[tokio::test(flavor = "multi_thread")]
async fn https_in_a_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let reach = Reach {
        endpoint: std::env::var("AWS_ENDPOINT_URL_S3").ok(),
        region: std::env::var("AWS_REGION").ok(),
        bucket: bts_tests::s3::BUCKET.to_owned(),
        prefix: "over https".to_owned(),
        keys: None,
        ca: None,
    };
    check_server(&reach, Lacks::default()).await;
}
