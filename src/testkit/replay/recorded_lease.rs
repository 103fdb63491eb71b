//! A lease whose use is written down: [`RecordedLease`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::line::LogRecord;
use super::recorded_log::RecordedLog;
use crate::balancer::Lease;
use crate::member::{MemberState, Outcome};
use crate::session::Session;

/// A [`Lease`] of a [`Recorder`](super::Recorder): its bytes, its response, its errors and
/// its end are written down.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::Recorder;
/// use equipoise::{ByTraffic, MemberSpec, Outcome, PickRequest};
///
/// let recorder = Recorder::new(7, ByTraffic::new())?;
/// recorder.insert("a", (), MemberSpec::new())?;
/// let mut lease = recorder.pick(&PickRequest::new())?;
/// lease.record_received(1_024);
/// lease.finish(Outcome::Success);
/// let log = recorder.log();
/// assert!(log.contains("received 1 1024") && log.contains("end 1 success"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped at once counts nothing"]
pub struct RecordedLease<W> {
    /// `None` once it has ended.
    lease: Option<Lease<W>>,
    number: u64,
    log: Arc<RecordedLog>,
}

impl<W> RecordedLease<W> {
    pub(super) fn new(lease: Lease<W>, number: u64, log: Arc<RecordedLog>) -> Self {
        Self {
            lease: Some(lease),
            number,
            log,
        }
    }

    fn lease(&self) -> &Lease<W> {
        match &self.lease {
            Some(lease) => lease,
            None => unreachable!("only what consumes the lease takes it"),
        }
    }

    /// Returns the state of the member.
    #[must_use]
    pub fn member(&self) -> &MemberState {
        self.lease().member()
    }

    /// Returns how the request's session was served.
    #[must_use]
    pub fn session(&self) -> Session {
        self.lease().session()
    }

    /// Counts bytes sent to the member: see [`Lease::record_sent`].
    pub fn record_sent(&mut self, bytes: u64) {
        self.record(
            |lease| lease.record_sent(bytes),
            |number| LogRecord::Sent(number, bytes),
        );
    }

    /// Counts bytes received from the member: see [`Lease::record_received`].
    pub fn record_received(&mut self, bytes: u64) {
        self.record(
            |lease| lease.record_received(bytes),
            |number| LogRecord::Received(number, bytes),
        );
    }

    /// Records the head of the response: see [`Lease::record_head`].
    pub fn record_head(&mut self, status: Option<u16>) {
        self.record(
            |lease| lease.record_head(status),
            |number| LogRecord::Head(number, status),
        );
    }

    /// Puts the member in error: see [`Lease::put_in_error`].
    pub fn put_in_error(&mut self) {
        self.record(|lease| lease.put_in_error(), LogRecord::Error);
    }

    /// Ends the use of the member with an outcome: see [`Lease::finish`].
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome, |lease| lease.finish(outcome));
    }

    fn record(&mut self, work: impl FnOnce(&mut Lease<W>), record: impl FnOnce(u64) -> LogRecord) {
        if let Some(lease) = &mut self.lease {
            self.log.record(|| (work(lease), record(self.number)));
        }
    }

    fn end(&mut self, outcome: Outcome, work: impl FnOnce(Lease<W>)) {
        if let Some(lease) = self.lease.take() {
            let record = LogRecord::End(self.number, outcome);
            self.log.record(|| (work(lease), record));
        }
    }
}

impl<W> Deref for RecordedLease<W> {
    type Target = W;

    fn deref(&self) -> &W {
        self.lease()
    }
}

impl<W> Drop for RecordedLease<W> {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() {
            Outcome::Failure
        } else {
            Outcome::Cancelled
        };
        self.end(outcome, |lease| lease.finish(outcome));
    }
}

impl<W> fmt::Debug for RecordedLease<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedLease")
            .field("lease", &self.lease)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
