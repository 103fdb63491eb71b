//! A log while it grows: [`RecordedLog`].

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::line::LogRecord;
use crate::clock::{Clock, ManualClock};
use crate::member::MemberId;
use crate::sync::Mutex;

/// The log, and the clock that stands still between two records.
pub(super) struct RecordedLog {
    /// The balancer's clock.
    pub(super) time: ManualClock,
    pub(super) source: Arc<dyn Clock>,
    pub(super) text: Mutex<LogText>,
}

#[derive(Default)]
pub(super) struct LogText {
    pub(super) text: String,
    /// How many picks there have been.
    pub(super) requests: u64,
    /// The name of each member, present or removed, unless a later one has its name.
    pub(super) names: HashMap<MemberId, Arc<str>>,
    ids: HashMap<Arc<str>, MemberId>,
}

impl RecordedLog {
    /// Does something at one time, and writes down the record that it returns.
    pub(super) fn record<R>(&self, work: impl FnOnce() -> (R, LogRecord)) -> R {
        self.record_if(|_| {
            let (result, record) = work();
            (result, Some(record))
        })
    }

    pub(super) fn record_if<R>(
        &self,
        work: impl FnOnce(&mut LogText) -> (R, Option<LogRecord>),
    ) -> R {
        let mut log = self.text.lock();
        // Never backwards.
        let now = self.time.now().max(self.source.now());
        self.time.set(now);
        let (result, record) = work(&mut log);
        if let Some(record) = record {
            // Writing to a string does not fail.
            let _ = writeln!(log.text, "@{} {record}", now.as_nanos());
        }
        result
    }
}

impl LogText {
    pub(super) fn beginning_with(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    pub(super) fn know(&mut self, name: Arc<str>, id: MemberId) {
        self.names.insert(id, name.clone());
        match self.ids.insert(name, id) {
            Some(former) if former != id => {
                self.names.remove(&former);
            }
            _ => {}
        }
    }
}
