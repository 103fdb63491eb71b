//! Measurements of one member in a window, without a lock: [`Gauge`].

use std::time::Duration;

use super::rule::{LimitRule, LimitSample};
use crate::clock::Timestamp;
use crate::health::by_slot::OfMember;
use crate::member::MemberId;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Relaxed};

/// The window of one member, and its rule.
#[repr(align(128))]
pub(super) struct Gauge {
    id: MemberId,
    // All of them relaxed: it does not matter if a window is off by a few concurrent
    // requests.
    micros: AtomicU64,
    responses: AtomicU32,
    in_flight: AtomicU32,
    dropped: AtomicU32,
    /// The end of the window, in nanoseconds.
    ends: AtomicU64,
    rule: Mutex<Box<dyn LimitRule>>,
}

impl OfMember for Gauge {
    fn member(&self) -> MemberId {
        self.id
    }
}

impl Gauge {
    pub(super) fn new(id: MemberId, rule: Box<dyn LimitRule>, ends: Timestamp) -> Self {
        Self {
            id,
            micros: AtomicU64::new(0),
            responses: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            ends: AtomicU64::new(ends.as_nanos()),
            rule: Mutex::new(rule),
        }
    }

    /// Records a response and its time to the head.
    #[inline]
    pub(super) fn responded(&self, time: Duration, in_flight: u32) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        self.micros.fetch_add(micros, Relaxed);
        self.responses.fetch_add(1, Relaxed);
        self.saw(in_flight);
    }

    /// Records a request that was refused or timed out.
    pub(super) fn dropped(&self, in_flight: u32) {
        self.dropped.fetch_add(1, Relaxed);
        self.saw(in_flight);
    }

    #[inline]
    fn saw(&self, in_flight: u32) {
        if self.in_flight.load(Relaxed) < in_flight {
            self.in_flight.fetch_max(in_flight, Relaxed);
        }
    }

    /// Ends the window if its time has elapsed and it has enough samples; then returns the
    /// limit.
    pub(super) fn update(&self, now: Timestamp, window: Duration, enough: u32) -> Option<u32> {
        let ends = self.ends.load(Relaxed);
        let next = (now + window).as_nanos();
        // The second condition holds after the clock was set back.
        if now.as_nanos() < ends && ends <= next {
            return None;
        }
        let measured = self
            .responses
            .load(Relaxed)
            .saturating_add(self.dropped.load(Relaxed));
        if measured < enough {
            return None;
        }
        let mut rule = self.rule.try_lock()?;
        if self.ends.load(Relaxed) != ends {
            return None;
        }
        self.ends.store(next, Relaxed);
        rule.update(self.drain());
        Some(rule.limit().max(1))
    }

    pub(super) fn limit(&self) -> u32 {
        self.rule.lock().limit().max(1)
    }

    fn drain(&self) -> LimitSample {
        let (micros, responses) = (
            self.micros.swap(0, Relaxed),
            self.responses.swap(0, Relaxed),
        );
        let mean = micros.checked_div(responses.into()).unwrap_or(0);
        LimitSample::new(Duration::from_micros(mean))
            .with_in_flight(self.in_flight.swap(0, Relaxed))
            .with_dropped(self.dropped.swap(0, Relaxed) > 0)
    }
}
