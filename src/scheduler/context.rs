//! What a scheduler is given for a pick, besides the candidates: [`PickContext`], with the
//! time of the pick ([`PickTime`]).

use std::any::Any;
use std::sync::Arc;

use super::PickFacts;
use crate::clock::{Clock, Timestamp};
use crate::random::Random;
use crate::sync::{AtomicU64, Relaxed};

/// The inputs of a pick other than the candidates.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, PickContext};
///
/// /// How a scheduler that samples members could draw the first one.
/// fn draw(candidates: &Candidates<'_>, context: &PickContext<'_>) -> u64 {
///     context.random().below(candidates.len() as u64)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PickContext<'p> {
    pub(crate) time: Option<&'p PickTime<'p>>,
    pub(crate) hash: Option<u64>,
    pub(crate) facts: PickFacts<'p>,
    pub(crate) random: &'p Random,
}

impl<'p> PickContext<'p> {
    /// Returns the time, if [`Scheduler::needs`](super::Scheduler::needs) contains
    /// [`Needs::CLOCK`](super::Needs::CLOCK).
    ///
    /// The clock is read at the first call of a pick; later calls return the same time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use equipoise::scheduler::PickContext;
    ///
    /// /// Whether something that a member reported `at` is too old to use.
    /// fn is_stale(at: Timestamp, context: &PickContext<'_>) -> bool {
    ///     context.now().is_some_and(|now| now.since(at).as_secs() >= 10)
    /// }
    /// ```
    #[must_use]
    #[inline]
    pub fn now(&self) -> Option<Timestamp> {
        self.time.map(PickTime::get)
    }

    /// Returns the request's hash key, if it has one.
    #[must_use]
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// Returns the facts that were passed with the request, if they are of this type.
    #[must_use]
    pub fn facts<T: Any>(&self) -> Option<&'p T> {
        self.facts.get()
    }

    /// Returns the source of randomness.
    #[must_use]
    pub fn random(&self) -> &'p Random {
        self.random
    }
}

/// The time of one pick: the clock is read when the time is first needed, and only once.
#[derive(Debug)]
pub(crate) struct PickTime<'p> {
    /// `None` if the time is known.
    clock: Option<&'p Arc<dyn Clock>>,
    /// In nanoseconds, or [`UNREAD`]. Relaxed: it is read where it is written.
    now: AtomicU64,
}

/// The clock was not read yet. A clock that returns this time is read again.
const UNREAD: u64 = u64::MAX;

impl<'p> PickTime<'p> {
    /// The time that `clock` has when it is first needed, unless `now` is given.
    #[inline]
    pub(crate) fn new(clock: &'p Arc<dyn Clock>, now: Option<Timestamp>) -> Self {
        Self {
            clock: Some(clock),
            now: AtomicU64::new(now.map_or(UNREAD, Timestamp::as_nanos)),
        }
    }

    pub(crate) fn known(now: Timestamp) -> Self {
        Self {
            clock: None,
            now: AtomicU64::new(now.as_nanos()),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Timestamp {
        let known = self.now.load(Relaxed);
        match self.clock {
            Some(clock) if known == UNREAD => {
                let now = clock.now();
                self.now.store(now.as_nanos(), Relaxed);
                now
            }
            _ => Timestamp::from_nanos(known),
        }
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "clippy does not know helpers of tests")]

    use std::sync::Arc;

    use crate::balancer::{Balancer, PickRequest};
    use crate::clock::{Clock, Timestamp};
    use crate::member::{MemberSpec, Outcome};
    use crate::scheduler::{LeastRequest, PeakEwma, Scheduler};
    use crate::sync::{AtomicU64, Relaxed};

    /// A clock that counts its readings.
    #[derive(Clone, Debug, Default)]
    struct CountedClock(Arc<AtomicU64>);

    impl Clock for CountedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_nanos(self.0.fetch_add(1, Relaxed))
        }
    }

    /// Returns the readings by a pick, after one whose request ended with `outcome`.
    fn readings(scheduler: impl Scheduler, outcome: Outcome) -> u64 {
        let clock = CountedClock::default();
        let balancer = Balancer::builder()
            .scheduler(scheduler)
            .clock(clock.clone())
            .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
            .build()
            .unwrap();
        balancer.pick(&PickRequest::new()).unwrap().finish(outcome);
        let before = clock.0.load(Relaxed);
        let _lease = balancer.pick(&PickRequest::new()).unwrap();
        clock.0.load(Relaxed) - before
    }

    #[test]
    fn a_pick_reads_the_clock_once_and_only_if_the_time_counts() {
        assert_eq!(readings(PeakEwma::new(), Outcome::Success), 1);
        assert_eq!(readings(LeastRequest::new(), Outcome::Success), 0);
        assert_eq!(readings(LeastRequest::new(), Outcome::Failure), 1);
    }
}
