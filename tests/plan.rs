//! `bts-plan` as its callers meet it, on real Btrfs filesystems.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use bts::btrfs::{self, Error};
use bts::names::Kind;
use bts::record::{Action, ChainSummary, Current, Digest, ListEnd, Plan, Prune, Snapshot, to_line};
use bts_tests::Btrfs;
use bts_tests::program::{Command, Ran, shell};
use tempfile::TempDir;

/// A filesystem with subvolumes, a snapshot directory, a config, and what
/// `bts-manifest` would say of the archive.
struct Machine {
    fs: Btrfs,
    config: PathBuf,
}

impl Machine {
    fn or_skip(subvolumes: &[&str]) -> Option<Self> {
        let fs = Btrfs::or_skip()?;
        let paths: Vec<_> = subvolumes.iter().map(|name| fs.subvolume(name)).collect();
        fs::create_dir(fs.path().join("snapshots")).unwrap();
        let config = fs.outside().join("config.toml");
        let machine = Self { fs, config };
        machine.configure(&format!("[subvolumes]\npaths = {paths:?}\n"));
        Some(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fs.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.fs.outside().join("state/state.json")
    }

    fn configure(&self, rest: &str) {
        let (state, base_dir) = (self.state(), self.path("snapshots"));
        let text = format!(
            "[global]\nstate_path = {state:?}\n[snapshots]\nbase_dir = {base_dir:?}\n{rest}"
        );
        fs::write(&self.config, text).unwrap();
    }

    /// Runs `bts-plan` with these current records on stdin.
    fn plan(&self, arguments: &str, currents: &[Current]) -> Ran {
        let input = self.fs.outside().join("input");
        fs::write(&input, list(currents)).unwrap();
        shell(&format!("bts-plan -c \"$CONFIG\" {arguments} < \"$INPUT\""))
            .env("CONFIG", &self.config)
            .env("INPUT", &input)
            .run()
    }

    /// The only plan for these current records.
    fn only(&self, arguments: &str, currents: &[Current]) -> Plan {
        let ran = self.plan(arguments, currents).ok();
        let [plan] = records(&ran).try_into().expect("one plan");
        plan
    }

    /// Makes a snapshot of `data` as the wrapper would, and what `bts-manifest`
    /// would say once it is published.
    fn publish(&self, name: &str) -> Current {
        let path = self.fs.snapshot(&self.path("data"), format!("snapshots/{name}"));
        current(name, &path)
    }
}

fn current(name: &str, path: &Path) -> Current {
    let info = btrfs::info(path).unwrap();
    let created_at = name.split("__").nth(1).unwrap().parse().unwrap();
    let manifest_key = format!("subvol/data/full/{name}/manifest.json");
    Current {
        subvolume: "data".parse().unwrap(),
        manifest_sha256: Digest([7; 32]),
        kind: Kind::Full,
        created_at,
        snapshot: Snapshot {
            name: name.to_owned(),
            path: path.to_str().unwrap().to_owned(),
            uuid: Some(info.received_uuid.unwrap_or(info.uuid)),
            parent_uuid: None,
            ctransid: Some(info.ctransid),
            parent_ctransid: None,
        },
        chain: ChainSummary {
            length: 1,
            full_manifest_key: manifest_key.clone(),
            full_created_at: created_at,
            size: 1,
            missing: Vec::new(),
        },
        manifest_key,
    }
}

fn list(currents: &[Current]) -> String {
    let mut lines: Vec<_> = currents.iter().map(|current| to_line(current).unwrap()).collect();
    lines.push(to_line(&ListEnd { backups: currents.len() as u64 }).unwrap());
    lines.join("\n") + "\n"
}

fn records<T: serde::de::DeserializeOwned>(ran: &Ran) -> Vec<T> {
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn values(ran: &Ran) -> Vec<&str> {
    let text = ran.text();
    assert!(text.is_empty() || text.ends_with('\0'), "{text:?}");
    text.split_terminator('\0').collect()
}

fn sh(script: &str, path: &Path) {
    shell(script).env("P", path).run().ok();
}

const FIRST: &str = "data__20260101T020000Z__full";

#[test]
fn the_kernel_tells_what_a_snapshot_is() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let source = btrfs::info(&machine.path("data")).unwrap();
    assert!(!source.read_only);
    assert_eq!((source.received_uuid, source.parent_uuid), (None, None));
    let one = machine.fs.snapshot(&machine.path("data"), "snapshots/one");
    let two = machine.fs.snapshot(&machine.path("data"), "snapshots/two");
    let found = btrfs::snapshots_in(&machine.path("snapshots")).unwrap();
    let [first, second] = found.as_slice() else { panic!("two snapshots: {found:?}") };
    assert_eq!((first.name.as_str(), &first.path), ("one", &one));
    assert_eq!((second.name.as_str(), &second.path), ("two", &two));
    assert!(first.info.read_only && first.info.parent_uuid == Some(source.uuid));
    assert!(first.info.otransid <= second.info.otransid);
    let shown = shell("btrfs subvolume show \"$P\"").env("P", &one).run().ok();
    assert!(shown.text().contains(&first.info.uuid.to_string()), "{}", shown.text());
}

#[test]
fn a_received_snapshot_names_the_one_that_was_sent() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let sent = machine.fs.snapshot(&machine.path("data"), "snapshots/one");
    sh(
        "mkdir \"$P/back\" && btrfs -q send \"$P/snapshots/one\" | btrfs -q receive \"$P/back\"",
        &machine.fs.path(),
    );
    let (sent, back) =
        (btrfs::info(&sent).unwrap(), btrfs::info(&machine.path("back/one")).unwrap());
    assert_eq!(back.received_uuid, Some(sent.uuid));
    assert_eq!(back.stransid, sent.ctransid);
    assert!(back.read_only);
}

#[test]
fn what_is_no_subvolume_is_told_apart() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let missing = machine.path("none");
    assert!(matches!(btrfs::info(&missing), Err(Error::Missing(path)) if path == missing));
    let folder = machine.path("snapshots");
    assert!(matches!(btrfs::info(&folder), Err(Error::NotSubvolume(_))));
    assert!(matches!(btrfs::info(machine.fs.outside()), Err(Error::NotBtrfs(_))));
}

#[test]
fn a_filesystem_has_one_id_in_all_its_subvolumes() {
    let (Some(one), Some(other)) = (Machine::or_skip(&["data", "home"]), Btrfs::or_skip()) else {
        return;
    };
    let id = |path: &Path| btrfs::filesystem_id(path).unwrap();
    assert_eq!(id(&one.path("data")), id(&one.path("home")));
    assert_eq!(id(&one.path("data")), id(&one.path("snapshots")));
    assert_ne!(id(&one.path("data")), id(&other.path()));
}

#[test]
fn all_nested_subvolumes_are_found_however_many() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    // More than fit into one answer of the kernel's (255).
    sh(
        "cd \"$P\" && mkdir -p a/b && for n in $(seq 300); do echo a/b/$n; done |
         xargs -n 1 btrfs -q subvolume create && btrfs -q subvolume create a/b/7/deeper",
        &machine.path("data"),
    );
    let nested = btrfs::nested(&machine.path("data")).unwrap();
    assert_eq!(nested.len(), 301);
    for name in ["a/b/1", "a/b/300", "a/b/7/deeper"] {
        assert!(nested.contains(&machine.path("data").join(name)), "{name}");
    }
}

#[test]
fn the_first_plan_is_a_full_for_each_subvolume() {
    let Some(machine) = Machine::or_skip(&["data", "home"]) else { return };
    let ran = machine.plan("--now 2026-01-01T02:00:00Z", &[]).ok();
    let plans: Vec<Plan> = records(&ran);
    let names: Vec<_> = plans.iter().map(|plan| plan.subvolume.as_str()).collect();
    assert_eq!(names, ["data", "home"]);
    assert!(plans.iter().all(|plan| plan.action == Action::Full));
    let snapshot = plans[0].snapshot.as_ref().unwrap();
    assert_eq!(snapshot.path, machine.path("snapshots").join(FIRST).to_str().unwrap());
    let only: Vec<Plan> = records(&machine.plan("--subvolume home", &[]).ok());
    assert_eq!(only.len(), 1);
    assert_eq!(only[0].subvolume.as_str(), "home");
    assert!(!machine.state().exists(), "a plan changes nothing");
}

#[test]
fn the_parent_is_the_published_snapshot_while_it_is_what_it_was() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    fs::write(machine.path("data/file"), "one").unwrap();
    let current = [machine.publish(FIRST)];
    let due = "--now 2026-01-08T02:00:00Z";
    let plan = machine.only(due, &current);
    assert_eq!(plan.action, Action::Incremental, "{}", plan.reason);
    let parent = plan.parent.unwrap();
    assert_eq!(parent.name, FIRST);
    assert_eq!(Some(parent.uuid), current[0].snapshot.uuid);
    assert_eq!(machine.only("--now 2026-01-02T02:00:00Z", &current).action, Action::Skip);

    let snapshot = machine.path("snapshots").join(FIRST);
    sh("btrfs property set \"$P\" ro false", &snapshot);
    let plan = machine.only(due, &current);
    assert_eq!(plan.action, Action::Full);
    assert_eq!(plan.reason, format!("the last backup's snapshot {FIRST} has been made writable"));

    sh("echo two > \"$P/file\" && sync -f \"$P\" && btrfs property set \"$P\" ro true", &snapshot);
    let plan = machine.only(due, &current);
    let changed = format!("the last backup's snapshot {FIRST} has been changed since it was sent");
    assert_eq!((plan.action, plan.reason), (Action::Full, changed));

    sh("btrfs -q subvolume delete \"$P\"", &snapshot);
    let plan = machine.only(due, &current);
    let gone = format!("the last backup's snapshot {FIRST} is not there any more");
    assert_eq!((plan.action, plan.reason), (Action::Full, gone));
}

#[test]
fn after_a_restore_the_received_snapshot_is_the_parent() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let current = [machine.publish(FIRST)];
    sh(
        "cd \"$P\" && btrfs -q send -f stream snapshots/data__* &&
         btrfs -q subvolume delete snapshots/data__* && btrfs -q receive -f stream snapshots",
        &machine.fs.path(),
    );
    let plan = machine.only("--once", &current);
    assert_eq!(plan.action, Action::Incremental, "{}", plan.reason);
    let parent = plan.parent.unwrap();
    assert_eq!(Some(parent.uuid), current[0].snapshot.uuid);
    let next = machine.fs.snapshot(&machine.path("data"), "snapshots/next");
    let named = shell("btrfs -q send -p \"$PARENT\" \"$NEXT\" | btrfs receive --dump")
        .env("PARENT", &parent.path)
        .env("NEXT", next)
        .run()
        .ok();
    let uuid = format!("parent_uuid={}", parent.uuid);
    assert!(named.text().contains(&uuid), "{}", named.text());
}

#[test]
fn nested_subvolumes_are_named_until_they_are_accepted() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let nested = machine.fs.subvolume("data/vm");
    let ran = machine.plan("", &[]).ok().says(&format!(
        "data: no backup holds the subvolumes nested in it: {nested:?}; add them to \
         subvolumes.paths, or to accept_nested if that is meant"
    ));
    assert_eq!(records::<Plan>(&ran)[0].nested, [nested.to_str().unwrap()]);
    let data = machine.path("data");
    machine.configure(&format!("[subvolumes]\npaths = [{data:?}]\naccept_nested = [{nested:?}]\n"));
    let ran = machine.plan("", &[]).ok();
    assert_eq!(ran.stderr, "");
    assert!(records::<Plan>(&ran)[0].nested.is_empty());
}

#[test]
fn a_subvolume_that_was_received_is_refused_and_the_remedy_helps() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    machine.fs.snapshot(&machine.path("data"), "snapshots/data");
    sh(
        "cd \"$P\" && btrfs -q subvolume delete data &&
         btrfs -q send snapshots/data | btrfs -q receive .",
        &machine.fs.path(),
    );
    let data = machine.path("data");
    let says = format!("the subvolume {} carries the received UUID", data.display());
    machine.plan("", &[]).expect_status(78).says(&says);
    sh(
        "cd \"$P\" && btrfs -q subvolume snapshot data new && btrfs -q subvolume delete data && mv new data",
        &machine.fs.path(),
    );
    assert_eq!(machine.only("", &[]).action, Action::Full);
}

#[test]
fn a_machine_that_is_not_as_the_config_says_is_refused_in_one_line() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let Some(other) = Btrfs::or_skip() else { return };
    let data = machine.path("data");
    let refused = |config: &str, says: &str| {
        fs::write(&machine.config, config).unwrap();
        let ran = machine.plan("", &[]).expect_status(78).says(says);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    };
    let base_dir = machine.path("snapshots");
    let with = |path: &Path, base_dir: &Path| {
        format!("[snapshots]\nbase_dir = {base_dir:?}\n[subvolumes]\npaths = [{path:?}]\n")
    };
    refused(&with(&machine.path("none"), &base_dir), "subvolumes.paths: ");
    refused(&with(&machine.path("none"), &base_dir), "none does not exist");
    refused(&with(&base_dir, &base_dir), "snapshots is not a subvolume");
    let elsewhere = machine.fs.outside();
    refused(&with(elsewhere, &base_dir), "is not on a Btrfs filesystem");
    refused(&with(&data, elsewhere), "snapshots.base_dir: ");
    refused(&with(&data, &machine.path("none")), "none does not exist");
    refused(&with(&data, &other.path()), "are on different filesystems");
    refused(&format!("[subvolumes]\npaths = [{data:?}]\n"), "snapshots.base_dir is not set");
    refused("", "subvolumes.paths names no subvolume");
}

#[test]
fn settling_remembers_and_names_what_may_go() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    for day in 1..=3 {
        machine.publish(&format!("data__2026010{day}T020000Z__inc"));
    }
    machine.fs.snapshot(&machine.path("data"), "snapshots/by-hand");
    let published = [machine.publish("data__20260104T020000Z__inc")];
    let ran = machine.plan("--settle", &published).ok();
    let names: Vec<_> =
        records::<Prune>(&ran).into_iter().map(|prune| prune.snapshot.name).collect();
    assert_eq!(names, ["data__20260102T020000Z__inc", "data__20260101T020000Z__inc"]);
    let ran = machine.plan("--settle --print0 snapshot", &published).ok();
    let snapshots = machine.path("snapshots");
    assert_eq!(values(&ran)[0], snapshots.join(&names[0]).to_str().unwrap());
    assert!(snapshots.join(&names[0]).exists(), "naming is not deleting");

    let state = fs::read_to_string(machine.state()).unwrap();
    assert!(state.contains(&published[0].manifest_key), "{state}");
    machine.plan("", &[]).expect_status(65).says("--new-archive");
    machine.plan("--new-archive", &[]).ok();
    let mut changed = published.clone();
    changed[0].manifest_sha256 = Digest([8; 32]);
    machine.plan("", &changed).expect_status(65).says("is not the one that was published");
    fs::write(machine.state(), "torn").unwrap();
    machine.plan("", &[]).ok().says("state");
}

#[test]
fn values_for_a_shell_come_in_the_order_asked_for() {
    let Some(machine) = Machine::or_skip(&["data"]) else { return };
    let current = [machine.publish(FIRST)];
    let ran = machine.plan(
        "--once --now 2026-01-02T02:00:00Z --print0 name,action,snapshot,parent,backup,path,record",
        &current,
    );
    let ran = ran.ok();
    let [name, action, snapshot, parent, backup, path, record] = values(&ran)[..] else {
        panic!("seven values: {:?}", ran.text());
    };
    let snapshots = machine.path("snapshots");
    assert_eq!((name, action), ("data", "incremental"));
    let expected = snapshots.join("data__20260102T020000Z__inc");
    assert_eq!(
        (snapshot, parent),
        (expected.to_str().unwrap(), snapshots.join(FIRST).to_str().unwrap())
    );
    assert!(backup.starts_with("subvol/data/incremental/20260102T020000Z-"), "{backup}");
    assert_eq!(path, machine.path("data").to_str().unwrap());
    let plan: Plan = serde_json::from_str(record).unwrap();
    assert_eq!(plan.backup.unwrap().to_string(), backup);
    let ran = machine.plan("--print0 snapshot,parent,backup --now 2026-01-02T02:00:00Z", &current);
    assert_eq!(ran.ok().text(), "\0\0\0", "a skip has none of these");
}

/// A config in a folder of its own, for what needs no Btrfs.
fn config(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn bts_plan(config: &Path, arguments: &[&str]) -> Ran {
    Command::new("bts-plan").arg("-c").arg(config).args(arguments).run()
}

#[test]
fn settings_are_printed_without_any_input() {
    let (_dir, path) = config(
        "[global]\nlock_path = \"/run/x y.lock\"\nstore = \"file:///srv/archive\"\n\
         [snapshots]\nbase_dir = \"/srv/snapshots\"",
    );
    let ran = bts_plan(&path, &["--settings", "--print0", "lock,state,base_dir,store"]).ok();
    assert_eq!(
        values(&ran),
        [
            "/run/x y.lock",
            "/var/lib/btrfs-to-s3/state.json",
            "/srv/snapshots",
            "file:///srv/archive"
        ]
    );
    let (_dir, empty) = config("");
    let ran = bts_plan(&empty, &["--settings", "--print0", "base_dir"]).ok();
    assert_eq!(ran.text(), "\0");
    bts_plan(&empty, &["--settings", "--print0", "store"]).expect_status(78).says("no store");
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    let (_dir, path) = config("[subvolumes]\npaths = [\"/srv/data\"]");
    let usage = |arguments: &[&str]| bts_plan(&path, arguments).expect_status(64);
    usage(&["--print0", "nam"]).says("here it takes name, action, reason, path, snapshot");
    usage(&["--settle", "--print0", "action"]).says("here it takes name, snapshot, reason");
    usage(&["--settings", "--print0", "x"]).says("here it takes lock, state, base_dir, store");
    usage(&["--settings"]).says("--print0");
    usage(&["--settle", "--once"]).says("cannot be used with");
    usage(&["--now", "soon"]).says("write a time like 2026-01-17, ");
    usage(&["--subvolume", "a/b"]).says("is not a subvolume's name");
    let input = list(&[]);
    let ran = shell("printf %s \"$INPUT\" | bts-plan -c \"$CONFIG\" --subvolume dta")
        .env("INPUT", input)
        .env("CONFIG", &path)
        .run();
    ran.expect_status(64).says("no subvolume is called dta: the config has data");
}

#[test]
fn an_input_without_its_end_is_refused() {
    let (_dir, path) = config("[subvolumes]\npaths = [\"/srv/data\"]");
    let ran = bts_plan(&path, &[]).expect_status(65).says("no end record");
    assert!(ran.text().contains("\"type\":\"error\""), "{}", ran.text());
    assert_eq!(bts_plan(&path, &["--print0", "name"]).expect_status(65).text(), "");
    bts_plan(&path, &["--settle"]).expect_status(65).says("no end record");
}

#[test]
fn an_earlier_stages_failure_is_handed_on_without_a_word() {
    let (_dir, path) = config("[subvolumes]\npaths = [\"/srv/data\"]");
    let ran = shell("echo \"$ERROR\" | bts-plan -c \"$CONFIG\"")
        .env("CONFIG", &path)
        .env("ERROR", r#"{"type":"error","program":"bts-manifest","status":69,"code":"unavailable","message":"m"}"#)
        .run()
        .expect_status(69);
    assert_eq!(ran.stderr, "");
    assert!(ran.text().contains("\"program\":\"bts-manifest\""), "{}", ran.text());
}

#[test]
fn a_config_mistake_is_one_line_and_78() {
    let (_dir, path) = config("[s3]\nbuckt = \"b\"");
    let ran = bts_plan(&path, &[]).expect_status(78);
    let expected = format!(
        "bts-plan: error: {}, line 2: unknown key s3.buckt: did you mean bucket?\n",
        path.display()
    );
    assert_eq!(ran.stderr, expected);
}
