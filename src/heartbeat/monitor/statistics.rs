//! Counts of accepted and dropped reports: [`HeartbeatStatistics`].

use std::fmt;
use std::sync::Arc;

use super::ReportError;
use crate::sync::{AtomicU64, Relaxed};

/// The counts of a [`HeartbeatMonitor`](super::HeartbeatMonitor). It is a live handle: its
/// clones show the same numbers, which keep changing.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::HeartbeatMonitor;
///
/// let monitor = HeartbeatMonitor::new();
/// let statistics = monitor.statistics();
/// monitor.receive([10, 0, 0, 1].into(), b"v=1&ready=30&busy=2")?;
/// let _ = monitor.receive([10, 0, 0, 1].into(), b"hello");
/// assert_eq!((statistics.accepted(), statistics.malformed()), (1, 1));
/// assert_eq!(statistics.to_string(), "heartbeats: 1 accepted; dropped: 1 malformed");
/// # Ok::<(), equipoise::heartbeat::ReportError>(())
/// ```
#[derive(Clone, Default)]
pub struct HeartbeatStatistics(Arc<HeartbeatCounters>);

// All relaxed: numbers for operators.
#[derive(Default)]
struct HeartbeatCounters {
    accepted: AtomicU64,
    full: AtomicU64,
    malformed: AtomicU64,
    not_signed: AtomicU64,
    outdated: AtomicU64,
    replayed: AtomicU64,
    wrong_signature: AtomicU64,
    unresolved: AtomicU64,
}

impl HeartbeatStatistics {
    /// Returns the number of accepted reports, including those of servers that are not
    /// members.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Relaxed)
    }

    /// Returns the number of reports that were dropped because too many servers report that
    /// are not members or, with a key, because too many senders sign.
    #[must_use]
    pub fn full(&self) -> u64 {
        self.0.full.load(Relaxed)
    }

    /// Returns the number of reports that could not be parsed.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.0.malformed.load(Relaxed)
    }

    /// Returns the number of reports without a signature though there is a key.
    #[must_use]
    pub fn not_signed(&self) -> u64 {
        self.0.not_signed.load(Relaxed)
    }

    /// Returns the number of reports whose signature has a time too far from the local
    /// time.
    #[must_use]
    pub fn outdated(&self) -> u64 {
        self.0.outdated.load(Relaxed)
    }

    /// Returns the number of reports that had been received before.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.0.replayed.load(Relaxed)
    }

    /// Returns the number of reports with a wrong signature.
    #[must_use]
    pub fn wrong_signature(&self) -> u64 {
        self.0.wrong_signature.load(Relaxed)
    }

    /// Returns the number of failed lookups of members' names. Previous addresses stay in
    /// use.
    #[must_use]
    pub fn unresolved(&self) -> u64 {
        self.0.unresolved.load(Relaxed)
    }

    pub(super) fn count_accepted(&self) {
        self.0.accepted.fetch_add(1, Relaxed);
    }

    pub(super) fn count_unresolved(&self) {
        self.0.unresolved.fetch_add(1, Relaxed);
    }

    pub(super) fn count_dropped(&self, error: &ReportError) {
        let counter = match error {
            ReportError::Full => &self.0.full,
            ReportError::Malformed(_) => &self.0.malformed,
            ReportError::NotSigned => &self.0.not_signed,
            ReportError::Outdated => &self.0.outdated,
            ReportError::Replayed => &self.0.replayed,
            ReportError::WrongSignature => &self.0.wrong_signature,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// Prints one line. Counts of zero are left out.
impl fmt::Display for HeartbeatStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "heartbeats: {} accepted", self.accepted())?;
        let mut before = "; dropped: ";
        for (count, of_what) in [
            (self.full(), "beyond the limit"),
            (self.malformed(), "malformed"),
            (self.not_signed(), "not signed"),
            (self.outdated(), "outdated"),
            (self.replayed(), "replayed"),
            (self.wrong_signature(), "with a wrong signature"),
        ] {
            if count > 0 {
                write!(f, "{before}{count} {of_what}")?;
                before = ", ";
            }
        }
        match self.unresolved() {
            0 => Ok(()),
            count => write!(f, "; {count} failed lookups"),
        }
    }
}

impl fmt::Debug for HeartbeatStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeartbeatStatistics")
            .field(&format_args!("{self}"))
            .finish()
    }
}
