//! The count: [`InFlight`], and the [`InFlightGuard`] of each request.

use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicU32, Relaxed};

/// Counts the requests that this server has in flight. Clones are the same counter.
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
    // Relaxed: a number that is reported; nothing is published through it.
    count: Arc<AtomicU32>,
}

impl InFlight {
    /// Creates a counter that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many requests are in flight.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// Counts a request until the guard is dropped. [`InFlightLayer`](super::InFlightLayer) does
    /// so for each; take a guard of your own for what goes on after an answer, such as a
    /// WebSocket.
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

/// One request, counted until this is dropped.
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
