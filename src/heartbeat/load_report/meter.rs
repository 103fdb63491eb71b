//! What one server measures: [`LoadMeter`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::latencies::LatencySamples;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::heartbeat::in_flight::InFlight;
use crate::scheduler::ProbeReport;
use crate::sync::Mutex;

/// How long a sample counts by default.
const LIFETIME: Duration = Duration::from_millis(100);

/// The requests in flight of a server, and the latencies of the last ones.
#[derive(Clone)]
pub(super) struct LoadMeter {
    pub(super) in_flight: InFlight,
    clock: Arc<dyn Clock>,
    /// A leaf lock.
    latencies: Arc<Mutex<LatencySamples>>,
}

/// A request when it has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    at: Timestamp,
    /// The other requests in flight.
    others: u32,
}

impl LoadMeter {
    pub(super) fn new() -> Self {
        Self {
            in_flight: InFlight::new(),
            clock: Arc::new(SystemClock::new()),
            latencies: Arc::new(Mutex::new(LatencySamples::new(LIFETIME))),
        }
    }

    pub(super) fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    pub(super) fn with_lifetime(self, lifetime: Duration) -> Self {
        Self {
            latencies: Arc::new(Mutex::new(LatencySamples::new(lifetime))),
            ..self
        }
    }

    /// Notes a request that has been counted.
    pub(super) fn arrive(&self) -> Arrival {
        Arrival {
            at: self.clock.now(),
            others: self.others(),
        }
    }

    /// Records the head of a response, and returns the report for it. A failed request tells
    /// nothing of the latency of others.
    pub(super) fn respond(&self, arrival: Arrival, has_failed: bool) -> ProbeReport {
        let (now, in_flight) = (self.clock.now(), self.others());
        let mut latencies = self.latencies.lock();
        if !has_failed {
            latencies.record(arrival.others, now.since(arrival.at), now);
        }
        ProbeReport {
            in_flight,
            latency: latencies.estimate(in_flight, now),
        }
    }

    /// Returns the load as another request would find it.
    pub(super) fn report(&self) -> ProbeReport {
        let in_flight = self.in_flight.count();
        let latency = self.latencies.lock().estimate(in_flight, self.clock.now());
        ProbeReport { in_flight, latency }
    }

    /// Returns the requests in flight without that of the caller.
    fn others(&self) -> u32 {
        self.in_flight.count().saturating_sub(1)
    }
}

impl fmt::Debug for LoadMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadMeter")
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}
