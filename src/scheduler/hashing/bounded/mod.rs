//! [`BoundedLoad`]: consistent hashing in which no member gets more than its share of the
//! requests in flight, by a factor.
//!
//! Not here: the sums over all members (`group_load.rs`), and the order of the members for
//! a key, which the wrapped scheduler knows ([`HashScheduler`]).

mod group_load;
mod shuffled;

use std::ops::ControlFlow;

use group_load::GroupLoad;
use shuffled::Shuffled;

use super::{HashScheduler, Purpose, hash_pair, key_of};
use crate::member::{Ended, MemberId, MemberState};
use crate::scheduler::{
    Candidate, Candidates, Claim, GroupChange, Needs, Pick, PickContext, PickDetails, Plan,
    PlanMembers, Scheduler,
};

/// The number of members that are tried in the wrapped scheduler's order.
const IN_ORDER: usize = 4;

/// How often a claim is repeated because another pick has claimed the same member.
const CLAIMS: usize = 8;

/// The default factor, in percent.
const DEFAULT: u32 = 125;

/// Wraps a hashing scheduler, and passes a key on to another member while the requests in
/// flight on its own member are at their bound.
///
/// Use it if some keys are much more frequent than others, so that plain hashing would
/// overload the members that own them. The factor is a trade-off: with 100 % members are as
/// even as possible but most keys move under load; with 125 %, the default, few do; with
/// 200 % only the most frequent keys move.
///
/// Let `active` be the requests in flight on all eligible members. A pick allows
/// `total = ceil((active + 1) * factor)` requests, and to a member with the share `w / W` of
/// the weight `ceil(total * w / W)` of them, and at least one. It picks the first member for
/// the key that has fewer in flight: the key's own member, then the next three in the
/// wrapped scheduler's order, then all members in an order that follows from the key. (A key
/// that is passed on far does not follow the wrapped order, because then all keys of a
/// member at its bound would overload the same next one.)
///
/// * After a pick, the picked member has at most its bound in flight, so with equal weights
///   at most `ceil(factor * average)`. Keys move only while a bound is reached.
/// * If the request has tried members, or members are at their caps, there may be no member
///   below its bound. Then the pick takes the one with the fewest requests in flight for
///   its weight.
/// * A bound is that of the moment of the pick. As requests end, the average sinks, and a
///   member may be above the bound until its own requests end. Requests of sessions count,
///   but sessions are kept whatever the bound.
/// * It has no memory of failures. A member that fails at once has few requests in flight,
///   and gets the requests that the bounds of the others refuse.
/// * While several threads pick at the same time, the bound follows from the sum of requests
///   in flight as it was when the pick began. While a change of the members is being
///   published, the sum may already be that of the new group.
///
/// A pick takes no lock and allocates nothing. The sum of requests in flight is kept in one
/// atomic, which each pick and each end of a request updates. A pick examines one member
/// while bounds are far, and as many as are at their bounds otherwise; with a factor of
/// 100 % these can be nearly all. Over [`Rendezvous`](super::Rendezvous), each of the first
/// four members costs a look at all of them. Over the other schedulers it does only if few of
/// the members near the key can take it. Different processes bound only their own requests.
///
/// Source: Mirrokni, Thorup, Zadimoghaddam: *Consistent hashing with bounded loads* (2018);
/// the bound by weight is after HAProxy's (`hash-balance-factor`), each rounded up. The order of
/// the members for keys that are passed on is in the manner of Envoy's `hash_balance_factor`.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{BoundedLoad, Maglev};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let balancer = Balancer::builder()
///     .scheduler(BoundedLoad::new(Maglev::new()))
///     .members(["a", "b", "c", "d"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// // 100 requests with one key: 25 for each member on average.
/// let request = PickRequest::new().with_hash(7);
/// let leases: Vec<_> = (0..100).map(|_| balancer.pick(&request).unwrap()).collect();
/// let most = balancer.members().iter().map(|member| member.in_flight()).max();
/// assert_eq!(most, Some(32), "125 % of 25, rounded up");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
pub struct BoundedLoad<S> {
    inner: S,
    percent: u32,
    load: GroupLoad,
}

impl<S: HashScheduler> BoundedLoad<S> {
    /// Wraps a scheduler, with a factor of 125 %.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::{BoundedLoad, Needs, Rendezvous};
    ///
    /// let bounded = BoundedLoad::new(Rendezvous::new());
    /// assert!(bounded.needs().contains(Needs::ENDED), "it follows the requests in flight");
    /// ```
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            percent: DEFAULT,
            load: GroupLoad::new(),
        }
    }

    /// Sets the factor, in percent of the average: HAProxy's `hash-balance-factor`.
    ///
    /// # Errors
    ///
    /// [`LoadBoundError`] if it is less than 100: then not all requests could be picked.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{BoundedLoad, Rendezvous};
    ///
    /// assert!(BoundedLoad::new(Rendezvous::new()).with_percent(150).is_ok());
    /// let error = BoundedLoad::new(Rendezvous::new()).with_percent(99).unwrap_err();
    /// assert_eq!(error.to_string(), "a bound is at least 100 % of the average load");
    /// ```
    pub fn with_percent(mut self, percent: u32) -> Result<Self, LoadBoundError> {
        if percent < 100 {
            return Err(LoadBoundError(()));
        }
        self.percent = percent;
        Ok(self)
    }

    /// Returns the bound for one more request.
    fn bound(&self) -> LoadBound {
        LoadBound::new(self.load.in_flight(), self.percent, self.load.units())
    }

    /// Calls `take` with the untried members below their bounds, in order, until it returns
    /// something. A member may be passed twice.
    fn search<'c, T>(
        &self,
        candidates: &Candidates<'c>,
        key: u64,
        bound: LoadBound,
        mut take: impl FnMut(Candidate<'c>) -> Option<T>,
    ) -> Option<T> {
        let mut take_below = |one: Option<Candidate<'c>>| {
            let one = one.filter(|one| is_open(candidates, one))?;
            bound.allows(&one).then(|| take(one))?
        };
        let mut found = None;
        let (mut visited, mut count) = ([None; IN_ORDER], 0);
        self.inner.visit_members(candidates, key, &mut |member| {
            if visited.contains(&Some(member)) || candidates.tried().contains(&member) {
                return ControlFlow::Continue(());
            }
            let Some(next) = visited.get_mut(count) else {
                return ControlFlow::Break(());
            };
            *next = Some(member);
            count += 1;
            found = take_below(candidates.get(member));
            if found.is_some() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found.or_else(|| {
            let seed = hash_pair(Purpose::Overflow, key, 0);
            let mut order = Shuffled::new(candidates.len(), seed);
            order.find_map(|index| take_below(candidates.at(index)))
        })
    }

    /// Claims the untried member that is loaded least, if none is below its bound.
    #[cold]
    fn claim_least_loaded<'c>(&self, candidates: &Candidates<'c>) -> Pick<'c> {
        let least = least_loaded(candidates);
        candidates.claim_first(least.into_iter().chain(candidates.iter()))
    }
}

/// Returns whether a member may be picked.
fn is_open(candidates: &Candidates<'_>, one: &Candidate<'_>) -> bool {
    !candidates.tried().contains(&one.id()) && one.has_room() && one.state().status().is_usable()
}

/// Claims a member unless it has reached its bound.
fn claim_below<'c>(
    candidates: &Candidates<'c>,
    one: &Candidate<'c>,
    bound: LoadBound,
) -> Option<Claim<'c>> {
    let state = one.state();
    for _ in 0..CLAIMS {
        let seen = state.look();
        if !bound.allows_at(seen.in_flight(), one.weight().units()) {
            return None;
        }
        if let Some(result) = candidates.claim_as(state, Some(seen)) {
            return result.ok();
        }
    }
    None
}

/// Returns the untried member with room that has the fewest requests in flight for its
/// weight.
fn least_loaded<'c>(candidates: &Candidates<'c>) -> Option<Candidate<'c>> {
    let open = candidates.iter().filter(Candidate::has_room);
    let loaded = open.map(|one| (u64::from(one.state().in_flight()), one));
    let least = loaded.min_by(|(load, one), (other_load, other)| {
        let units = |one: &Candidate<'_>| u64::from(one.weight().units());
        let per_weight = (load * units(other)).cmp(&(other_load * units(one)));
        per_weight.then_with(|| one.rank().cmp(&other.rank()))
    });
    least.map(|(_, one)| one)
}

/// How many requests a member may have in flight.
#[derive(Clone, Copy, Debug)]
struct LoadBound {
    /// The requests that all members together may have.
    total: u128,
    /// The weight of all members.
    units: u128,
}

impl LoadBound {
    fn new(active: u64, percent: u32, units: u64) -> Self {
        let total = (u128::from(active) + 1) * u128::from(percent);
        Self {
            total: total.div_ceil(100),
            units: u128::from(units),
        }
    }

    /// Returns whether a member may get one more request.
    #[inline]
    fn allows(self, one: &Candidate<'_>) -> bool {
        self.allows_at(one.state().in_flight(), one.weight().units())
    }

    /// Returns whether a member of that weight may get one more request: there are fewer in
    /// flight than `max(1, ceil(total * weight / all weight))`.
    #[inline]
    fn allows_at(self, in_flight: u32, weight: u32) -> bool {
        in_flight == 0 || u128::from(in_flight) * self.units < self.total * u128::from(weight)
    }

    /// Returns that number.
    fn slots(self, weight: u32) -> u128 {
        let slots = (self.total * u128::from(weight)).div_ceil(self.units.max(1));
        slots.max(1)
    }
}

impl<S: HashScheduler> Scheduler for BoundedLoad<S> {
    fn name(&self) -> &'static str {
        "boundedload"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let bound = self.bound();
        let claim = self.search(candidates, key_of(context), bound, |one| {
            claim_below(candidates, &one, bound)
        });
        let pick = claim.map_or_else(|| self.claim_least_loaded(candidates), Pick::Claimed);
        if let Pick::Claimed(claim) = &pick {
            self.load.read(claim.member());
            // Its state is that of a scheduler that did not pick this member itself.
            self.inner.on_session_pick(candidates, claim.member());
        }
        pick
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let found = self.search(candidates, key_of(context), self.bound(), |one| {
            Some(one.id())
        });
        found.or_else(|| least_loaded(candidates).map(|one| one.id()))
    }

    /// Returns what the wrapped scheduler explains, and the members that have reached their
    /// bounds among those before the picked one.
    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let bound = self.bound();
        let random = context.random().duplicate();
        let mut details = self.inner.explain(candidates, context);
        details = details.note(format!(
            "members may have {} % of the average load: {} requests in flight in total, by weight",
            self.percent, bound.total
        ));
        let key = context.hash().unwrap_or_else(|| random.next_u64());
        let mut passed = 0;
        self.inner.visit_members(candidates, key, &mut |member| {
            let one = candidates.get(member);
            let Some(one) = one.filter(|one| is_open(candidates, one)) else {
                return ControlFlow::Continue(());
            };
            if bound.allows(&one) || passed == IN_ORDER {
                return ControlFlow::Break(());
            }
            passed += 1;
            let note = format!(
                "{} is at its bound: {} requests in flight, and at most {} allowed",
                one.state().name(),
                one.state().in_flight(),
                bound.slots(one.weight().units())
            );
            if details.notes.iter().all(|other| **other != *note) {
                details.notes.push(note.into());
            }
            ControlFlow::Continue(())
        });
        details
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.load.read(member);
        self.inner.on_session_pick(candidates, member);
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        self.load.read(member);
        if self.inner.needs().contains(Needs::ENDED) {
            self.inner.on_ended(member, ended);
        }
    }

    fn on_room(&self, member: &MemberState) {
        self.load.read(member);
        self.inner.on_room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.load.follow(group);
        self.inner.on_group_change(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        self.inner.plan(members)
    }

    fn reset(&self) {
        self.inner.reset();
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        self.inner.standing(member)
    }

    fn needs(&self) -> Needs {
        self.inner.needs() | Needs::ENDED
    }
}

/// The reason why a number cannot be the factor of a [`BoundedLoad`]: it is less than
/// 100 %.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a bound is at least 100 % of the average load")]
pub struct LoadBoundError(());

#[cfg(all(test, not(equipoise_loom)))]
mod tests;
