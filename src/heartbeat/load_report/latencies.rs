//! The time that a request takes at a number of requests in flight, from recent samples:
//! [`LatencySamples`].
//!
//! Not here: the clock, which the caller reads.

use std::time::Duration;

use crate::clock::Timestamp;

/// The number of samples that are kept.
const SAMPLES: usize = 128;

/// The latencies of the last requests, each with the requests that were in flight when it
/// arrived.
///
/// Source: the estimator of Prequal (NSDI 2024). Samples expire: an idle server would
/// otherwise look slow until requests come, which therefore do not come.
#[derive(Debug)]
pub(super) struct LatencySamples {
    lifetime: Duration,
    samples: Vec<LatencySample>,
    /// The place of the next sample.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct LatencySample {
    in_flight: u32,
    latency: Duration,
    at: Timestamp,
}

impl LatencySamples {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            samples: Vec::with_capacity(SAMPLES),
            next: 0,
        }
    }

    /// Records the latency of a request that ended at `at`; `in_flight` other ones were in
    /// flight when it arrived.
    pub(super) fn record(&mut self, in_flight: u32, latency: Duration, at: Timestamp) {
        let sample = LatencySample {
            in_flight,
            latency,
            at,
        };
        match self.samples.get_mut(self.next) {
            Some(place) => *place = sample,
            None => self.samples.push(sample),
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// Returns the time that a request takes with `in_flight` others: the median of the
    /// fresh samples whose number was at or near that, or nearest to it.
    ///
    /// Without fresh samples it is zero if nothing else is in flight, as nothing is known
    /// that a request would wait for; otherwise the latency of the last request.
    pub(super) fn estimate(&self, in_flight: u32, now: Timestamp) -> Duration {
        let mut near = [Duration::ZERO; SAMPLES];
        let mut count = 0;
        let fresh = || {
            let samples = self.samples.iter();
            samples.filter(|it| now.since(it.at) < self.lifetime)
        };
        let distance = |it: &LatencySample| it.in_flight.abs_diff(in_flight);
        let Some(nearest) = fresh().map(distance).min() else {
            return if in_flight == 0 {
                Duration::ZERO
            } else {
                self.last().map_or(Duration::ZERO, |it| it.latency)
            };
        };
        let reach = nearest.max(in_flight / 8).max(1);
        for (place, it) in near
            .iter_mut()
            .zip(fresh().filter(|it| distance(it) <= reach))
        {
            *place = it.latency;
            count += 1;
        }
        let (_, median, _) = near[..count].select_nth_unstable((count - 1) / 2);
        *median
    }

    fn last(&self) -> Option<&LatencySample> {
        let last = (self.next + SAMPLES - 1) % SAMPLES;
        self.samples.get(last)
    }
}

#[cfg(test)]
mod tests {
    use super::LatencySamples;
    use crate::clock::Timestamp;
    use std::time::Duration;

    const LIFETIME: Duration = Duration::from_millis(100);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(time: u64) -> Timestamp {
        Timestamp::ORIGIN + millis(time)
    }

    fn samples(all: &[(u32, u64, u64)]) -> LatencySamples {
        let mut samples = LatencySamples::new(LIFETIME);
        for &(in_flight, latency, time) in all {
            samples.record(in_flight, millis(latency), at(time));
        }
        samples
    }

    #[test]
    fn it_is_the_median_of_the_samples_near_the_present_number_in_flight() {
        let samples = samples(&[
            (1, 10, 0),
            (1, 12, 1),
            (2, 90, 2),
            (40, 500, 3),
            (44, 400, 4),
        ]);
        assert_eq!(samples.estimate(1, at(5)), millis(12));
        assert_eq!(samples.estimate(0, at(5)), millis(10));
        assert_eq!(samples.estimate(41, at(5)), millis(400));
        assert_eq!(
            samples.estimate(1_000, at(5)),
            millis(400),
            "the nearest ones"
        );
    }

    #[test]
    fn samples_expire_so_that_an_idle_server_does_not_look_slow() {
        let samples = samples(&[(30, 900, 0), (3, 70, 10)]);
        assert_eq!(samples.estimate(0, at(50)), millis(70));
        assert_eq!(samples.estimate(0, at(110)), Duration::ZERO);
        assert_eq!(samples.estimate(5, at(110)), millis(70), "it is not idle");
    }

    #[test]
    fn the_last_128_samples_count() {
        let mut samples = LatencySamples::new(LIFETIME);
        assert_eq!(samples.estimate(7, at(0)), Duration::ZERO);
        for latency in 0..200 {
            samples.record(0, millis(latency), at(0));
        }
        assert_eq!(samples.estimate(0, at(1)), millis(72 + 63));
    }
}
