//! What a scheduler needs from the balancer: [`Needs`].

use bitflags::bitflags;

bitflags! {
    /// What the balancer measures and does for a scheduler; anything else costs nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Needs;
    ///
    /// let needs = Needs::CLOCK | Needs::ENDED;
    /// assert!(needs.contains(Needs::CLOCK));
    /// assert!(!needs.contains(Needs::ELAPSED));
    /// assert!(needs.iter().eq([Needs::CLOCK, Needs::ENDED]));
    /// ```
    #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
    pub struct Needs: u8 {
        /// The time of each pick; with [`ENDED`](Self::ENDED), also that of failed requests
        /// ([`Ended::at`](crate::Ended::at)).
        ///
        /// # Examples
        ///
        /// ```
        /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, Needs, Scheduler};
        ///
        /// let heartbeat = Heartbeat::new(&HeartbeatReadings::new());
        /// assert!(heartbeat.needs().contains(Needs::CLOCK), "reports grow old");
        /// ```
        const CLOCK = 1;
        /// A call of [`Scheduler::on_ended`](super::Scheduler::on_ended) at the end of each
        /// request.
        ///
        /// # Examples
        ///
        /// ```
        /// use equipoise::scheduler::{ByBusyness, Heartbeat, HeartbeatReadings, Needs, Scheduler};
        ///
        /// let heartbeat = Heartbeat::new(&HeartbeatReadings::new());
        /// assert!(heartbeat.needs().contains(Needs::ENDED));
        /// assert_eq!(ByBusyness::new().needs(), Needs::NONE, "it reads the members' counters");
        /// ```
        const ENDED = 1 << 1;
        /// As [`ENDED`](Self::ENDED), with the time from pick to end.
        ///
        /// # Examples
        ///
        /// ```
        /// use equipoise::scheduler::Needs;
        ///
        /// assert!(Needs::ELAPSED.contains(Needs::ENDED));
        /// assert!(!Needs::ELAPSED.contains(Needs::CLOCK));
        /// ```
        const ELAPSED = 1 << 2 | Self::ENDED.bits();
        /// Waiting requests try again at every end of a request, not only when a member at
        /// its cap has room. For schedulers that withhold room: see
        /// [`Pick::AtCapacity`](super::Pick::AtCapacity).
        ///
        /// # Examples
        ///
        /// ```
        /// use equipoise::scheduler::{Candidates, Needs, Pick, PickContext, Scheduler};
        /// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
        ///
        /// /// Allows at most two requests in flight over all members.
        /// #[derive(Debug)]
        /// struct TwoInAll;
        ///
        /// impl Scheduler for TwoInAll {
        ///     fn name(&self) -> &'static str {
        ///         "two in all"
        ///     }
        ///
        ///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        ///         let in_flight: u32 = candidates.iter().map(|one| one.state().in_flight()).sum();
        ///         if in_flight < 2 {
        ///             candidates.claim_first(candidates.iter())
        ///         } else {
        ///             Pick::AtCapacity
        ///         }
        ///     }
        ///
        ///     fn needs(&self) -> Needs {
        ///         Needs::WAKE_ON_END
        ///     }
        /// }
        ///
        /// let balancer = Balancer::builder()
        ///     .scheduler(TwoInAll)
        ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
        ///     .build()?;
        /// let first = balancer.pick(&PickRequest::new())?;
        /// let second = balancer.pick(&PickRequest::new())?;
        /// assert_eq!(balancer.pick(&PickRequest::new()).unwrap_err(), PickError::AtCapacity);
        /// drop(first);
        /// assert!(balancer.pick(&PickRequest::new()).is_ok());
        /// # drop(second);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        const WAKE_ON_END = 1 << 3;
        /// A call of [`Scheduler::plan`](super::Scheduler::plan) after each change of the
        /// members.
        ///
        /// # Examples
        ///
        /// ```
        /// use equipoise::scheduler::{Maglev, Needs, Scheduler};
        ///
        /// assert_eq!(Maglev::new().needs(), Needs::PLAN);
        /// ```
        const PLAN = 1 << 4;
        /// As [`ELAPSED`](Self::ELAPSED), with the time from the pick to the head of the
        /// response, if the user of the member records it
        /// ([`Lease::record_head`](crate::Lease::record_head)).
        ///
        /// # Examples
        ///
        /// ```
        /// use equipoise::scheduler::Needs;
        ///
        /// assert!(Needs::TIME_TO_HEAD.contains(Needs::ELAPSED));
        /// ```
        const TIME_TO_HEAD = 1 << 5 | Self::ELAPSED.bits();
    }
}

impl Needs {
    /// No needs: no calls at the end of a request, and no readings of the clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{ByRequests, Needs, Scheduler};
    ///
    /// assert_eq!(ByRequests::new().needs(), Needs::NONE);
    /// ```
    pub const NONE: Self = Self::empty();
}

#[cfg(test)]
mod tests {
    use super::Needs;

    #[test]
    fn no_need_asks_for_what_another_does_unless_it_says_so() {
        let plan = Needs::PLAN | Needs::ELAPSED | Needs::CLOCK;
        assert!(!Needs::TIME_TO_HEAD.contains(Needs::PLAN));
        assert!(!plan.contains(Needs::TIME_TO_HEAD));
        let alone = [Needs::CLOCK, Needs::ENDED, Needs::WAKE_ON_END, Needs::PLAN];
        for (at, one) in alone.into_iter().enumerate() {
            let others = alone.iter().enumerate().filter(|(other, _)| *other != at);
            let all = others.fold(Needs::NONE, |all, (_, other)| all | *other);
            assert!(!all.contains(one), "{one:?}");
        }
    }
    /// The sets behave as when each was an integer type of this crate.
    #[test]
    fn a_set_has_the_needs_that_its_bits_have() {
        let all: Vec<Needs> = Needs::all().iter().collect();
        assert_eq!(all.len(), 6);
        for bits in 0..1 << 6 {
            let needs = Needs::from_bits(bits).unwrap();
            for one in &all {
                let is_within = bits & one.bits() == one.bits();
                assert_eq!(needs.contains(*one), is_within, "{needs:?} {one:?}");
            }
            assert_eq!((needs | Needs::TIME_TO_HEAD).bits(), bits | 0b10_0110);
        }
        assert_eq!(Needs::default(), Needs::NONE);
    }

    #[test]
    fn a_set_reads_as_its_names() {
        let needs = Needs::ELAPSED | Needs::CLOCK;
        assert_eq!(format!("{needs:?}"), "Needs(CLOCK | ENDED | ELAPSED)");
    }
}
