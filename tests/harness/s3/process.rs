//! A server that can be killed: the program `bts-test-s3`, and its handle.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::Reach;
use super::control::{Control, Mark};
use super::server::{self, Options};

/// What such a server does beside serving.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Requests go wrong by chance: the seed and the rate, 0 to 1
    /// ([`Control::inject_by_chance`]).
    pub chance: Option<(u64, f64)>,
    /// It kills itself when it reaches this: [`Mark::Requests`] or
    /// [`Mark::Uploaded`], counted from its start.
    pub death: Option<Mark>,
}

/// A server like [`S3Server`](super::S3Server) in a process of its own, which
/// can be killed and started again with what it has acknowledged. It ends with
/// this process, however that ends.
#[derive(Debug)]
pub struct ServerProcess {
    home: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl ServerProcess {
    /// Starts one and waits until it listens.
    pub fn start(trouble: Trouble) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut it = Self { home: TempDir::new().unwrap(), address: nowhere, child: None };
        it.restart(trouble);
        it
    }

    /// Starts it again at the same address, over what it had; kills it first if it
    /// still runs.
    pub fn restart(&mut self, trouble: Trouble) {
        self.kill();
        let mut command = Command::new(crate::program::bin_dir().join("bts-test-s3"));
        command.arg(self.home.path()).arg(self.address.port().to_string());
        command.args(arguments(trouble)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bts-test-s3 is built");
        let mut said = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut said).unwrap();
        self.address = said.trim().parse().expect("bts-test-s3 says where it listens");
        self.child = Some(child);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be dead already.
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Whether it runs.
    pub fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// How to reach it, now and after any restart.
    pub fn reach(&self) -> Reach {
        Reach::local(format!("http://{}", self.address), None)
    }

    /// The directory that holds the bucket's objects, each a file named by its key.
    pub fn bucket_dir(&self) -> PathBuf {
        server::bucket_dir(self.home.path())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn arguments(trouble: Trouble) -> Vec<String> {
    let mut all = Vec::new();
    if let Some((seed, rate)) = trouble.chance {
        all.push(format!("chance={seed}:{rate}"));
    }
    match trouble.death {
        None => {}
        Some(Mark::Requests(requests)) => all.push(format!("requests={requests}")),
        Some(Mark::Uploaded(bytes)) => all.push(format!("uploaded={bytes}")),
        Some(Mark::Of(..)) => panic!("a server kills itself at a count of requests or bytes"),
    }
    all
}

/// Runs the program: `bts-test-s3 FOLDER [PORT [chance=SEED:RATE] [requests=N]
/// [uploaded=N]]`. It serves what lies in FOLDER, says where it listens, and ends
/// when its stdin does. Where N requests or bytes of parts have arrived it kills
/// itself. A port of 0 lets the system choose.
///
/// # Panics
/// When it is called wrongly.
pub fn run(mut arguments: impl Iterator<Item = String>) {
    let home = PathBuf::from(arguments.next().expect("the folder to serve"));
    let port: u16 = arguments.next().map_or(0, |port| port.parse().expect("a port"));
    let control = Control::default();
    for trouble in arguments {
        let (name, value) = trouble.split_once('=').expect("NAME=VALUE");
        let number = || value.parse().expect("a number");
        match name {
            "chance" => {
                let (seed, rate) = value.split_once(':').expect("SEED:RATE");
                control
                    .inject_by_chance(seed.parse().expect("a seed"), rate.parse().expect("a rate"));
            }
            "requests" => control.when(Mark::Requests(number()), die),
            "uploaded" => control.when(Mark::Uploaded(number()), die),
            _ => panic!("{name} is no trouble"),
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    println!("{}", listener.local_addr().expect("it is bound"));
    let runtime = server::runtime();
    runtime.spawn(server::serve(home, Options::default(), control, listener, None));
    // Its parent holds the other end, and lets go when it dies.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// As by kill -9: nothing is flushed, nobody is told.
fn die() {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL).expect("oneself");
}
