//! Finds and kills the processes that a wrapper has started.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Kills (SIGKILL) a descendant of `ancestor` that is called `name`; the first
/// one that is found. Says whether there was one.
pub fn descendant(ancestor: u32, name: &str) -> bool {
    find(ancestor, name).is_some_and(|pid| signal(pid, Signal::KILL))
}

/// Whether a descendant of `ancestor` that is called `name` runs.
pub fn finds(ancestor: u32, name: &str) -> bool {
    find(ancestor, name).is_some()
}

fn find(ancestor: u32, name: &str) -> Option<u32> {
    descendants(ancestor).into_iter().find(|pid| comm(*pid).as_deref() == Some(name))
}

/// Sends a signal; `false` when the process has ended.
pub fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// All that `ancestor` has started, directly and not, and that runs.
pub fn descendants(ancestor: u32) -> Vec<u32> {
    let mut all = vec![ancestor];
    let mut at = 0;
    while at < all.len() {
        let tasks = format!("/proc/{0}/task", all[at]);
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        at += 1;
    }
    all.remove(0);
    all
}

/// A process's name, at most 15 bytes of it (proc_pid_comm(5)).
pub fn comm(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}
