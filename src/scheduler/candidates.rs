//! The members that a scheduler can pick: [`Candidates`], which create the [`Claim`] of the
//! one that it picks.
//!
//! Not here: which members are eligible (`snapshot`), and releasing a claim
//! (`balancer`, which also releases a claim that its scheduler has dropped), and passing a
//! part of the candidates on to another scheduler (`part`).

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use super::candidate::Candidate;
use super::claim::{Claim, ClaimError, Pick};
use super::plan::Plan;
use crate::member::{CountersSeen, MemberId, MemberState, Uncounted};
use crate::snapshot::Picture;

/// The members that can be picked for one request.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// #[derive(Debug)]
/// struct LeastInFlight;
///
/// impl Scheduler for LeastInFlight {
///     fn name(&self) -> &'static str {
///         "least in flight"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
///         let best = candidates.iter().min_by_key(|one| one.state().in_flight());
///         // If the best member is full: any other.
///         candidates.claim_first(best.into_iter().chain(candidates.iter()))
///     }
/// }
///
/// let balancer = Balancer::builder()
///     .scheduler(LeastInFlight)
///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let first = balancer.pick(&PickRequest::new())?;
/// let second = balancer.pick(&PickRequest::new())?;
/// assert_eq!((first.member().name(), second.member().name()), ("a", "b"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Candidates<'c> {
    pub(super) picture: &'c Picture,
    pub(super) tried: &'c [MemberId],
    pub(super) plan: Option<&'c Plan>,
    pub(super) claimed: Cell<Option<&'c MemberState>>,
    /// Whether the scheduler learns of the claim from the member's counters.
    pub(super) read: Cell<bool>,
    /// Whether the scheduler has asked for another claim after that.
    pub(crate) asked_again: Cell<bool>,
    /// Whether ties are settled in reverse order, which is how `explain` detects a tie.
    pub(super) reversed: bool,
    /// Whether they include changes that no scheduler has followed yet, as in `explain`.
    pub(super) preview: bool,
}

impl<'c> Candidates<'c> {
    pub(crate) fn new(picture: &'c Picture, tried: &'c [MemberId]) -> Self {
        Self {
            picture,
            tried,
            plan: None,
            claimed: Cell::new(None),
            read: Cell::new(false),
            asked_again: Cell::new(false),
            reversed: false,
            preview: false,
        }
    }

    /// As [`new`](Self::new), with changes that are due but not applied yet.
    pub(crate) fn preview(picture: &'c Picture, tried: &'c [MemberId]) -> Self {
        Self {
            preview: true,
            ..Self::new(picture, tried)
        }
    }

    /// Adds the scheduler's current plan.
    #[inline]
    pub(crate) fn with_plan(self, plan: Option<&'c Plan>) -> Self {
        Self { plan, ..self }
    }

    /// Settles ties in reverse order, for a `peek` only.
    pub(crate) fn reverse_ranks(&mut self) {
        self.reversed = true;
    }

    /// Returns the number of this version of the group; it only grows. If
    /// [`GroupChange::generation`](super::GroupChange::generation) was greater, a pick may
    /// return [`Pick::Stale`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Candidates;
    ///
    /// /// Whether a scheduler that has followed the group up to `known` is ahead of a pick.
    /// fn is_stale(candidates: &Candidates<'_>, known: u64) -> bool {
    ///     candidates.generation() < known
    /// }
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.picture.generation
    }

    /// Returns the number of eligible members, tried ones included.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, PickContext};
    ///
    /// fn draw(candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<u64> {
    ///     let end = candidates.len() as u64;
    ///     (!candidates.is_empty()).then(|| context.random().below(end))
    /// }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.picture.group_len()
    }

    /// Returns whether no member is eligible.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the eligible members that the request has not tried yet, in tie order.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidate, Candidates};
    ///
    /// fn heaviest<'c>(candidates: &Candidates<'c>) -> Option<Candidate<'c>> {
    ///     candidates.iter().max_by_key(Candidate::weight)
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'c>> + use<'c> {
        let tried = self.tried;
        self.all()
            .filter(move |candidate| !tried.contains(&candidate.id()))
    }

    /// Returns the eligible member at `index` of the tie order, tried or not. A scheduler
    /// that samples members draws an index. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Pick, PickContext};
    ///
    /// /// Picks the less busy of two random members.
    /// fn of_two<'c>(candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
    ///     let draw = || {
    ///         let index = context.random().below(candidates.len() as u64);
    ///         candidates.at(index as usize)
    ///     };
    ///     let drawn = draw().into_iter().chain(draw());
    ///     let best = drawn.min_by_key(|one| one.state().in_flight());
    ///     // Then all others: it may be full, or tried already.
    ///     candidates.claim_first(best.into_iter().chain(candidates.iter()))
    /// }
    /// ```
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Candidate<'c>> {
        let (seat, spare) = self.picture.group_at(index)?;
        Some(Candidate::new(self.picture, seat, spare))
    }

    /// Returns the table that [`Scheduler::plan`](super::Scheduler::plan) has made last, if
    /// there is one and its type is `T`.
    ///
    /// It may be older than the candidates: it may contain members that have left, and lack
    /// members that have joined.
    #[must_use]
    #[inline]
    pub fn plan<T: Any>(&self) -> Option<&'c T> {
        self.plan?.table()
    }

    /// Returns an eligible member by its id, tried or not. O(1), or O(log n) while spares
    /// stand in.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberId;
    /// use equipoise::scheduler::Candidates;
    ///
    /// /// Picks the less busy of two members that a table contains.
    /// fn less_busy(candidates: &Candidates<'_>, pair: [MemberId; 2]) -> Option<MemberId> {
    ///     let eligible = pair.into_iter().filter_map(|id| candidates.get(id));
    ///     let best = eligible.min_by_key(|one| one.state().in_flight())?;
    ///     Some(best.id())
    /// }
    /// ```
    #[must_use]
    #[inline]
    pub fn get(&self, member: MemberId) -> Option<Candidate<'c>> {
        let slot = member.slot();
        let in_group = self.picture.is_in_group(slot);
        let seat = in_group.then(|| self.picture.roster.seat(slot))??;
        if seat.state.id() != member {
            return None;
        }
        let spare = self.picture.stands_in(seat);
        Some(Candidate {
            reversed: self.reversed,
            ..Candidate::new(self.picture, seat, spare)
        })
    }

    /// Returns the greatest share of its configured weight that counts for a member of the
    /// group now, in sixteenths.
    #[inline]
    pub(super) fn greatest_sixteenths(&self) -> u32 {
        self.picture.greatest_factor
    }

    /// Iterates over all eligible members, tried ones included.
    pub(crate) fn all(&self) -> impl Iterator<Item = Candidate<'c>> + use<'c> {
        let reversed = self.reversed;
        let picture = self.picture;
        picture.group().map(move |(seat, spare)| Candidate {
            reversed,
            ..Candidate::new(picture, seat, spare)
        })
    }

    /// Returns the state of an eligible member, tried or not.
    #[inline]
    pub(crate) fn state(&self, member: MemberId) -> Option<&'c MemberState> {
        let state = self.state_at(member.slot())?;
        (state.id() == member).then_some(state)
    }

    /// Returns the state of the eligible member that has this slot, tried or not.
    #[inline]
    pub(super) fn state_at(&self, slot: usize) -> Option<&'c MemberState> {
        let in_group = self.picture.is_in_group(slot);
        let state = in_group.then(|| self.picture.roster.state(slot));
        state.flatten().map(|state| &**state)
    }

    /// Returns the members that the request has tried, eligible or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Candidates;
    ///
    /// /// Whether the request has been tried on a member before.
    /// fn is_retry(candidates: &Candidates<'_>) -> bool {
    ///     !candidates.tried().is_empty()
    /// }
    /// ```
    #[must_use]
    pub fn tried(&self) -> &'c [MemberId] {
        self.tried
    }

    /// Returns whether a member is eligible, tried or not. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberId;
    /// use equipoise::scheduler::Candidates;
    ///
    /// /// Returns the previous member while it can be picked.
    /// fn keep(candidates: &Candidates<'_>, before: MemberId) -> Option<MemberId> {
    ///     candidates.contains(before).then_some(before)
    /// }
    /// ```
    #[must_use]
    pub fn contains(&self, member: MemberId) -> bool {
        self.state(member).is_some()
    }

    /// Returns whether no member ramps up: then each weight is the configured one, and a
    /// pick does not have to read it.
    #[inline]
    pub(super) fn are_at_full_weight(&self) -> bool {
        self.picture.factors.is_empty()
    }

    /// Claims a member: counts a request in flight on it, if it is eligible, untried,
    /// usable at this moment and below its cap.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] gives the reason; the scheduler then skips the member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberId;
    /// use equipoise::scheduler::{Candidates, Pick};
    ///
    /// /// Picks `member`, and others only if it cannot be claimed.
    /// fn prefer<'c>(member: MemberId, candidates: &Candidates<'c>) -> Pick<'c> {
    ///     match candidates.claim(member) {
    ///         Ok(claim) => Pick::Claimed(claim),
    ///         Err(_) => candidates.claim_first(candidates.iter()),
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn claim(&self, member: MemberId) -> Result<Claim<'c>, ClaimError> {
        if self.tried.contains(&member) {
            return Err(ClaimError::NotEligible);
        }
        let state = self.state(member).ok_or(ClaimError::NotEligible)?;
        self.claim_state(state)
    }

    /// Claims the member that has this slot, as [`claim`](Self::claim) does; the request has
    /// tried no member.
    #[inline]
    pub(super) fn claim_slot(&self, slot: u32) -> Result<Claim<'c>, ClaimError> {
        let state = self.state_at(slot as usize);
        self.claim_state(state.ok_or(ClaimError::NotEligible)?)
    }

    /// Claims the member that has this slot, if it has no requests in flight.
    #[inline]
    pub(super) fn claim_idle(&self, slot: u32) -> Result<Claim<'c>, ClaimError> {
        let state = self
            .state_at(slot as usize)
            .ok_or(ClaimError::NotEligible)?;
        let seen = state.look();
        if seen.in_flight() > 0 {
            return Err(ClaimError::NotEligible);
        }
        let claim = self.claim_as(state, Some(seen));
        claim.unwrap_or(Err(ClaimError::NotEligible))
    }

    /// Claims the first of `order` that can be claimed.
    ///
    /// If there is none, the result is [`Pick::AtCapacity`] if at least one was at its cap,
    /// otherwise [`Pick::NoneUsable`].
    pub fn claim_first(&self, order: impl IntoIterator<Item = Candidate<'c>>) -> Pick<'c> {
        let mut at_capacity = false;
        for candidate in order {
            match self.claim(candidate.id()) {
                Ok(claim) => return Pick::Claimed(claim),
                Err(ClaimError::AtCapacity) => at_capacity = true,
                Err(_) => {}
            }
        }
        if at_capacity {
            Pick::AtCapacity
        } else {
            Pick::NoneUsable
        }
    }

    /// Returns the states of all eligible members, tried ones included, in tie order: none
    /// if there are more than [`FEW_MEMBERS`](crate::snapshot::FEW_MEMBERS).
    #[inline]
    pub(super) fn few(&self) -> &'c [Arc<MemberState>] {
        &self.picture.few
    }

    /// Claims an eligible member that the request has not tried, if its counters are still
    /// as they were `seen`; `None` if they are not.
    #[inline]
    pub(super) fn claim_as(
        &self,
        state: &'c MemberState,
        seen: Option<CountersSeen>,
    ) -> Option<Result<Claim<'c>, ClaimError>> {
        match seen {
            Some(seen) => self.claim_by(state, |state| state.count_in_as(seen)),
            None => self.claim_by(state, MemberState::count_in),
        }
        .transpose()
    }

    /// Claims a member for a session; it may lie outside the eligible group.
    #[inline]
    pub(crate) fn claim_state(&self, state: &'c MemberState) -> Result<Claim<'c>, ClaimError> {
        let claim = self.claim_by(state, MemberState::count_in)?;
        claim.ok_or(ClaimError::NotEligible)
    }

    /// Claims a member, counted in by `count_in`; `None` if its counters have changed.
    #[inline]
    fn claim_by(
        &self,
        state: &'c MemberState,
        count_in: impl FnOnce(&MemberState) -> Result<CountersSeen, Uncounted>,
    ) -> Result<Option<Claim<'c>>, ClaimError> {
        if self.claimed.get().is_some() {
            self.asked_again.set(true);
            return Err(ClaimError::OnePerPick);
        }
        if !state.status().is_usable() {
            return Err(ClaimError::Unusable);
        }
        match count_in(state) {
            Ok(counted) => {
                self.claimed.set(Some(state));
                self.read.set(counted.is_read());
                let in_flight = counted.in_flight();
                Ok(Some(Claim { state, in_flight }))
            }
            Err(Uncounted::Changed) => Ok(None),
            Err(Uncounted::Closed) => Err(ClaimError::NotEligible),
            Err(Uncounted::Full) => Err(ClaimError::AtCapacity),
        }
    }

    /// Returns whether a scheduler that reads the picks of the claimed member from its
    /// counters does not have to be notified of the claim.
    #[inline]
    pub(super) fn claim_is_read(&self) -> bool {
        self.read.get()
    }

    /// Returns the member that was claimed.
    #[inline]
    pub(crate) fn claimed(&self) -> Option<&'c MemberState> {
        self.claimed.get()
    }

    /// Takes the claimed member out, for a caller that releases it.
    #[inline]
    pub(crate) fn take_claimed(&self) -> Option<&'c MemberState> {
        self.claimed.take()
    }
}
