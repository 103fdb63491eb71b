//! The counters of a router of connections: [`RouterStatistics`].

use std::fmt;
use std::sync::Arc;

use crate::forward::GreetingError;
use crate::sync::{AtomicU64, Relaxed};

/// The counters of a [`StreamRouter`](super::StreamRouter) and its clones. It is a handle:
/// its clones show the same, changing numbers.
///
/// A connection counts once it has a target, or is closed without one. A connection whose
/// PROXY header or TLS handshake fails, or that the stop cuts before, does not count here.
///
/// # Examples
///
/// ```
/// use equipoise::forward::StreamRouter;
///
/// let statistics = StreamRouter::new().statistics();
/// assert_eq!(statistics.routed(), 0);
/// assert_eq!(statistics.to_string(), "connections: 0 routed");
/// ```
#[derive(Clone, Default)]
pub struct RouterStatistics(Arc<RouterCounters>);

// Relaxed, each of them: a number for operators.
#[derive(Default)]
struct RouterCounters {
    routed: AtomicU64,
    without_target: AtomicU64,
    disconnected: AtomicU64,
    malformed: AtomicU64,
    timed_out: AtomicU64,
    too_long: AtomicU64,
}

impl RouterStatistics {
    /// Returns how many connections were passed to a target.
    #[must_use]
    pub fn routed(&self) -> u64 {
        self.0.routed.load(Relaxed)
    }

    /// Returns how many connections were closed because no rule has a target for them.
    #[must_use]
    pub fn without_target(&self) -> u64 {
        self.0.without_target.load(Relaxed)
    }

    /// Returns how many clients ended or reset their connection before its target was
    /// known.
    #[must_use]
    pub fn disconnected(&self) -> u64 {
        self.0.disconnected.load(Relaxed)
    }

    /// Returns how many connections were closed because the ClientHello was malformed.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.0.malformed.load(Relaxed)
    }

    /// Returns how many connections were closed because the ClientHello was not complete in
    /// time.
    #[must_use]
    pub fn timed_out(&self) -> u64 {
        self.0.timed_out.load(Relaxed)
    }

    /// Returns how many connections were closed because the ClientHello was too long.
    #[must_use]
    pub fn too_long(&self) -> u64 {
        self.0.too_long.load(Relaxed)
    }

    pub(super) fn count_found(&self, is_found: bool) {
        let counter = match is_found {
            true => &self.0.routed,
            false => &self.0.without_target,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn count_unread(&self, error: &GreetingError) {
        let counter = match error {
            GreetingError::Ended | GreetingError::Io { .. } => &self.0.disconnected,
            GreetingError::Malformed { .. } => &self.0.malformed,
            GreetingError::TimedOut => &self.0.timed_out,
            GreetingError::TooLong { .. } => &self.0.too_long,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// One line. Zero counts, except for routed connections, are left out.
impl fmt::Display for RouterStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections: {} routed", self.routed())?;
        for (count, of_what) in [
            (self.without_target(), "without a target"),
            (self.disconnected(), "disconnected by the client"),
            (self.malformed(), "with a malformed hello"),
            (self.timed_out(), "with a hello that timed out"),
            (self.too_long(), "with a hello that is too long"),
        ] {
            if count > 0 {
                write!(f, ", {count} {of_what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RouterStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouterStatistics")
            .field(&format_args!("{self}"))
            .finish()
    }
}
