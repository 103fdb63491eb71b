//! What a scheduler asks of the balancer: [`Needs`].

/// What has to be measured and done for a scheduler: what is not asked for costs nothing.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Needs;
///
/// let needs = Needs::CLOCK.and(Needs::ENDED);
/// assert!(needs.contains(Needs::CLOCK));
/// assert!(!needs.contains(Needs::ELAPSED));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs(u8);

impl Needs {
    /// Nothing: hooks at the end of a request and clock readings are left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{ByRequests, Needs, Scheduler};
    ///
    /// assert_eq!(ByRequests::new().needs(), Needs::NOTHING);
    /// ```
    pub const NOTHING: Self = Self(0);
    /// The time of each pick.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, Needs, Scheduler};
    ///
    /// let heartbeat = Heartbeat::new(&HeartbeatReadings::new());
    /// assert!(heartbeat.needs().contains(Needs::CLOCK), "reports grow old");
    /// ```
    pub const CLOCK: Self = Self(1);
    /// [`Scheduler::on_ended`](super::Scheduler::on_ended) at the end of each request.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{ByBusyness, Needs, Scheduler};
    ///
    /// assert_eq!(ByBusyness::new().needs(), Needs::ENDED);
    /// ```
    pub const ENDED: Self = Self(2);
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
    pub const ELAPSED: Self = Self(2 | 4);
    /// That requests which wait look again at every end of a request, not only when a member
    /// at its cap has room: for a scheduler that withholds room. See
    /// [`Pick::AtCapacity`](super::Pick::AtCapacity).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Needs, Pick, PickContext, Scheduler};
    /// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
    ///
    /// /// At most two requests in flight, over all members.
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
    ///         Needs::LOOK_AGAIN
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
    pub const LOOK_AGAIN: Self = Self(8);
    /// [`Scheduler::plan`](super::Scheduler::plan) after each change of the members.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Maglev, Needs, Scheduler};
    ///
    /// assert_eq!(Maglev::new().needs(), Needs::PLAN);
    /// ```
    pub const PLAN: Self = Self(16);

    /// As [`ELAPSED`](Self::ELAPSED), with the time from pick to the head of the answer,
    /// if what uses the member tells of it ([`Lease::answered`](crate::Lease::answered)).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Needs;
    ///
    /// assert!(Needs::TIME_TO_HEAD.contains(Needs::ELAPSED));
    /// ```
    pub const TIME_TO_HEAD: Self = Self(2 | 4 | 32);

    /// Returns both together.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Needs;
    ///
    /// assert_eq!(Needs::ENDED.and(Needs::ELAPSED), Needs::ELAPSED);
    /// ```
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether all of `other` is asked for.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Needs;
    ///
    /// assert!(!Needs::ENDED.contains(Needs::CLOCK.and(Needs::ENDED)), "not all of it");
    /// assert!(Needs::ENDED.contains(Needs::NOTHING));
    /// ```
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::Needs;

    #[test]
    fn no_need_asks_for_what_another_does_unless_it_says_so() {
        let plan = Needs::PLAN.and(Needs::ELAPSED).and(Needs::CLOCK);
        assert!(!Needs::TIME_TO_HEAD.contains(Needs::PLAN));
        assert!(!plan.contains(Needs::TIME_TO_HEAD));
        let alone = [Needs::CLOCK, Needs::ENDED, Needs::LOOK_AGAIN, Needs::PLAN];
        for (at, one) in alone.into_iter().enumerate() {
            let others = alone.iter().enumerate().filter(|(other, _)| *other != at);
            let all = others.fold(Needs::NOTHING, |all, (_, other)| all.and(*other));
            assert!(!all.contains(one), "{one:?}");
        }
    }
}
