//! What is read of a process from outside, what is done to it, and figures in lines of text.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::process::Role;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits, in a thread of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "what is watched is another process, which has no clock of ours"
)]
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until this holds.
pub(crate) fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A number from the environment, for a run of another size.
pub(crate) fn size(name: &str, usual: usize) -> usize {
    let told = std::env::var(name);
    told.map_or(usual, |told| told.parse().unwrap())
}

/// The figure called `name` in a line such as `served=3 reset=0`.
pub(crate) fn figure(line: &str, name: &str) -> u64 {
    let mut words = line.split_whitespace();
    let found = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let found = found.unwrap_or_else(|| panic!("no {name} in {line:?}"));
    found.parse().unwrap()
}

/// What a process has open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Open {
    pub(crate) sockets: usize,
    /// Both ends of each count.
    pub(crate) pipes: usize,
    pub(crate) others: usize,
}

impl Open {
    pub(crate) fn by(role: &Role) -> Self {
        let mut open = Self {
            sockets: 0,
            pipes: 0,
            others: 0,
        };
        for entry in std::fs::read_dir(format!("/proc/{}/fd", role.id())).unwrap() {
            // It may be closed meanwhile.
            let Ok(what) = std::fs::read_link(entry.unwrap().path()) else {
                continue;
            };
            let what = what.to_string_lossy();
            if what.starts_with("socket:") {
                open.sockets += 1;
            } else if what.starts_with("pipe:") {
                open.pipes += 1;
            } else {
                open.others += 1;
            }
        }
        open
    }
}

/// Time that the processor has spent on a process, in hundredths of a second.
pub(crate) fn ticks(role: &Role) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", role.id())).unwrap();
    // The name, in parentheses, may hold spaces.
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let mut fields = rest.split(' ').skip(11);
    let mut next = || -> u64 { fields.next().unwrap().parse().unwrap() };
    next() + next()
}

/// Stops a process in its tracks; its connections stay open.
pub(crate) fn freeze(role: &Role) {
    let id = i32::try_from(role.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::STOP).unwrap();
}
