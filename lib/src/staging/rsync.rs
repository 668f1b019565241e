//! Lets rsync tell two trees apart. It writes nothing to either.

use std::io::{self, BufRead, BufReader, PipeReader, Write, pipe};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::{Failure, Status};

/// How many differences are shown; all are counted.
const SHOWN: usize = 20;

/// How often is looked whether a signal came.
const PAUSE: Duration = Duration::from_millis(50);

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// How many there are.
    pub(super) count: u64,
    /// The first ones, in rsync's words.
    pub(super) shown: Vec<String>,
}

/// Whether there is an rsync to be had.
pub(super) fn look_for() -> Result<(), Failure> {
    let asked = Command::new("rsync").arg("--version").stdout(Stdio::null()).status();
    asked.map(drop).map_err(|cause| {
        Failure::config(format!(
            "cannot run rsync, which compares what is restored with its source: {cause}; install \
             it, or give --compare none"
        ))
    })
}

/// Everything but the stubs: names, owners, modes, times, links, ACLs, xattrs;
/// contents too where `contents`.
pub(super) fn all(
    pair: Pair<'_>,
    stubs: &[PathBuf],
    contents: bool,
) -> anyhow::Result<Differences> {
    let mut rsync = command(contents);
    rsync.args(["--delete", "--exclude-from=-"]);
    let patterns = stubs.iter().map(|stub| pattern(stub.as_os_str().as_bytes()));
    run(
        rsync,
        pair,
        patterns.flat_map(|pattern| [b"/".as_slice(), &pattern, b"\0"].concat()).collect(),
    )
}

/// These files alone, with their contents.
pub(super) fn files(pair: Pair<'_>, files: &[PathBuf]) -> anyhow::Result<Differences> {
    let mut rsync = command(true);
    rsync.arg("--files-from=-");
    // Otherwise a name that begins with # would be a comment.
    let names = files.iter().flat_map(|file| [b"./", file.as_os_str().as_bytes(), b"\0"].concat());
    run(rsync, pair, names.collect())
}

/// Two trees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) source: &'a Path,
    pub(super) target: &'a Path,
}

fn command(contents: bool) -> Command {
    let mut rsync = Command::new("rsync");
    rsync.args(["-naHAX", "--numeric-ids", "--itemize-changes", "--modify-window=-1", "--from0"]);
    if contents {
        rsync.arg("--checksum");
    }
    rsync
}

/// A name as a pattern that matches nothing else: in one that holds a wildcard,
/// a backslash takes the meaning off what follows.
fn pattern(name: &[u8]) -> Vec<u8> {
    if !name.iter().any(|byte| b"*?[".contains(byte)) {
        return name.to_vec();
    }
    let quote = |byte: &u8| if b"*?[\\".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] };
    name.iter().flat_map(quote).collect()
}

fn run(mut rsync: Command, pair: Pair<'_>, input: Vec<u8>) -> anyhow::Result<Differences> {
    let what = "cannot compare by rsync";
    let (output, writer) = pipe().context(what)?;
    // The slash makes rsync compare what is in them, their own metadata too.
    rsync.arg(pair.source.join("")).arg(pair.target.join(""));
    let child = rsync.stdin(Stdio::piped()).stdout(writer).spawn().context(what)?;
    drop(rsync); // our copy of the pipe's writing end goes with it
    let reader = thread::spawn(move || read(output));
    let status = feed_and_wait(child, input).context(what)?;
    let differences = match reader.join() {
        Ok(read) => read.context(what)?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    if !status.success() {
        let what = format!("comparing by rsync failed ({status}): nothing is proven");
        return Err(Failure::new(Status::Io, what).into());
    }
    Ok(differences)
}

fn read(output: PipeReader) -> io::Result<Differences> {
    let mut differences = Differences::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        differences.count += 1;
        if differences.shown.len() < SHOWN {
            differences.shown.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    Ok(differences)
}

/// Waits for rsync's end. A signal that ends this program ends rsync first, which
/// might read terabytes for nobody.
fn feed_and_wait(mut child: Child, input: Vec<u8>) -> io::Result<std::process::ExitStatus> {
    let caught = Arc::new(AtomicUsize::new(0));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Signal numbers are small and positive.
        signal_hook::flag::register_usize(signal, caught.clone(), signal as usize)?;
    }
    let stdin = child.stdin.take();
    // An rsync that ends early says why itself.
    let feeder = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let signal = caught.load(Ordering::Relaxed);
        if signal != 0 {
            child.kill()?;
            child.wait()?;
            signal_hook::low_level::emulate_default_handler(signal as i32)?;
        }
        thread::sleep(PAUSE);
    };
    let _ = feeder.join();
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_name_is_a_pattern_for_itself_alone() {
        for (name, expected) in
            [("a b", "a b"), ("a\\b", "a\\b"), ("a*", "a\\*"), ("[a]\\?", "\\[a]\\\\\\?")]
        {
            assert_eq!(pattern(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }
}
