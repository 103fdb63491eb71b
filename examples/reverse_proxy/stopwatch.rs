//! Measures how long requests are in flight, by member, as an observer of the balancer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::{Event, Observer};

/// An observer that adds up the times in flight.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    by_member: Mutex<HashMap<String, Times>>,
}

#[derive(Debug, Default)]
struct Times {
    sum: Duration,
    count: u32,
}

impl Stopwatch {
    pub(crate) fn reset(&self) {
        self.times().clear();
    }

    /// Returns the mean time of a member in seconds; infinity without requests.
    pub(crate) fn mean(&self, member: &str) -> f64 {
        self.times().get(member).map_or(f64::INFINITY, |times| {
            times.sum.as_secs_f64() / f64::from(times.count)
        })
    }

    fn times(&self) -> MutexGuard<'_, HashMap<String, Times>> {
        self.by_member
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Stopwatch {
    fn observe(&self, event: &Event<'_>) {
        let (EventKind::Ended(ended), Some(member)) = (event.kind, event.member) else {
            return;
        };
        let Some(elapsed) = ended.elapsed else {
            return;
        };
        let mut times = self.times();
        let times = times.entry(member.name().to_owned()).or_default();
        times.sum += elapsed;
        times.count += 1;
    }

    fn interest(&self) -> Interest {
        Interest::ELAPSED
    }
}
