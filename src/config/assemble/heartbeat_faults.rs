//! Reports problems with heartbeats to the observer: [`HeartbeatFaults`].
//!
//! Not here: heartbeats, files and senders themselves (`heartbeat`).

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::balancer::events::{Event, EventKind, Interest, Observer};
use crate::heartbeat::{HeartbeatLineError, ReportError};
use crate::sync::Mutex;

/// How many invalid lines of a file are reported at once.
const MOST_LINES: usize = 10;

/// At most one dropped report per interval is reported to the observer, since any host can
/// send them.
const DROPPED_EVERY: Duration = Duration::from_secs(1);

/// The same for reports that cannot be sent: one fails each second.
const UNSENT_EVERY: Duration = Duration::from_secs(60);

/// Reports problems, but limits floods and does not repeat a problem that lasts.
pub(super) struct HeartbeatFaults {
    observer: Option<Arc<dyn Observer>>,
    dropped: Mutex<RateLimit>,
    unsent: Mutex<RateLimit>,
    /// The problems of the file that have been reported.
    file: Mutex<Vec<String>>,
}

impl HeartbeatFaults {
    pub(super) fn new(observer: Option<&Arc<dyn Observer>>) -> Self {
        let wants = |it: &&Arc<dyn Observer>| it.interest().contains(Interest::HEARTBEAT_FAULT);
        Self {
            observer: observer.filter(wants).cloned(),
            dropped: Mutex::default(),
            unsent: Mutex::default(),
            file: Mutex::default(),
        }
    }

    /// Records that a heartbeat was received and dropped.
    pub(super) fn dropped(&self, from: IpAddr, error: &ReportError) {
        if self.observer.is_none() {
            return;
        }
        let suppressed = self.dropped.lock().next(Instant::now(), DROPPED_EVERY);
        if let Some(suppressed) = suppressed {
            let error = with_source(error);
            self.notify(&format!(
                "dropped a heartbeat from {from}: {error}{suppressed}"
            ));
        }
    }

    /// Records that a heartbeat could not be sent.
    pub(super) fn unsent(&self, to: SocketAddr, error: &io::Error) {
        let suppressed = self.unsent.lock().next(Instant::now(), UNSENT_EVERY);
        if let Some(suppressed) = suppressed {
            self.notify(&format!(
                "cannot send a heartbeat to {to}: {error}{suppressed}"
            ));
        }
    }

    /// Records the result of reading the file.
    pub(super) fn read(&self, path: &Path, read: Result<&[HeartbeatLineError], &io::Error>) {
        let path = path.display();
        let faults: Vec<String> = match read {
            Ok(errors) => {
                let lines = errors.iter().take(MOST_LINES);
                let lines = lines.map(|it| format!("`{path}`, {it}; the line is skipped"));
                let others = errors.len().saturating_sub(MOST_LINES);
                let others = (others > 0)
                    .then(|| format!("`{path}`: at least {others} more lines are skipped"));
                lines.chain(others).collect()
            }
            Err(error) => vec![format!("`{path}` cannot be read: {error}")],
        };
        self.file_has(&faults);
    }

    /// Records the result of writing the file.
    pub(super) fn written(&self, path: &Path, written: &io::Result<()>) {
        let fault = written.as_ref().err();
        let fault = fault.map(|it| format!("`{}` cannot be written: {it}", path.display()));
        self.file_has(fault.as_slice());
    }

    fn file_has(&self, faults: &[String]) {
        let before = std::mem::replace(&mut *self.file.lock(), faults.to_vec());
        for fault in faults.iter().filter(|it| !before.contains(it)) {
            self.notify(fault);
        }
    }

    /// Calls the observer. A panic of the observer does not end the calling task.
    fn notify(&self, why: &str) {
        let Some(observer) = &self.observer else {
            return;
        };
        let event = Event {
            balancer: None,
            generation: 0,
            member: None,
            kind: EventKind::HeartbeatFault { why },
        };
        let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(&event)));
    }
}

fn with_source(error: &ReportError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Limits a message to one per interval.
#[derive(Debug, Default)]
struct RateLimit {
    sent_at: Option<Instant>,
    suppressed: u64,
}

impl RateLimit {
    /// Returns a text with the number of messages suppressed since the last one; `None` to
    /// suppress this one.
    fn next(&mut self, now: Instant, every: Duration) -> Option<impl Display + use<>> {
        let is_soon = |at: Instant| now.saturating_duration_since(at) < every;
        if self.sent_at.is_some_and(is_soon) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.sent_at = Some(now);
        Some(match std::mem::take(&mut self.suppressed) {
            0 => String::new(),
            suppressed => format!(" ({suppressed} more before it)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::HeartbeatFaults;
    use crate::balancer::events::{Event, Observer};
    use crate::heartbeat::{HeartbeatFile, HeartbeatMessage, ReportError};
    use crate::sync::Mutex;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn told() -> (HeartbeatFaults, impl Fn() -> Vec<String>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = lines.clone();
        let observer: Arc<dyn Observer> = Arc::new(move |event: &Event<'_>| {
            log.lock().push(event.to_string());
        });
        let faults = HeartbeatFaults::new(Some(&observer));
        (faults, move || std::mem::take(&mut *lines.lock()))
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_one_dropped_report_per_second_is_reported() {
        let (faults, told) = told();
        let error = HeartbeatMessage::parse(b"v=1&busy=1").unwrap_err();
        let error = ReportError::from(error);
        for number in 0..1_000 {
            faults.dropped([10, 0, 0, 1].into(), &error);
            assert_eq!(told().len(), usize::from(number == 0));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        faults.dropped([10, 0, 0, 2].into(), &error);
        let expected = "heartbeats: dropped a heartbeat from 10.0.0.2: the message is not a heartbeat: \
                        `ready` is missing (999 more before it)";
        assert_eq!(told(), [expected]);
    }

    #[test]
    fn a_fault_of_a_file_is_reported_once_while_it_lasts() {
        let (faults, told) = told();
        let path = Path::new("hb.dat");
        let (_, errors) = HeartbeatFile::parse(b"10.0.0.1 ready=x&busy=1\n");
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let line =
            "heartbeats: `hb.dat`, line 1: `ready` is not a number: \"x\"; the line is skipped";
        for _ in 0..2 {
            faults.read(path, Ok(&errors));
        }
        assert_eq!(told(), [line]);
        for _ in 0..2 {
            faults.read(path, Err(&missing));
        }
        assert_eq!(
            told(),
            ["heartbeats: `hb.dat` cannot be read: entity not found"]
        );
        faults.read(path, Ok(&errors));
        assert_eq!(told(), [line]);
        let (_, errors) = HeartbeatFile::parse("x\n".repeat(14).as_bytes());
        faults.read(path, Ok(&errors));
        let lines = told();
        assert_eq!(lines.len(), 11);
        assert_eq!(
            lines[10],
            "heartbeats: `hb.dat`: at least 4 more lines are skipped"
        );
    }

    #[test]
    fn a_panic_of_the_observer_is_caught() {
        let observer: Arc<dyn Observer> = Arc::new(|_: &Event<'_>| panic!("it cannot be told"));
        let faults = HeartbeatFaults::new(Some(&observer));
        faults.written(
            Path::new("hb.dat"),
            &Err(io::ErrorKind::PermissionDenied.into()),
        );
    }
}
