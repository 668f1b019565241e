//! The handle on a running server: makes it fail, counts, and acts at a mark.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::faults::{Asked, Chance, Fault, Op, Rule};

/// How often something was asked, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests that arrived.
    pub requests: u64,
    /// Bytes of their bodies that arrived.
    pub bytes: u64,
    /// Requests that had their effect, whatever the client was told.
    pub done: u64,
    /// Requests that were made to go wrong.
    pub faults: u64,
}

/// A point in what a server is asked, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// That many requests arrived.
    Requests(u64),
    /// That many requests of one kind arrived.
    Of(Op, u64),
    /// That many bytes of parts arrived.
    Uploaded(u64),
}

type Hook = Box<dyn FnOnce() + Send>;

/// A server's faults and counts. Clones are handles on the same server.
#[derive(Clone, Default)]
pub struct Control(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    counted: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    chance: Option<Chance>,
    counts: HashMap<Op, Count>,
    hooks: Vec<(Mark, Hook)>,
}

impl Control {
    /// Makes requests go wrong by `rule` too. The first rule that fits a request
    /// is the one that counts it.
    pub fn inject(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Lets every request go wrong with the probability `rate`, where no rule
    /// does already.
    pub fn inject_by_chance(&self, seed: u64, rate: f64) {
        self.state().chance = Some(Chance::new(seed, rate));
    }

    /// Lets all go well from here on.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.rules, state.chance) = (Vec::new(), None);
    }

    /// How often `op` was asked since the start.
    pub fn count(&self, op: Op) -> Count {
        self.state().counts.get(&op).copied().unwrap_or_default()
    }

    /// The sum over everything that was asked since the start.
    pub fn total(&self) -> Count {
        self.state().total()
    }

    /// Does `hook` once, when the server reaches `mark`: before the request or
    /// the bytes that reach it have any effect. The server waits for it.
    pub fn when(&self, mark: Mark, hook: impl FnOnce() + Send + 'static) {
        self.state().hooks.push((mark, Box::new(hook)));
        self.act();
    }

    /// Forgets the hooks whose marks were not reached.
    pub fn forget_hooks(&self) {
        self.state().hooks.clear();
    }

    /// Waits until the server reaches `mark`; `false` when it does not within
    /// `patience`.
    pub fn wait_for(&self, mark: Mark, patience: Duration) -> bool {
        let waiting = self.state();
        let waited = self.0.counted.wait_timeout_while(waiting, patience, |it| !it.reached(mark));
        waited.unwrap().0.reached(mark)
    }

    /// A request arrived; what shall go wrong with it.
    pub(super) fn arrived(&self, asked: &Asked) -> Option<Fault> {
        let mut state = self.state();
        let struck = state.rules.iter_mut().find_map(|rule| rule.strikes(asked));
        let fault = struck.or_else(|| state.chance.as_mut()?.strikes(asked));
        let count = state.counts.entry(asked.op).or_default();
        count.requests += 1;
        count.faults += u64::from(fault.is_some());
        drop(state);
        self.act();
        fault
    }

    /// Bytes of a request's body arrived.
    pub(super) fn received(&self, op: Op, len: u64) {
        self.state().counts.entry(op).or_default().bytes += len;
        self.act();
    }

    /// A request had its effect.
    pub(super) fn done(&self, op: Op) {
        self.state().counts.entry(op).or_default().done += 1;
    }

    /// Does what is due, without holding the state: a hook may ask for counts.
    fn act(&self) {
        self.0.counted.notify_all();
        let mut state = self.state();
        let all = std::mem::take(&mut state.hooks);
        let (due, later) = all.into_iter().partition(|(mark, _)| state.reached(*mark));
        state.hooks = later;
        drop(state);
        let due: Vec<(Mark, Hook)> = due;
        due.into_iter().for_each(|(_, hook)| hook());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl State {
    fn total(&self) -> Count {
        self.counts.values().fold(Count::default(), |sum, it| Count {
            requests: sum.requests + it.requests,
            bytes: sum.bytes + it.bytes,
            done: sum.done + it.done,
            faults: sum.faults + it.faults,
        })
    }

    fn reached(&self, mark: Mark) -> bool {
        let of = |op| self.counts.get(&op).copied().unwrap_or_default();
        match mark {
            Mark::Requests(requests) => self.total().requests >= requests,
            Mark::Of(op, requests) => of(op).requests >= requests,
            Mark::Uploaded(bytes) => of(Op::UploadPart).bytes >= bytes,
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("counts", &self.state().counts).finish_non_exhaustive()
    }
}
