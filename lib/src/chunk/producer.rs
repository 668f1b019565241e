//! A command whose output becomes the stream.

use std::ffi::OsString;
use std::io::{PipeReader, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context;

use crate::exit::{Failure, Status};

/// A command that runs. It reads `/dev/null`: what it is to send, it finds by
/// its arguments, and nothing of a terminal's is taken for it. Dropped before
/// [`Producer::wait`], it is killed and waited for.
#[derive(Debug)]
pub struct Producer {
    child: Child,
    name: String,
}

impl Producer {
    /// Runs `program` with `arguments`; with it comes what it writes.
    ///
    /// # Errors
    /// A [`Failure`] with [`Status::Usage`] when it cannot be run, or
    /// [`std::io::Error`] when there is no pipe to run it in.
    pub fn start(program: &OsString, arguments: &[OsString]) -> anyhow::Result<(Self, PipeReader)> {
        let name = program.to_string_lossy().into_owned();
        let (output, input) = pipe().with_context(|| format!("cannot make a pipe for {name}"))?;
        // The command, and with it our copy of the pipe's writing end, is gone
        // after this statement: when the child's closes too, the input ends.
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(input)
            .spawn()
            .map_err(|cause| Failure::usage(format!("cannot run {name}: {cause}")))?;
        Ok((Self { child, name }, output))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// A [`Failure`] with [`Status::Io`] when it did not exit 0: then its output
    /// is no whole stream, whatever it looks like.
    pub fn wait(mut self) -> anyhow::Result<()> {
        let name = &self.name;
        let status = self.child.wait().with_context(|| format!("cannot wait for {name}"))?;
        if status.success() {
            return Ok(());
        }
        let how = describe(status);
        let message = format!("{name} {how}: what it wrote is not taken for a whole stream");
        Err(Failure::new(Status::Io, message).into())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Neither does anything to a child that was waited for; one that cannot
        // be killed has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => format!("ended with {status}"),
    }
}
