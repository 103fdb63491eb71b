//! What Linux tells of processes and of itself, in `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Of a second; the same on all Linux that Rust runs on.
const TICKS: u32 = 100;

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / u64::from(TICKS))
}

/// What follows the name in `/proc/PID/stat`, from the state on.
fn stat(process: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may have spaces and parentheses in it.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const USER_OF_CHILDREN: usize = 13;
const SYSTEM_OF_CHILDREN: usize = 14;
const BEGAN: usize = 19;

fn number(fields: &[String], at: usize) -> u64 {
    fields.get(at).and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// A process and all that it has started.
pub(crate) fn family(parent: u32) -> Vec<u32> {
    let mut children: HashMap<u64, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(fields) = stat(&format!("{process}")) {
            let siblings = children.entry(number(&fields, PARENT)).or_default();
            siblings.push(process);
        }
    }
    let mut found = vec![parent];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        next += 1;
        let theirs = children.remove(&u64::from(*process));
        found.extend(theirs.into_iter().flatten());
    }
    found
}

/// When a process began, by which it can be told from a later one with the same number.
pub(crate) fn began(process: u32) -> Option<u64> {
    stat(&process.to_string()).map(|fields| number(&fields, BEGAN))
}

/// The processor time that processes have used, user and system: to the nanosecond where the
/// system keeps such books, otherwise in ticks. Of threads that have ended only ticks tell.
pub(crate) fn used(processes: &[u32]) -> Duration {
    processes.iter().map(|&it| used_by(it)).sum()
}

fn used_by(process: u32) -> Duration {
    let precise: u64 = threads(process).filter_map(|it| scheduled(&it)).sum();
    if precise > 0 {
        return Duration::from_nanos(precise);
    }
    let fields = stat(&process.to_string()).unwrap_or_default();
    ticks(number(&fields, USER) + number(&fields, SYSTEM))
}

fn threads(process: u32) -> impl Iterator<Item = fs::DirEntry> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    threads.into_iter().flatten().flatten()
}

/// For how long a thread has run, in nanoseconds.
fn scheduled(thread: &fs::DirEntry) -> Option<u64> {
    let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The processor time of this process, and of those that it started and that have ended.
pub(crate) fn used_by_us() -> Duration {
    let fields = stat("self").unwrap_or_default();
    let all = [USER, SYSTEM, USER_OF_CHILDREN, SYSTEM_OF_CHILDREN];
    ticks(all.iter().map(|&at| number(&fields, at)).sum())
}

/// The memory of processes, each for itself, in kB: what `/proc/PID/status` has in that line.
pub(crate) fn memory(processes: &[u32], line: &str) -> u64 {
    let each = processes.iter().filter_map(|process| {
        let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = text.lines().find_map(|text| text.strip_prefix(line))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    each.sum()
}

/// For how long all processors together have had nothing to do.
pub(crate) fn idle() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // Name, user, nice, system, idle, waiting for a disk.
    let fields = line.split_whitespace().skip(4).take(2);
    ticks(fields.filter_map(|it| it.parse::<u64>().ok()).sum())
}
