//! A Btrfs filesystem of a test's own, on a loop device.

use std::env;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A mounted filesystem, gone when this is dropped.
#[derive(Debug)]
pub struct Btrfs {
    dir: TempDir,
}

/// A sparse file: only what is written takes room.
const SIZE: u64 = 16 << 30;

impl Btrfs {
    /// A fresh filesystem; `None`, after saying so, where there can be none.
    /// The test then returns.
    ///
    /// # Panics
    /// Where there can be none and `BTS_REQUIRE_BTRFS` is set.
    pub fn or_skip() -> Option<Self> {
        Self::with_options("noatime")
    }

    /// As [`Btrfs::or_skip`], with these mount options.
    pub fn with_options(options: &str) -> Option<Self> {
        match Self::mount(options) {
            Ok(btrfs) => Some(btrfs),
            Err(why) => {
                skip(&why);
                None
            }
        }
    }

    fn mount(options: &str) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("not root".to_owned());
        }
        let dir = tempfile::Builder::new().prefix("bts-btrfs-").tempdir().map_err(text)?;
        let btrfs = Self { dir };
        let image = btrfs.image();
        let file = OpenOptions::new().create_new(true).write(true).open(&image).map_err(text)?;
        file.set_len(SIZE).map_err(text)?;
        std::fs::create_dir(btrfs.path()).map_err(text)?;
        // Single metadata: half the writes, and nothing here tests a bad disk.
        run("mkfs.btrfs", ["-q".as_ref(), "-m".as_ref(), "single".as_ref(), image.as_os_str()])?;
        let options = format!("loop,{options}");
        run("mount", ["-o".as_ref(), options.as_ref(), image.as_os_str(), btrfs.path().as_ref()])?;
        Ok(btrfs)
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// A folder on another filesystem that goes when this does.
    pub fn outside(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a subvolume at `path`, which is relative to the root.
    pub fn subvolume(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.path().join(path);
        btrfs(["subvolume".as_ref(), "create".as_ref(), path.as_os_str()]);
        path
    }

    /// Deletes the subvolume at `path`.
    pub fn delete(&self, path: &Path) {
        btrfs(["subvolume".as_ref(), "delete".as_ref(), path.as_os_str()]);
    }

    /// Makes a read-only snapshot of `source` at `path`, which is relative to
    /// the root.
    pub fn snapshot(&self, source: &Path, path: impl AsRef<Path>) -> PathBuf {
        let path = self.path().join(path);
        let words = ["subvolume", "snapshot", "-r"].map(OsStr::new);
        btrfs(words.into_iter().chain([source.as_os_str(), path.as_os_str()]));
        path
    }

    /// The names of what lies in the folder `path`, sorted.
    pub fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join(path)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        // A process that a failed test left behind may hold it for a moment; the
        // kernel detaches the loop device with the last one that does.
        for _ in 0..50 {
            if !mounted(&self.path()) || run("umount", [self.path()]).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = run("umount", ["-l".as_ref(), self.path().as_os_str()]);
    }
}

/// Whether the folder is another filesystem than the one it lies in.
fn mounted(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    device(path).is_some() && device(path) != path.parent().and_then(device)
}

#[track_caller]
fn btrfs<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) {
    run("btrfs", arguments).unwrap();
}

fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<(), String> {
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program).args(arguments).env("PATH", path).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Says that the test that runs in this thread is skipped; `scripts/test` counts
/// the lines of the file that `BTS_SKIP_LOG` names.
fn skip(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let required = env::var_os("BTS_REQUIRE_BTRFS").is_some();
    assert!(!required, "no Btrfs filesystem can be had here: {why}");
    eprintln!("skipped: {test}: {why}");
    if let Some(log) = env::var_os("BTS_SKIP_LOG") {
        let mut log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        writeln!(log, "{test}: {why}").unwrap();
    }
}
