//! The file of heartbeats (Apache: `HeartbeatStorage`), which is read or written while the
//! configuration runs.

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

/// How often the file is checked for changes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often the file is written, as in httpd.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Records older than this are ignored.
const STALE: Duration = Duration::from_secs(10);

/// The least difference between the times of two reports, so that a coarse clock cannot
/// make them equal.
const STEP: Duration = Duration::from_millis(5);

/// A task that is aborted on drop.
#[derive(Debug)]
pub(super) struct StorageTask(AbortHandle);

impl StorageTask {
    pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for StorageTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Adds the records of a file to a monitor, again after each change.
pub(super) async fn keep_reading(
    path: PathBuf,
    monitor: HeartbeatMonitor,
    faults: Arc<HeartbeatFaults>,
) {
    let names = monitor.clone();
    let reading = async move {
        let (mut known, mut taken) = (None, AppliedReports::default());
        let mut was_empty = true;
        loop {
            let (file, before) = (path.clone(), known);
            let read = spawn_blocking(move || read_if_changed(&file, before)).await;
            match read {
                Ok(Ok(Some((state, file, errors)))) => {
                    faults.read(&path, Ok(&errors));
                    // A file that is being rewritten in place is empty for a moment.
                    let is_empty = file.records().is_empty();
                    if was_empty || !is_empty {
                        known = Some(state);
                        taken.apply(file.records(), Instant::now(), &monitor);
                    }
                    was_empty = is_empty;
                }
                Ok(Ok(None)) => {}
                // The file is being replaced, or no file descriptor is free. Its records
                // stay valid until they are too old.
                Ok(Err(error)) => {
                    known = None;
                    faults.read(&path, Err(&error));
                }
                // The runtime is shutting down.
                Err(_) => known = None,
            }
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = names.run_maintenance(std::future::pending()) => {}
        () = reading => {}
    }
}

/// The modification time and the size, to detect a change.
type FileState = (SystemTime, u64);

/// The content of a file that has changed.
type ChangedFile = (FileState, HeartbeatFile, Vec<HeartbeatLineError>);

fn read_if_changed(path: &Path, known: Option<FileState>) -> io::Result<Option<ChangedFile>> {
    let metadata = std::fs::metadata(path)?;
    let state = (metadata.modified()?, metadata.len());
    if known == Some(state) {
        return Ok(None);
    }
    let (file, errors) = HeartbeatFile::read(path)?;
    Ok(Some((state, file, errors)))
}

/// The records that have been added. A record that is no longer in the file, or is too old,
/// is withdrawn from the monitor.
#[derive(Debug, Default)]
struct AppliedReports {
    seen: HashMap<SenderId, LastReport>,
}

/// The last report of a sender.
#[derive(Debug)]
struct LastReport {
    at: Instant,
    /// Whether it has been withdrawn. It is kept as long as a later report might seem
    /// older.
    is_withdrawn: bool,
}

impl AppliedReports {
    fn apply(&mut self, records: &[HeartbeatRecord], now: Instant, monitor: &HeartbeatMonitor) {
        let mut fresh = HashSet::new();
        for record in records {
            let Some(age) = record.last_seen().filter(|age| *age < STALE) else {
                continue;
            };
            fresh.insert(record.sender());
            let seen = now.checked_sub(age).unwrap_or(now);
            let last = self.seen.entry(record.sender()).or_insert(LastReport {
                at: seen,
                is_withdrawn: false,
            });
            last.is_withdrawn = false;
            // If the age has grown faster than time has passed, the report would be treated
            // as an older one.
            if last.at >= seen {
                last.at += STEP;
            } else {
                last.at = seen;
            }
            let age = now.saturating_duration_since(last.at);
            // The monitor counts reports beyond its limit.
            let _ = monitor.report(record.with_last_seen(age));
        }
        self.seen.retain(|sender, last| {
            if !fresh.contains(sender) && !last.is_withdrawn {
                let nothing = HeartbeatReading { ready: 0, busy: 1 };
                let record = HeartbeatRecord::new(*sender, nothing);
                let _ = monitor.report(record.with_last_seen(Duration::ZERO));
                (last.at, last.is_withdrawn) = (now.max(last.at), true);
            }
            !last.is_withdrawn || now.saturating_duration_since(last.at) < STALE
        });
    }
}

/// Writes received reports to a file, for other programs.
pub(super) async fn keep_writing(
    path: PathBuf,
    monitor: HeartbeatMonitor,
    faults: Arc<HeartbeatFaults>,
) {
    loop {
        let (file, records) = (path.clone(), monitor.records());
        // The next write follows soon.
        let written = spawn_blocking(move || HeartbeatFile::new(records).write(file)).await;
        if let Ok(written) = &written {
            faults.written(&path, written);
        }
        sleep(WRITE_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::AppliedReports;
    use crate::clock::ManualClock;
    use crate::heartbeat::{HeartbeatFile, HeartbeatMonitor};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn only_the_current_content_of_a_file_is_used() {
        let clock = ManualClock::new();
        let monitor = HeartbeatMonitor::builder().clock(clock.clone()).build();
        let mut taken = AppliedReports::default();
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
            taken.apply(file.records(), now, &monitor);
            let records = monitor.records();
            let found: Vec<u32> = records.iter().map(|it| it.reading().ready).collect();
            assert_eq!(found, idle, "{text:?}");
        }
        assert!(taken.seen.is_empty());
    }
}
