//! A counter of requests in flight: [`InFlight`], and the [`InFlightGuard`] of each
//! request.

use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicU32, Relaxed};

/// Counts this server's requests in flight. Clones share one counter.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::InFlight;
///
/// let in_flight = InFlight::new();
/// let guard = in_flight.begin();
/// assert_eq!(in_flight.count(), 1);
/// drop(guard);
/// assert_eq!(in_flight.count(), 0);
/// ```
#[derive(Clone, Default)]
pub struct InFlight {
    // Relaxed: the number is only reported; no other data depends on it.
    count: Arc<AtomicU32>,
}

impl InFlight {
    /// Creates a counter at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of requests in flight.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// Counts a request until the guard is dropped. [`InFlightLayer`](super::InFlightLayer)
    /// calls it for each request. Call it yourself for work that continues after a
    /// response, such as a WebSocket.
    pub fn begin(&self) -> InFlightGuard {
        self.count.fetch_add(1, Relaxed);
        InFlightGuard { of: self.clone() }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.count()).finish()
    }
}

/// Counts one request until it is dropped.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once counts nothing"]
pub struct InFlightGuard {
    of: InFlight,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.of.count.fetch_sub(1, Relaxed);
    }
}
