//! Runs the programs as their users do: through a shell, or the wrapper.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{self, ExitStatus, Stdio};

/// Where `cargo build` put the programs: beside this test program.
///
/// # Panics
/// When they are not there.
pub fn bin_dir() -> PathBuf {
    let exe = env::current_exe().expect("a test program has a path");
    // target/debug/deps/end_to_end-0123456789abcdef
    let dir = exe.ancestors().nth(2).expect("cargo puts tests two folders deep").to_path_buf();
    for program in ["bts-plan", "bts-chunk", "bts-put", "bts-manifest", "bts-get"] {
        let path = dir.join(program);
        assert!(path.exists(), "{} is missing: cargo build --workspace", path.display());
    }
    dir
}

/// A command whose end can be looked at.
#[derive(Debug)]
pub struct Command(process::Command);

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    what: String,
    status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: Vec<u8>,
    /// What it wrote on stderr.
    pub stderr: String,
}

/// A bash script that finds the programs, and fails when any stage of any of
/// its pipelines does.
pub fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("set -euo pipefail\n{script}"));
    command
}

/// `scripts/btrfs-to-s3`.
pub fn wrapper() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/btrfs-to-s3"))
}

impl Command {
    /// A command that finds the built programs before any others, and knows
    /// nothing of the caller's AWS settings or terminal.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut path = bin_dir().into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut command = process::Command::new(program);
        command.env("PATH", path).env("BTS_BIN_DIR", bin_dir()).stdin(Stdio::null());
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("AWS_") || name.starts_with("BTRFS_TO_S3_") {
                command.env_remove(&*name);
            }
        }
        Self(command)
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        self.0.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.env(name, value);
        self
    }

    /// Takes an environment variable away.
    pub fn env_remove(&mut self, name: &str) -> &mut Self {
        self.0.env_remove(name);
        self
    }

    /// Sets environment variables.
    pub fn envs<'a, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (&'a str, V)>,
    ) -> &mut Self {
        self.0.envs(variables);
        self
    }

    /// Reads this file on stdin.
    pub fn stdin(&mut self, file: File) -> &mut Self {
        self.0.stdin(file);
        self
    }

    /// Starts it, with stdout and stderr kept for [`Command::wait`].
    pub fn start(&mut self) -> process::Child {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.0.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.0))
    }

    /// Waits for what [`Command::start`] started.
    pub fn wait(&self, child: process::Child) -> Ran {
        let output = child.wait_with_output().expect("a child of ours can be waited for");
        Ran {
            what: format!("{:?}", self.0),
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it to its end.
    pub fn run(&mut self) -> Ran {
        let child = self.start();
        self.wait(child)
    }
}

impl Ran {
    /// The exit status as a shell shows it: 128 + n for signal n.
    pub fn status(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().or_else(|| self.status.signal().map(|n| 128 + n)).unwrap_or(-1)
    }

    /// Panics unless it ended with `status`; shows what it said.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        let Self { what, stderr, .. } = &self;
        let ended = self.status();
        assert_eq!(ended, status, "{what}\nended with {ended} and said:\n{stderr}");
        self
    }

    /// Panics unless it ended with 0; shows what it said.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_status(0)
    }

    /// Panics unless stderr holds `words`.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        let Self { what, stderr, .. } = &self;
        assert!(stderr.contains(words), "{what}\ndid not say {words:?} but:\n{stderr}");
        self
    }

    /// stdout as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }
}
