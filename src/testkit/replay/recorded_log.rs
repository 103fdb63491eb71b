//! A log while it grows: [`RecordedLog`].

use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use super::line::LogRecord;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::member::MemberId;
use crate::sync::Mutex;

/// The log, and the clock that stands still between two records.
///
/// An operation runs code of the user: the scheduler, closures, the drop of a payload. So it
/// does not hold the lock of the text. Other threads wait for their turn; an operation that
/// another one makes on the same thread is part of that turn, and is recorded before it.
pub(super) struct RecordedLog {
    /// The balancer's clock.
    time: ManualClock,
    source: Arc<dyn Clock>,
    turn: Mutex<()>,
    /// The thread whose turn it is.
    turn_of: Mutex<Option<ThreadId>>,
    text: Mutex<LogText>,
}

/// Where a log goes, if it is not kept in memory.
pub(super) type LogSink = Box<dyn io::Write + Send>;

#[derive(Default)]
struct LogText {
    /// The log; with a sink, the line that is being written.
    text: String,
    sink: Option<LogSink>,
    /// Why the sink gets no more lines.
    failed: Option<Arc<io::Error>>,
    /// How many picks there have been.
    requests: u64,
    /// The name of each member, present or removed, unless a later one has its name. When
    /// they are many, those of removed members are forgotten.
    names: HashMap<MemberId, Arc<str>>,
    ids: HashMap<Arc<str>, MemberId>,
    /// How many names were left when some were last forgotten.
    kept: usize,
}

/// The names of so many removed members are always kept.
const FORMER_NAMES: usize = 1_000;

impl LogText {
    /// Passes the text on to the sink, if there is one. A log with a gap would be of no use, so
    /// nothing follows a line that could not be written.
    fn pass_on(&mut self) {
        let Some(sink) = &mut self.sink else {
            return;
        };
        if self.failed.is_none() {
            let written = sink.write_all(self.text.as_bytes());
            self.failed = written.err().map(Arc::new);
        }
        self.text.clear();
    }
}

/// Ends the turn of a thread, also when its operation panics.
struct TurnEnd<'l>(&'l RecordedLog);

impl Drop for TurnEnd<'_> {
    fn drop(&mut self) {
        *self.0.turn_of.lock() = None;
    }
}

impl RecordedLog {
    pub(super) fn new(
        time: ManualClock,
        source: Arc<dyn Clock>,
        text: String,
        sink: Option<LogSink>,
    ) -> Self {
        let mut text = LogText {
            text,
            sink,
            ..LogText::default()
        };
        text.pass_on();
        Self {
            time,
            source,
            turn: Mutex::new(()),
            turn_of: Mutex::new(None),
            text: Mutex::new(text),
        }
    }

    /// Does something at one time, and writes down the record that it returns.
    pub(super) fn record<R>(&self, work: impl FnOnce() -> (R, LogRecord)) -> R {
        self.record_if(|| {
            let (result, record) = work();
            (result, Some(record))
        })
    }

    pub(super) fn record_if<R>(&self, work: impl FnOnce() -> (R, Option<LogRecord>)) -> R {
        self.in_turn(|| {
            let (result, record) = work();
            if let Some(record) = record {
                self.write(&record);
            }
            result
        })
    }

    /// Writes down a record, and then does what it tells.
    pub(super) fn record_first<R>(&self, record: &LogRecord, work: impl FnOnce() -> R) -> R {
        self.in_turn(|| {
            self.write(record);
            work()
        })
    }

    fn in_turn<R>(&self, work: impl FnOnce() -> R) -> R {
        let thread = Some(thread::current().id());
        if *self.turn_of.lock() == thread {
            return work();
        }
        let _turn = self.turn.lock();
        *self.turn_of.lock() = thread;
        let _end = TurnEnd(self);
        // Never backwards.
        self.time.set(self.now().max(self.source.now()));
        work()
    }

    fn write(&self, record: &LogRecord) {
        let (mut log, now) = (self.text.lock(), self.now());
        // Writing to a string does not fail.
        let _ = writeln!(log.text, "@{} {record}", now.as_nanos());
        log.pass_on();
    }

    /// Flushes the sink. Returns the first error that it has ever had.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut log = self.text.lock();
        let LogText { sink, failed, .. } = &mut *log;
        if let (Some(sink), None) = (sink, &failed) {
            *failed = sink.flush().err().map(Arc::new);
        }
        failed.as_ref().map_or(Ok(()), |error| {
            Err(io::Error::new(error.kind(), error.clone()))
        })
    }

    /// Returns the time of the operation in progress.
    pub(super) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Returns the log up to now; the empty text if there is a sink.
    pub(super) fn text(&self) -> String {
        self.text.lock().text.clone()
    }

    /// Counts a pick, and returns its number.
    pub(super) fn next_request(&self) -> u64 {
        let mut log = self.text.lock();
        log.requests += 1;
        log.requests
    }

    /// Returns the name of a member; the empty text for one that no pick can pick, because
    /// another one has its name, or because it was removed and its name forgotten.
    pub(super) fn name_of(&self, id: MemberId) -> String {
        let log = self.text.lock();
        log.names
            .get(&id)
            .map_or_else(String::new, |name| name.to_string())
    }

    /// Remembers the name of a member. `is_present` tells which names members have.
    pub(super) fn know(&self, name: Arc<str>, id: MemberId, is_present: impl Fn(&str) -> bool) {
        let mut log = self.text.lock();
        if log.names.len() > 2 * log.kept + FORMER_NAMES {
            log.names.retain(|_, name| is_present(name));
            log.ids.retain(|name, _| is_present(name));
            log.kept = log.names.len();
        }
        log.names.insert(id, name.clone());
        match log.ids.insert(name, id) {
            Some(former) if former != id => {
                log.names.remove(&former);
            }
            _ => {}
        }
    }
}
