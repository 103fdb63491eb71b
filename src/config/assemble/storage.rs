//! The file of heartbeats (Apache: `HeartbeatStorage`), read or written as long as the system
//! runs.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use super::heartbeat_faults::HeartbeatFaults;
use crate::heartbeat::{
    HeartbeatFile, HeartbeatLineError, HeartbeatMonitor, HeartbeatRecord, SenderId,
};
use crate::scheduler::HeartbeatReading;

/// How often it is looked whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often a file is written, as httpd does.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Beyond this age a record does not count.
const STALE: Duration = Duration::from_secs(10);

/// By how much a report is newer than the one before at least, so that no clock is too coarse.
const STEP: Duration = Duration::from_millis(5);

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Storing(AbortHandle);

impl Storing {
    pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes over what a file says, again when it has changed.
pub(super) async fn keep_reading(
    path: PathBuf,
    monitor: HeartbeatMonitor,
    faults: Arc<HeartbeatFaults>,
) {
    let names = monitor.clone();
    let reading = async move {
        let (mut known, mut taken) = (None, TakenReports::default());
        let mut was_empty = true;
        loop {
            let (file, before) = (path.clone(), known);
            let read = spawn_blocking(move || read_if_changed(&file, before)).await;
            match read {
                Ok(Ok(Some((state, file, errors)))) => {
                    faults.read(&path, Ok(&errors));
                    // A file that is written in place is empty for a moment.
                    let is_empty = file.records().is_empty();
                    if was_empty || !is_empty {
                        known = Some(state);
                        taken.take(file.records(), Instant::now(), &monitor);
                    }
                    was_empty = is_empty;
                }
                Ok(Ok(None)) => {}
                // It is being replaced, or descriptors are short. What it has reported grows old,
                // and counts until it is too old.
                Ok(Err(error)) => {
                    known = None;
                    faults.read(&path, Err(&error));
                }
                // The runtime ends.
                Err(_) => known = None,
            }
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = names.keep_current(std::future::pending()) => {}
        () = reading => {}
    }
}

/// By which a file is known to be the same.
type FileState = (SystemTime, u64);

/// A file that is not the one that was known.
type Changed = (FileState, HeartbeatFile, Vec<HeartbeatLineError>);

fn read_if_changed(path: &Path, known: Option<FileState>) -> io::Result<Option<Changed>> {
    let metadata = std::fs::metadata(path)?;
    let state = (metadata.modified()?, metadata.len());
    if known == Some(state) {
        return Ok(None);
    }
    let (file, errors) = HeartbeatFile::read(path)?;
    Ok(Some((state, file, errors)))
}

/// What has been taken over: the file is all that counts, so that what is there no more, or too
/// old, is taken back.
#[derive(Debug, Default)]
struct TakenReports {
    seen: HashMap<SenderId, Last>,
}

/// The last report of a sender.
#[derive(Debug)]
struct Last {
    at: Instant,
    /// It was there no more, or too old. It is remembered as long as a later report can seem older.
    is_taken_back: bool,
}

impl TakenReports {
    fn take(&mut self, records: &[HeartbeatRecord], now: Instant, monitor: &HeartbeatMonitor) {
        let mut fresh = HashSet::new();
        for record in records {
            let Some(age) = record.last_seen().filter(|age| *age < STALE) else {
                continue;
            };
            fresh.insert(record.sender());
            let seen = now.checked_sub(age).unwrap_or(now);
            let last = self.seen.entry(record.sender()).or_insert(Last {
                at: seen,
                is_taken_back: false,
            });
            last.is_taken_back = false;
            // An age that has grown faster than time would be taken for that of an older report.
            if last.at >= seen {
                last.at += STEP;
            } else {
                last.at = seen;
            }
            let age = now.saturating_duration_since(last.at);
            // What is beyond the monitor's bound is counted by it.
            let _ = monitor.report(record.with_last_seen(age));
        }
        self.seen.retain(|sender, last| {
            if !fresh.contains(sender) && !last.is_taken_back {
                let nothing = HeartbeatReading { ready: 0, busy: 1 };
                let record = HeartbeatRecord::new(*sender, nothing);
                let _ = monitor.report(record.with_last_seen(Duration::ZERO));
                (last.at, last.is_taken_back) = (now.max(last.at), true);
            }
            !last.is_taken_back || now.saturating_duration_since(last.at) < STALE
        });
    }
}

/// Writes what has come in, for other programs.
pub(super) async fn keep_writing(
    path: PathBuf,
    monitor: HeartbeatMonitor,
    faults: Arc<HeartbeatFaults>,
) {
    loop {
        let (file, records) = (path.clone(), monitor.records());
        // The next time comes soon.
        let written = spawn_blocking(move || HeartbeatFile::new(records).write(file)).await;
        if let Ok(written) = &written {
            faults.written(&path, written);
        }
        sleep(WRITE_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::TakenReports;
    use crate::clock::ManualClock;
    use crate::heartbeat::{HeartbeatFile, HeartbeatMonitor};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_file_is_all_that_counts_whatever_it_said_before() {
        let clock = ManualClock::new();
        let monitor = HeartbeatMonitor::builder().clock(clock.clone()).build();
        let mut taken = TakenReports::default();
        let mut now = Instant::now();
        for (passed, text, idle) in [
            (0, "10.0.0.1 &ready=7&busy=1&lastseen=2\n", &[7][..]),
            (0, "10.0.0.1 &ready=5&busy=1&lastseen=2\n", &[5]),
            (1, "10.0.0.1 &ready=4&busy=1&lastseen=9\n", &[4]),
            (0, "10.0.0.1 &ready=4&busy=1&lastseen=10\n", &[0]),
            (1, "10.0.0.1 &ready=8&busy=1&lastseen=0\n", &[8]),
            (1, "10.0.0.1 &ready=8&busy=1\n", &[0]),
            (1, "10.0.0.2 &ready=3&busy=1&lastseen=9\n", &[0, 3]),
            (0, "10.0.0.2 &ready=1.5&busy=1&lastseen=1\n", &[0, 0]),
            (0, "10.0.0.2 &ready=6&busy=1&lastseen=1\n", &[0, 6]),
            (1, "", &[0, 0]),
            (10, "", &[0, 0]),
        ] {
            let (file, _) = HeartbeatFile::parse(text.as_bytes());
            let passed = Duration::from_secs(passed);
            clock.advance(passed);
            now += passed;
            taken.take(file.records(), now, &monitor);
            let records = monitor.records();
            let found: Vec<u32> = records.iter().map(|it| it.reading().ready).collect();
            assert_eq!(found, idle, "{text:?}");
        }
        assert!(taken.seen.is_empty());
    }
}
