//! Picks the member with the fewest requests in flight; ties follow smooth weighted round
//! robin.

use super::ahead::AheadBooks;
use super::by_requests::in_hundredths;
use super::looks::Looks;
use super::standings::{ClassLoad, Standings};
use super::{Candidate, Candidates, GroupChange, Pick, PickContext, PickDetails, Scheduler};
use crate::member::{EffectiveWeight, MemberId, MemberState, Weight};

/// Picks the member with the fewest requests in flight (`lbmethod=bybusyness`). Ties are
/// settled by standing, as in [`ByRequests`](super::ByRequests).
///
/// As in Apache, weights only settle ties: a member of weight 2 does not get twice the
/// requests in flight. [`weighted`](Self::weighted) compares requests in flight per unit of
/// weight instead.
///
/// Source: `lbmethod_bybusyness.c` of Apache httpd. Cost: up to 16 members are compared
/// without a lock. Among more of them, a pick moves one entry of an ordered structure, and
/// so does the end of a request that leaves fewer in flight than the structure has noted.
/// The requests that the last 256 picks have added are noted later: a pick that finds all
/// other members busier moves the entries of these, too. While members are idle, elections
/// are made ahead, and picks take them without a lock.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, ByBusyness, PickRequest};
///
/// let balancer = Balancer::builder()
///     .scheduler(ByBusyness::new())
///     .member("a", (), Default::default())
///     .member("b", (), Default::default())
///     .build()?;
/// let first = balancer.pick(&PickRequest::new()).unwrap();
/// let second = balancer.pick(&PickRequest::new()).unwrap();
/// assert_ne!(first.member().name(), second.member().name());
/// drop(first);
/// let third = balancer.pick(&PickRequest::new()).unwrap();
/// assert_eq!(third.member().name(), "a", "it is idle again");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
pub struct ByBusyness {
    looks: Looks<AheadBooks<Standings>>,
    load: ClassLoad,
}

impl ByBusyness {
    /// Creates a scheduler that compares requests in flight, as Apache does.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{ByBusyness, Scheduler};
    ///
    /// assert_eq!(ByBusyness::new().name(), "bybusyness");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::comparing(ClassLoad::Plain)
    }

    /// Creates a scheduler that compares requests in flight per unit of weight.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, ByBusyness, MemberSpec, PickRequest, Weight};
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(ByBusyness::weighted())
    ///     .member("small", (), MemberSpec::new())
    ///     .member("large", (), MemberSpec::new().with_weight(Weight::new(3)?))
    ///     .build()?;
    /// let leases: Vec<_> = (0..8)
    ///     .map(|_| balancer.pick(&PickRequest::new()).unwrap())
    ///     .collect();
    /// let large = leases.iter().filter(|lease| lease.member().name() == "large");
    /// assert_eq!(large.count(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn weighted() -> Self {
        Self::comparing(ClassLoad::PerWeight)
    }

    fn comparing(load: ClassLoad) -> Self {
        Self {
            looks: Looks::new(AheadBooks::new(Standings::new(load)), load),
            load,
        }
    }
}

impl Default for ByBusyness {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for ByBusyness {
    fn name(&self) -> &'static str {
        "bybusyness"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        self.looks.pick(candidates)
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.looks.settled(|standings| standings.peek(candidates))
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let one = f64::from(EffectiveWeight::from(Weight::ONE).units());
        let in_flight = |one: &Candidate<'_>| f64::from(one.state().in_flight());
        let weight = |member: &Candidate<'_>| f64::from(member.weight().units()) / one;
        let (measure, per_weight) = match self.load {
            ClassLoad::PerWeight => ("requests in flight per weight", true),
            ClassLoad::Ignored | ClassLoad::Plain => ("requests in flight", false),
        };
        let details = PickDetails::comparing(measure).ignoring_hash(context);
        candidates.iter().fold(details, |details, member| {
            let unit = if per_weight { weight(&member) } else { 1.0 };
            details.score(member.id(), in_flight(&member) / unit)
        })
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.looks.session_pick(candidates, member, |standings| {
            standings.routed(member, candidates);
        });
    }

    fn on_room(&self, member: &MemberState) {
        self.looks.room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.looks.follow(group);
    }

    fn reset(&self) {
        self.looks.change(Standings::reset);
    }

    /// Returns the standing that settles ties, in hundredths of weight (Apache:
    /// `lbstatus`).
    fn standing(&self, member: MemberId) -> Option<i64> {
        let standing = self.looks.settled(|standings| standings.standing(member));
        Some(in_hundredths(standing))
    }
}
