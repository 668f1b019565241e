//! `RESTORE.txt`, followed to the letter by a machine that has none of our
//! programs: by `aws` and `cp`, on real Btrfs.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use bts_tests::program::{Command, Ran};
use bts_tests::s3::{Moto, Op, Reach, S3Server};
use bts_tests::{Btrfs, Host, assert_same};

const MIB: u64 = 1 << 20;

/// A full of several chunks, and two incrementals.
fn chain_of_three(host: &Host) {
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    sleep(Duration::from_millis(1100));
    host.dataset("data", 2).change();
    host.backup().arg("--once").run().ok().says("kind=incremental");
    sleep(Duration::from_millis(1100));
    fs::write(host.path("data/one more"), "word").unwrap();
    host.backup().arg("--once").run().ok().says("kind=incremental");
}

/// Another machine: a filesystem, and a place for the text.
struct Machine {
    fs: Btrfs,
    environment: Vec<(&'static str, String)>,
}

impl Machine {
    fn or_skip(environment: Vec<(&'static str, String)>) -> Option<Self> {
        Some(Self { fs: Btrfs::or_skip()?, environment })
    }

    fn for_bucket(reach: &Reach) -> Option<Self> {
        let mut environment = reach.environment();
        environment.push(("AWS_DEFAULT_REGION", reach.region.clone().unwrap()));
        environment.push(("AWS_EC2_METADATA_DISABLED", "true".into()));
        Self::or_skip(environment)
    }

    fn work(&self) -> PathBuf {
        let work = self.fs.outside().join("work");
        fs::create_dir_all(&work).unwrap();
        work
    }

    fn target(&self) -> PathBuf {
        self.fs.path().join("back again")
    }

    /// Runs the text as it is, with the names set that it asks for, and a PATH on
    /// which none of our programs are.
    fn follow(&self, text: &[u8]) -> Ran {
        let path = self.fs.outside().join("RESTORE.txt");
        fs::write(&path, text).unwrap();
        let mut command = Command::new("bash");
        command.env("PATH", std::env::var_os("PATH").unwrap()).env_remove("BTS_BIN_DIR");
        command.arg(path).envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.env("target", self.target()).env("work", self.work()).env("pause", "0").run()
    }

    /// Whether what came back is the newest snapshot, and nothing else is left.
    fn restored(&self, host: &Host) {
        let snapshot = host.newest("data");
        assert_same(&snapshot, &self.target());
        let staging = self.fs.path().join("back again.staging");
        assert_same(&snapshot, &staging.join(snapshot.file_name().unwrap()));
        assert_eq!(fs::read_dir(self.work()).unwrap().count(), 0, "no chunk is left");
    }
}

/// The text beside the manifest of the newest backup, and its key.
fn beside_the_newest(host: &Host) -> String {
    host.chain("data").pop().unwrap().replace("manifest.json", "RESTORE.txt")
}

#[test]
fn followed_with_aws_it_brings_a_chain_back_from_a_server_that_checks_signatures() {
    let server = S3Server::start();
    let prefix = "it's a \"prefix\" $HOME";
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), prefix) else { return };
    let Some(machine) = Machine::for_bucket(server.reach()) else { return };
    chain_of_three(&host);
    let text = fs::read(server.bucket_dir().join(beside_the_newest(&host))).unwrap();
    machine.follow(&text).ok();
    machine.restored(&host);
}

#[test]
fn followed_with_cp_it_brings_a_chain_back_from_a_directory() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let Some(machine) = Machine::or_skip(Vec::new()) else { return };
    chain_of_three(&host);
    let text = fs::read(host.archive().join(beside_the_newest(&host))).unwrap();
    machine.follow(&text).ok();
    machine.restored(&host);
    machine.follow(&text).expect_status(1).says("exists");
}

#[test]
fn a_chunk_with_a_wrong_byte_stops_it_and_never_reaches_receive() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let Some(machine) = Machine::or_skip(Vec::new()) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    let at = host.archive().join(beside_the_newest(&host));
    let chunk = at.with_file_name("chunks").join("part-00001.bin");
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[5000] ^= 1;
    fs::write(&chunk, bytes).unwrap();
    let ran = machine.follow(&fs::read(at).unwrap());
    assert_ne!(ran.status(), 0);
    ran.says("restore-chunks").says("FAILED");
    assert!(!machine.target().exists());
    assert_eq!(fs::read_dir(machine.work()).unwrap().count(), 0, "no chunk is left");
}

#[test]
fn a_chunk_that_is_gone_stops_it_before_anything_is_downloaded() {
    let server = S3Server::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], server.reach(), "host") else { return };
    let Some(machine) = Machine::for_bucket(server.reach()) else { return };
    host.dataset("data", 1).fill(20 * MIB);
    host.backup().run().ok();
    let at = server.bucket_dir().join(beside_the_newest(&host));
    let text = fs::read(&at).unwrap();
    fs::remove_file(at.with_file_name("chunks").join("part-00002.bin")).unwrap();
    let before = server.control().count(Op::GetObject).requests;
    let ran = machine.follow(&text);
    assert_ne!(ran.status(), 0);
    ran.says("404");
    assert_eq!(server.control().count(Op::GetObject).requests, before);
    assert!(!machine.fs.path().join("back again.staging").exists());
}

#[test]
fn what_lies_in_an_archive_class_is_thawed_and_waited_for() {
    let moto = Moto::start();
    let Some(host) = Host::on_s3_or_skip(&["data"], moto.reach(), "host") else { return };
    let Some(machine) = Machine::for_bucket(moto.reach()) else { return };
    let host = host.with_env("BTRFS_TO_S3_S3_STORAGE_CLASS_CHUNKS", "DEEP_ARCHIVE");
    host.dataset("data", 1).fill(10 * MIB);
    host.backup().run().ok();
    let transition = r#"{"model_name": "s3::keyrestore",
        "transition": {"progression": "manual", "times": 2}}"#;
    moto.request("POST", "/moto-api/state-manager/set-transition", transition);

    let text = get(&machine, &beside_the_newest(&host));
    machine.follow(&text).ok();
    machine.restored(&host);
}

/// An object, as `aws` fetches it.
fn get(machine: &Machine, key: &str) -> Vec<u8> {
    let path = machine.fs.outside().join("fetched");
    let mut command = Command::new("aws");
    command.envs(machine.environment.iter().map(|(name, value)| (*name, value)));
    command.args(["s3", "cp", "--only-show-errors", &format!("s3://archive/{key}")]);
    command.arg(&path).run().ok();
    fs::read(path).unwrap()
}

#[test]
fn each_backup_has_one_of_its_own_that_the_linter_of_our_scripts_takes() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    chain_of_three(&host);
    for (at, key) in host.chain("data").iter().enumerate() {
        let path = host.archive().join(key.replace("manifest.json", "RESTORE.txt"));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("\nbackup_").count(), at + 1, "{text}");
        bash_takes(&path);
    }
}

fn bash_takes(path: &Path) {
    let mut command = Command::new("shellcheck");
    command.args(["--shell=bash", "--severity=warning"]).arg(path).run().ok();
}
