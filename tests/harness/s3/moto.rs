//! `moto_server` (PyPI `moto[server]`) as a child process.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{BUCKET, Reach};

/// How long it may take to answer for the first time: it loads half of AWS.
const PATIENCE: Duration = Duration::from_secs(60);

/// A moto server on 127.0.0.1 that runs until it is dropped. It has the bucket
/// [`BUCKET`] and takes any keys.
#[derive(Debug)]
pub struct Moto {
    reach: Reach,
    address: String,
    child: Child,
}

impl Moto {
    /// Starts one and waits until it answers.
    ///
    /// The program is that of `BTS_MOTO_SERVER`, or `moto_server` in `PATH`.
    pub fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let program = std::env::var_os("BTS_MOTO_SERVER").unwrap_or_else(|| "moto_server".into());
        let child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", address.rsplit(':').next().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start {program:?}: {error}; run the tests by scripts/test, which installs it")
            });
        let reach = Reach::local(format!("http://{address}"), None);
        let moto = Self { reach, address, child };
        moto.wait();
        moto.request("PUT", &format!("/{BUCKET}"), "");
        moto
    }

    /// How to reach it.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Sends a request, unsigned, and gives back the answer, head and all: for
    /// what only moto has, like `/moto-api/state-manager/set-transition`.
    pub fn request(&self, method: &str, path: &str, body: &str) -> String {
        let answer = self.try_request(method, path, body).expect("moto answers");
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        answer
    }

    fn try_request(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let mut socket = TcpStream::connect(&self.address)?;
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        // It is at its end already.
        let _ = socket.shutdown(Shutdown::Both);
        Ok(answer)
    }

    fn wait(&self) {
        let start = Instant::now();
        while self.try_request("GET", "/moto-api/data.json", "").is_err() {
            assert!(start.elapsed() < PATIENCE, "moto_server does not answer at {}", self.address);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago: moto does not say which one it chose.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
