//! Kills whatever takes part in a backup, whenever, on a server that fails now
//! and then, and checks that nothing is ever lost by it.
//!
//! `BTS_THRASH_SEED` repeats a run's choices, `BTS_THRASH_ROUNDS` says how long it
//! is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::env;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bts_tests::program::{Command, Ran};
use bts_tests::s3::{Relay, ServerProcess, Trouble, Way};
use bts_tests::{Host, assert_same, kill};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const MIB: u64 = 1 << 20;
const ROUNDS: u64 = 20;
/// How many of 1,000 requests go wrong.
const FAULTS: f64 = 0.02;
/// A chain longer than this is ended by a full.
const CHAIN_MAX: usize = 4;
/// How long a rerun may have to wait for what a killed one left running.
const PATIENCE: Duration = Duration::from_secs(180);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Btrfs,
    Chunk,
    Put,
    Manifest,
    Wrapper,
    Server,
}

const VICTIMS: [Victim; 6] =
    [Victim::Btrfs, Victim::Chunk, Victim::Put, Victim::Manifest, Victim::Wrapper, Victim::Server];

impl Victim {
    /// The process's name.
    fn name(self) -> &'static str {
        match self {
            Self::Btrfs => "btrfs",
            Self::Chunk => "bts-chunk",
            Self::Put => "bts-put",
            Self::Manifest => "bts-manifest",
            Self::Wrapper | Self::Server => "",
        }
    }
}

struct Thrash {
    random: StdRng,
    server: ServerProcess,
    relay: Relay,
    host: Host,
    round: u64,
    kills: u64,
}

#[test]
fn whatever_is_killed_and_whenever_a_rerun_succeeds_and_restores_equal() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("BTS_THRASH_SEED").unwrap_or_else(rand::random);
    let rounds = number("BTS_THRASH_ROUNDS").unwrap_or(ROUNDS);
    println!("BTS_THRASH_SEED={seed} BTS_THRASH_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = ServerProcess::start(trouble(&mut random));
    let relay = Relay::to(&server.reach());
    let reach = relay.reach(&server.reach());
    let Some(host) = Host::on_s3_or_skip(&["data"], &reach, "host") else { return };
    host.dataset("data", seed).fill(30 * MIB);
    let mut thrash = Thrash { random, server, relay, host, round: 0, kills: 0 };
    for round in 0..rounds {
        thrash.round = round;
        thrash.round();
    }
    // Some marks are never reached, and some victims have ended by then.
    assert!(thrash.kills * 2 >= rounds, "only {} were killed in {rounds} rounds", thrash.kills);
}

fn trouble(random: &mut StdRng) -> Trouble {
    Trouble { chance: Some((random.random(), FAULTS)), death: None }
}

impl Thrash {
    fn round(&mut self) {
        let victim = VICTIMS[self.round as usize % VICTIMS.len()];
        let seed = self.random.random();
        let bulk = self.random.random_range(1..30) * MIB;
        self.host.dataset("data", seed).churn(bulk);
        let full = self.chain() >= CHAIN_MAX;
        let sent = if full || self.round == 0 { bulk + 30 * MIB } else { bulk };
        let bytes = self.random.random_range(0..sent);
        println!("round {}: {victim:?} after {bytes} bytes, full: {full}", self.round);

        let killed = self.killed_run(victim, bytes, full);
        println!("    ended with {}, {} killed so far", killed.status(), self.kills);
        self.nothing_is_lost(&killed);
        if killed.status() != 0 {
            self.rerun();
        }
        self.restores_equal();
    }

    /// A backup during which `victim` is killed when about `bytes` were sent, or
    /// a little later where it does not live yet.
    fn killed_run(&mut self, victim: Victim, bytes: u64, full: bool) -> Ran {
        let mut backup = self.backup();
        if full {
            backup.arg("--full");
        }
        let mut child = backup.start();
        let from = self.relay.carried(Way::Up);
        let mut gone = false;
        while !gone && ended(&mut child).is_none() {
            if self.relay.carried(Way::Up) - from >= bytes {
                gone = self.kill(victim, &mut child);
            }
            sleep(Duration::from_micros(200));
        }
        self.kills += u64::from(gone);
        if victim == Victim::Server && gone {
            sleep(Duration::from_millis(self.random.random_range(0..2000)));
            let trouble = trouble(&mut self.random);
            self.server.restart(trouble);
        }
        backup.wait(child)
    }

    fn kill(&mut self, victim: Victim, wrapper: &mut Child) -> bool {
        match victim {
            Victim::Server => {
                self.server.kill();
                true
            }
            Victim::Wrapper => wrapper.kill().is_ok(),
            Victim::Manifest => {
                // It sends a few kilobytes, which are no measure.
                let pause = Duration::from_millis(self.random.random_range(0..60));
                let runs = kill::finds(wrapper.id(), victim.name());
                runs && {
                    sleep(pause);
                    kill::descendant(wrapper.id(), victim.name())
                }
            }
            _ => kill::descendant(wrapper.id(), victim.name()),
        }
    }

    /// Runs backups until one succeeds, as a timer would.
    fn rerun(&mut self) {
        let began = Instant::now();
        loop {
            let ran = self.backup().run();
            println!("    rerun ended with {}", ran.status());
            self.nothing_is_lost(&ran);
            if ran.status() == 0 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no rerun succeeded: {}", ran.stderr);
            assert!([69, 75].contains(&ran.status()), "a rerun needs a hand: {}", ran.stderr);
            sleep(Duration::from_millis(500));
        }
    }

    fn backup(&self) -> Command {
        let mut backup = self.host.backup();
        backup.args(["--once", "--retry-for", "1m"]);
        backup
    }

    /// Whatever became of a run: what `current.json` names is all there.
    fn nothing_is_lost(&self, ran: &Ran) {
        if self.chain() == 0 {
            assert_ne!(ran.status(), 0, "a success without a backup: {}", ran.stderr);
            return;
        }
        let current = self.host.program("bts-manifest", &["current", "--subvolume", "data"]).ok();
        assert!(current.text().contains("\"missing\":[]"), "{}", current.text());
    }

    fn chain(&self) -> usize {
        self.host.chain_if_any("data").len()
    }

    fn restores_equal(&self) {
        self.host.restore("data", "restored").run().ok();
        assert_same(&self.host.newest("data"), &self.host.path("restored"));
        self.host.fs().delete(&self.host.path("restored"));
    }
}

fn ended(child: &mut Child) -> Option<()> {
    child.try_wait().unwrap().map(drop)
}
