//! A machine as the wrapper finds it: a filesystem with subvolumes, a config
//! and a place for the archive.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::program::{Command, Ran, bin_dir, wrapper};
use crate::s3::Reach;
use crate::{Btrfs, Dataset};

/// The machine; gone when this is dropped.
#[derive(Debug)]
pub struct Host {
    fs: Btrfs,
    store: String,
    subvolumes: Vec<PathBuf>,
    environment: Vec<(&'static str, String)>,
}

impl Host {
    /// A machine with these subvolumes, empty, and an archive in a directory;
    /// `None` where there can be no Btrfs.
    pub fn or_skip(subvolumes: &[&str]) -> Option<Self> {
        let fs = Btrfs::or_skip()?;
        let archive = fs.outside().join("archive");
        fs::create_dir(&archive).unwrap();
        let store = format!("store = {}", quoted(&format!("file://{}", archive.display())));
        Some(Self::with(fs, subvolumes, format!("[global]\n{store}\n[s3]\n"), Vec::new()))
    }

    /// The same with an archive in a bucket, below `prefix`.
    pub fn on_s3_or_skip(subvolumes: &[&str], reach: &Reach, prefix: &str) -> Option<Self> {
        let store = format!(
            "[global]\n[s3]\nbucket = {}\nregion = {}\nprefix = {}\n",
            quoted(&reach.bucket),
            quoted(reach.region.as_deref().unwrap()),
            quoted(prefix)
        );
        Some(Self::with(Btrfs::or_skip()?, subvolumes, store, reach.environment()))
    }

    fn with(
        fs: Btrfs,
        subvolumes: &[&str],
        store: String,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        fs::create_dir(fs.path().join("snapshots")).unwrap();
        let subvolumes = subvolumes.iter().map(|name| fs.subvolume(name)).collect();
        let host = Self { fs, store, subvolumes, environment };
        host.configure("");
        host
    }

    /// Uses the archive of another machine from now on.
    pub fn share_archive(&mut self, other: &Self) {
        self.store.clone_from(&other.store);
        self.configure("");
    }

    /// Writes the config: chunks of 8 MiB, and these lines for `[snapshots]` and
    /// what follows.
    pub fn configure(&self, more: &str) {
        let outside = self.fs.outside();
        let paths: Vec<_> = self.subvolumes.iter().map(|path| quoted_path(path)).collect();
        let global = format!(
            "[global]\nstate_path = {}\nlock_path = {}\n",
            quoted_path(&outside.join("state.json")),
            quoted_path(&self.lock()),
        );
        let config = self.store.replace("[global]\n", &global)
            + "chunk_size_bytes = 8388608\nstorage_class_chunks = \"STANDARD\"\n"
            + &format!("[subvolumes]\npaths = [{}]\n", paths.join(", "))
            + &format!("names = {{ {} }}\n", self.names().join(", "))
            + &format!("[snapshots]\nbase_dir = {}\n", quoted_path(&self.snapshot_dir()))
            + more;
        fs::write(self.config(), config).unwrap();
    }

    /// A name for each subvolume whose path makes none.
    fn names(&self) -> Vec<String> {
        let odd = |name: &str| name.chars().any(|c| !c.is_ascii_alphanumeric());
        let mut names = Vec::new();
        for (number, path) in self.subvolumes.iter().enumerate() {
            if odd(path.file_name().unwrap().to_str().unwrap()) {
                names.push(format!("{} = \"odd{number}\"", quoted_path(path)));
            }
        }
        names
    }

    /// The same with a variable more in the environment of its programs.
    pub fn with_env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The filesystem.
    pub fn fs(&self) -> &Btrfs {
        &self.fs
    }

    /// The path of a subvolume.
    pub fn path(&self, name: &str) -> PathBuf {
        self.fs.path().join(name)
    }

    /// Files for a subvolume; see [`Dataset::new`].
    pub fn dataset(&self, name: &str, seed: u64) -> Dataset {
        Dataset::new(&self.path(name), seed)
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.fs.outside().join("config.toml")
    }

    /// The lock file.
    pub fn lock(&self) -> PathBuf {
        self.fs.outside().join("lock")
    }

    /// The archive's directory, where it is one.
    pub fn archive(&self) -> PathBuf {
        self.fs.outside().join("archive")
    }

    fn snapshot_dir(&self) -> PathBuf {
        self.fs.path().join("snapshots")
    }

    /// The snapshots that the wrapper made of a subvolume, in the order of their
    /// names: that of their times.
    pub fn snapshots(&self, name: &str) -> Vec<PathBuf> {
        let names = self.fs.names("snapshots").into_iter();
        let ours = names.filter(|snapshot| snapshot.starts_with(&format!("{name}__")));
        ours.map(|snapshot| self.snapshot_dir().join(snapshot)).collect()
    }

    /// The newest of [`Host::snapshots`].
    pub fn newest(&self, name: &str) -> PathBuf {
        self.snapshots(name).pop().expect("a snapshot")
    }

    /// The snapshots of a subvolume that its unfinished run still needs.
    pub fn needed(&self, name: &str) -> Vec<PathBuf> {
        let ran = self.program("bts-plan", &["--unfinished", "--print0", "name,snapshot"]).ok();
        let values: Vec<_> = ran.text().split_terminator('\0').collect();
        let runs = values.chunks(2).filter(|run| run[0] == name);
        runs.map(|run| PathBuf::from(run[1])).collect()
    }

    /// The journal of a subvolume's run.
    pub fn journal(&self, name: &str) -> PathBuf {
        self.fs.outside().join(format!("runs/{name}.jsonl"))
    }

    /// A program with `--config`, in the environment that reaches the archive.
    pub fn command(&self, mut command: Command) -> Command {
        command.arg("--config").arg(self.config());
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// `btrfs-to-s3 backup --config …`.
    pub fn backup(&self) -> Command {
        let mut command = wrapper();
        command.arg("backup");
        self.command(command)
    }

    /// `btrfs-to-s3 restore --config … --subvolume … --target …`; the target is
    /// a name at the top of the filesystem.
    pub fn restore(&self, name: &str, target: &str) -> Command {
        let mut command = wrapper();
        command.arg("restore");
        let mut command = self.command(command);
        command.args(["--subvolume", name, "--target"]).arg(self.fs.path().join(target));
        command
    }

    /// Runs one of the programs with these arguments.
    pub fn program(&self, program: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(Command::new(program));
        command.args(arguments).run()
    }

    /// The keys of the manifests in a subvolume's chain, the full's first.
    pub fn chain(&self, name: &str) -> Vec<String> {
        let arguments = ["chain", "--subvolume", name, "--print0", "manifest_key"];
        let ran = self.program("bts-manifest", &arguments).ok();
        ran.text().split_terminator('\0').map(str::to_owned).collect()
    }

    /// The same; empty where there is no backup.
    pub fn chain_if_any(&self, name: &str) -> Vec<String> {
        let current = self.program("bts-manifest", &["current", "--subvolume", name]).ok();
        match current.text().contains("\"type\":\"current\"") {
            true => self.chain(name),
            false => Vec::new(),
        }
    }

    /// A folder for `BTS_BIN_DIR` in which `program` is this shell script, which
    /// finds the real one in `$REAL`.
    pub fn sabotage(&self, program: &str, script: &str) -> PathBuf {
        let dir = self.fs.outside().join(format!("sabotaged-{program}"));
        fs::create_dir(&dir).unwrap();
        for name in ["bts-plan", "bts-chunk", "bts-put", "bts-manifest", "bts-get"] {
            symlink(bin_dir().join(name), dir.join(name)).unwrap();
        }
        let real = match program {
            "btrfs" => PathBuf::from("btrfs"),
            program => bin_dir().join(program),
        };
        let path = dir.join(program);
        let _ = fs::remove_file(&path);
        // By its path, for a program that is not in the programs' own folder.
        let find = format!("REAL=$(PATH=${{PATH#*:}} command -v {})", quoted_path(&real));
        fs::write(&path, format!("#!/bin/bash\n{find}\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }
}

fn quoted_path(path: &Path) -> String {
    quoted(path.to_str().expect("paths in tests are UTF-8"))
}

/// A TOML string, which a shell takes too.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
