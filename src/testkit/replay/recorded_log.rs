//! A log while it grows: [`RecordedLog`].

use std::collections::HashMap;
use std::fmt::Write;
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

#[derive(Default)]
struct LogText {
    text: String,
    /// How many picks there have been.
    requests: u64,
    /// The name of each member, present or removed, unless a later one has its name.
    names: HashMap<MemberId, Arc<str>>,
    ids: HashMap<Arc<str>, MemberId>,
}

/// Ends the turn of a thread, also when its operation panics.
struct TurnEnd<'l>(&'l RecordedLog);

impl Drop for TurnEnd<'_> {
    fn drop(&mut self) {
        *self.0.turn_of.lock() = None;
    }
}

impl RecordedLog {
    pub(super) fn new(time: ManualClock, source: Arc<dyn Clock>, text: String) -> Self {
        let text = LogText {
            text,
            ..LogText::default()
        };
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
        let (text, now) = (&mut self.text.lock().text, self.now());
        // Writing to a string does not fail.
        let _ = writeln!(text, "@{} {record}", now.as_nanos());
    }

    /// Returns the time of the operation in progress.
    pub(super) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Returns the log up to now.
    pub(super) fn text(&self) -> String {
        self.text.lock().text.clone()
    }

    /// Counts a pick, and returns its number.
    pub(super) fn next_request(&self) -> u64 {
        let mut log = self.text.lock();
        log.requests += 1;
        log.requests
    }

    /// Returns the name of a member; the empty text for a member whose name another one has
    /// now, which no pick can pick.
    pub(super) fn name_of(&self, id: MemberId) -> String {
        let log = self.text.lock();
        log.names
            .get(&id)
            .map_or_else(String::new, |name| name.to_string())
    }

    pub(super) fn know(&self, name: Arc<str>, id: MemberId) {
        let mut log = self.text.lock();
        log.names.insert(id, name.clone());
        match log.ids.insert(name, id) {
            Some(former) if former != id => {
                log.names.remove(&former);
            }
            _ => {}
        }
    }
}
