//! Backups in an archive class: asked for, waited for, restored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::thread::sleep;
use std::time::Duration;

use bts::exit::{HasStatus, Status};
use bts::store::{Archived, ErrorKind, Key, Meta, PutOptions, Thaw, ThawRequest, Tier, Vault};
use bts::time::Time;
use bts_tests::program::{Command, shell};
use bts_tests::s3::{Fault, Moto, Op, Reach, Refusal, Rule, S3Server};
use bts_tests::{Host, assert_same};

const MIB: u64 = 1 << 20;

/// More looks than any test takes.
const NEVER: u32 = 1_000_000;

/// Lets every thaw be ready after this many looks. (It has to begin first, after
/// as many; a server that was told so calls it ready until then.)
fn slow(moto: &Moto, looks: u32) {
    let transition = format!(
        "{{\"model_name\":\"s3::keyrestore\",\
          \"transition\":{{\"progression\":\"manual\",\"times\":{looks}}}}}"
    );
    moto.request("POST", "/moto-api/state-manager/set-transition", &transition);
}

/// A machine whose full and incremental lie in DEEP_ARCHIVE.
fn frozen(moto: &Moto) -> Option<Host> {
    let host = Host::on_s3_or_skip(&["data"], moto.reach(), "host")?
        .with_env("BTRFS_TO_S3_S3_STORAGE_CLASS_CHUNKS", "DEEP_ARCHIVE");
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok().says("kind=full");
    sleep(Duration::from_millis(1100));
    host.dataset("data", 2).change();
    host.backup().arg("--once").run().ok().says("kind=incremental");
    Some(host)
}

/// `bts-manifest chain | bts-get`, with these arguments for the latter.
fn get(host: &Host, arguments: &str) -> Command {
    let script = format!(
        "bts-manifest chain --config \"$1\" --subvolume data |
             bts-get --config \"$1\" {arguments}"
    );
    host.command(shell(&script))
}

/// What the store shows of an object.
fn head(reach: &Reach, key: &str) -> Meta {
    let key: Key = key.parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = reach.open().await.unwrap().store;
        store.head(&key).await.unwrap().expect("the object exists")
    })
}

fn first_chunk(host: &Host) -> String {
    host.chain("data")[0].replace("manifest.json", "chunks/part-00000.bin")
}

#[test]
fn a_chain_in_the_archive_is_thawed_waited_for_and_restored() {
    let moto = Moto::start();
    slow(&moto, 3);
    let Some(host) = frozen(&moto) else { return };
    let ran = get(&host, "--poll 100ms").run().ok();
    let ran = ran.says("must thaw").says("DEEP_ARCHIVE with tier Standard").says("are ready");
    assert!(ran.stdout.len() as u64 > 20 * MIB, "{} bytes", ran.stdout.len());
    // Now that it is thawed, nobody waits.
    let again = get(&host, "--no-wait").run().ok();
    assert!(again.stdout == ran.stdout, "the same bytes come out");
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn without_waiting_it_exits_75_and_a_later_run_goes_on() {
    let moto = Moto::start();
    slow(&moto, 2);
    let Some(host) = frozen(&moto) else { return };
    let ran = get(&host, "--no-wait --thaw-only").run().expect_status(75);
    slow(&moto, NEVER);
    ran.says("asked for").says("within 12 hours").says("run this again");
    let asked = head(moto.reach(), &first_chunk(&host)).archived.unwrap();
    assert_eq!((asked.vault, asked.thaw), (Vault::DeepArchive, Thaw::Thawing));
    get(&host, "--no-wait").run().expect_status(75);
    slow(&moto, 2);
    let ran = get(&host, "--thaw-only --days 5 --poll 100ms").run().ok();
    assert!(ran.stdout.is_empty(), "--thaw-only writes nothing");
    let Thaw::Ready { until: Some(until) } =
        head(moto.reach(), &first_chunk(&host)).archived.unwrap().thaw
    else {
        panic!("it is not ready")
    };
    let days = until.timestamp().duration_since(Time::now().timestamp()).as_hours() / 24;
    assert!((13..=14).contains(&days), "the first request named the days: {days}");
    assert!(!get(&host, "--no-wait").run().ok().stdout.is_empty());
}

#[test]
fn patience_that_is_over_exits_75_and_writes_nothing() {
    let moto = Moto::start();
    slow(&moto, 2);
    let Some(host) = frozen(&moto) else { return };
    get(&host, "--no-wait").run().expect_status(75);
    slow(&moto, NEVER);
    let ran = get(&host, "--timeout 1s --poll 200ms").run().expect_status(75);
    assert!(ran.stdout.is_empty());
    ran.says("are not thawed yet");
    let mut ran = get(&host, "");
    ran.env("BTRFS_TO_S3_RESTORE_RESTORE_TIMEOUT_SECONDS", "1").run().expect_status(75);
    let mut ran = get(&host, "");
    ran.env("BTRFS_TO_S3_RESTORE_WAIT_FOR_RESTORE", "false").run().expect_status(75);
    let mut ran = get(&host, "--wait --timeout 0s");
    ran.env("BTRFS_TO_S3_RESTORE_WAIT_FOR_RESTORE", "false").run().expect_status(75);
}

#[test]
fn the_wrapper_keeps_to_the_restore_section() {
    let moto = Moto::start();
    let Some(host) = frozen(&moto) else { return };
    slow(&moto, 2);
    host.configure("[restore]\nwait_for_restore = false\nrestore_days = 30\n");
    let ran = host.restore("data", "restored").run().expect_status(75);
    ran.says("are not thawed yet");
    assert!(!host.path("restored").exists());
    host.configure("[restore]\nwait_for_restore = true\n");
    let transition = "{\"model_name\":\"s3::keyrestore\",\
                       \"transition\":{\"progression\":\"immediate\"}}";
    moto.request("POST", "/moto-api/state-manager/set-transition", transition);
    host.restore("data", "restored").run().ok();
    assert_same(&host.newest("data"), &host.path("restored"));
}

#[test]
fn a_dry_run_says_what_it_would_take_and_asks_for_nothing() {
    let moto = Moto::start();
    let Some(host) = frozen(&moto) else { return };
    let ran = get(&host, "--dry-run --tier bulk").run().ok().says("within 48 hours");
    let lines: Vec<serde_json::Value> =
        ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [plan, end] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&plan["type"], &plan["storage_class"]), (&"thaw".into(), &"DEEP_ARCHIVE".into()));
    assert!(plan["objects"].as_u64() > Some(2), "{plan}");
    assert_eq!(plan["frozen"], plan["objects"]);
    assert_eq!(plan["wait_seconds"], 172_800);
    assert_eq!((&end["type"], &end["frozen"]), (&"end".into(), &plan["objects"]));
    let seen = head(moto.reach(), &first_chunk(&host)).archived.unwrap();
    assert_eq!(seen.thaw, Thaw::Frozen);
}

#[test]
fn deep_archive_has_no_expedited_and_says_so_before_asking() {
    let moto = Moto::start();
    let Some(host) = frozen(&moto) else { return };
    for dry_run in ["", "--dry-run"] {
        let ran = get(&host, &format!("--tier Expedited {dry_run}")).run().expect_status(64);
        ran.says("DEEP_ARCHIVE, which has no tier Expedited: nothing was asked for");
    }
    let mut ran = get(&host, "");
    ran.env("BTRFS_TO_S3_RESTORE_RESTORE_TIER", "Expedited").run().expect_status(78);
    let seen = head(moto.reach(), &first_chunk(&host)).archived.unwrap();
    assert_eq!(seen.thaw, Thaw::Frozen);
}

#[tokio::test]
async fn a_thaw_is_asked_for_as_the_server_reads_it() {
    let moto = Moto::start();
    let store = moto.reach().open().await.unwrap().store;
    for (class, vault) in [("GLACIER", Vault::Glacier), ("DEEP_ARCHIVE", Vault::DeepArchive)] {
        let key: Key = format!("odd 'key' {class} ü").parse().unwrap();
        let options = PutOptions { storage_class: Some(class.to_owned()), ..PutOptions::default() };
        store.put(&key, "ice".into(), &options).await.unwrap();
        let seen = store.head(&key).await.unwrap().unwrap().archived;
        assert_eq!(seen, Some(Archived { vault, thaw: Thaw::Frozen }));
        assert_eq!(store.get(&key, None).await.unwrap_err().kind, ErrorKind::Archived);
        let mut before = None;
        // 202 for the first, 200 for the second: the copy stays longer.
        for days in [3, 9] {
            let request = ThawRequest { days: Some(days), tier: Tier::Bulk };
            store.thaw(&key, &request).await.unwrap();
            let seen = store.head(&key).await.unwrap().unwrap().archived.unwrap();
            let Thaw::Ready { until: Some(until) } = seen.thaw else { panic!("{seen:?}") };
            assert!(before < Some(until), "{before:?}, {until:?}");
            before = Some(until);
        }
        store.get(&key, None).await.unwrap();
    }
    let warm: Key = "warm".parse().unwrap();
    store.put(&warm, "tea".into(), &PutOptions::default()).await.unwrap();
    let request = ThawRequest { days: Some(1), tier: Tier::Standard };
    let error = store.thaw(&warm, &request).await.unwrap_err();
    assert_eq!((error.kind, error.status()), (ErrorKind::Refused, Status::Refused), "{error}");
}

#[tokio::test]
async fn refusals_of_a_thaw_are_told_apart() {
    let server = S3Server::start();
    let store = server.reach().open().await.unwrap().store;
    let key: Key = "key".parse().unwrap();
    let thaw = async |refusal| {
        server.control().heal();
        server.control().inject(Rule::of(Op::RestoreObject, Fault::Refuse(refusal)));
        let before = server.control().count(Op::RestoreObject).requests;
        let request = ThawRequest { days: Some(14), tier: Tier::Expedited };
        let done = store.thaw(&key, &request).await;
        (done, server.control().count(Op::RestoreObject).requests - before)
    };
    let (done, requests) = thaw(Refusal(409, "RestoreAlreadyInProgress")).await;
    assert_eq!((done, requests), (Ok(()), 1), "a kind of yes");
    let (done, requests) = thaw(Refusal(503, "GlacierExpeditedRetrievalNotAvailable")).await;
    let error = done.unwrap_err();
    assert_eq!((error.kind, requests), (ErrorKind::Unavailable, 1), "not at once again");
    assert!(error.cause.contains("tier Standard"), "{error}");
    let (done, _) = thaw(Refusal(403, "AccessDenied")).await;
    let error = done.unwrap_err();
    assert!(error.cause.contains("s3:RestoreObject"), "{error}");
    // Asked again, the server says that it knows no thaw.
    let (done, requests) = thaw(Refusal::SLOW_DOWN).await;
    assert_eq!((done.unwrap_err().kind, requests), (ErrorKind::Unsupported, 2));
}

#[test]
fn what_is_not_archived_is_fetched_without_a_word() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    host.dataset("data", 1).fill(MIB);
    host.backup().run().ok();
    let ran = get(&host, "--no-wait").run().ok();
    assert!(!ran.stderr.contains("thaw"), "{}", ran.stderr);
    let said = get(&host, "--dry-run").run().ok();
    assert!(said.text().contains("\"frozen\":0") && said.text().contains("\"tier\":null"));
}
