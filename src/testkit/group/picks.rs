//! Picks and ends of requests in a [`Group`].
//!
//! Not here: the members (`members.rs`).

use std::sync::Arc;

use thiserror::Error;

use super::members::{Group, GroupRequest};
use crate::balancer::PickRequest;
use crate::member::{Ended, MemberId, MemberState, Outcome};
use crate::scheduler::{Candidate, Candidates, Needs, Pick, PickContext, PickTime, Scheduler};

/// Why a pick in a [`Group`] picked no member.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::{Group, GroupPickError};
/// use equipoise::{ByRequests, PickRequest};
///
/// let mut group = Group::new(ByRequests::new());
/// let error = group.pick(&PickRequest::new()).unwrap_err();
/// assert_eq!(error, GroupPickError::NoneUsable);
/// assert_eq!(error.to_string(), "none usable");
/// ```
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum GroupPickError {
    /// The scheduler returned [`Pick::AtCapacity`].
    #[error("at capacity")]
    AtCapacity,
    /// The scheduler returned [`Pick::NoneUsable`].
    #[error("none usable")]
    NoneUsable,
    /// The scheduler returned [`Pick::Stale`], although the candidates are the present ones.
    #[error("stale")]
    Stale,
    /// The scheduler claimed this member, and then asked for another claim: a pick ends with
    /// the first claim that succeeds. The group has released the member.
    #[error("another claim after that of member {0}")]
    SecondClaim(MemberId),
    /// The scheduler claimed this member and did not return the claim. The group has
    /// released it.
    #[error("a claim of member {0} that was not returned")]
    Unreturned(MemberId),
}

impl<S: Scheduler> Group<S> {
    /// Picks a member for a request, and counts the request as in flight. Of the request,
    /// its hash key, its facts and its tried members count.
    ///
    /// # Errors
    ///
    /// If the scheduler returned no claim, or asked for a second one: [`GroupPickError`].
    pub fn pick(&mut self, request: &PickRequest<'_>) -> Result<MemberId, GroupPickError> {
        self.pick_within(request, |pick| pick())
    }

    /// As [`pick`](Self::pick); `around` calls the scheduler.
    pub(in crate::testkit) fn pick_within(
        &mut self,
        request: &PickRequest<'_>,
        around: impl FnOnce(&mut dyn FnMut()),
    ) -> Result<MemberId, GroupPickError> {
        let picked = self.with_candidates(request, |scheduler, candidates, context| {
            let mut pick = Pick::NoneUsable;
            around(&mut || pick = scheduler.pick(candidates, context));
            let picked = match (pick, candidates.claimed()) {
                (_, Some(state)) if candidates.asked_again.get() => {
                    Err(GroupPickError::SecondClaim(state.id()))
                }
                (Pick::Claimed(claim), _) => Ok(claim.member().id()),
                (_, Some(state)) => Err(GroupPickError::Unreturned(state.id())),
                (Pick::AtCapacity, None) => Err(GroupPickError::AtCapacity),
                (Pick::NoneUsable, None) => Err(GroupPickError::NoneUsable),
                (Pick::Stale, None) => Err(GroupPickError::Stale),
            };
            if picked.is_ok() {
                candidates.take_claimed();
            }
            picked
        });
        picked.inspect(|&id| self.begin(id))
    }

    fn begin(&mut self, member: MemberId) {
        if let Some(state) = self.roster.state(member.slot()) {
            if self.scheduler.needs().contains(Needs::TIME_TO_HEAD) {
                state.set_awaits_head(true);
            }
            self.requests.push_back(GroupRequest {
                state: state.clone(),
                started: self.now,
            });
        }
    }

    /// Returns the member that the next pick would pick, if the scheduler tells
    /// ([`Scheduler::peek`]).
    #[must_use]
    pub fn peek(&self, request: &PickRequest<'_>) -> Option<MemberId> {
        self.with_candidates(request, |scheduler, candidates, context| {
            let random = context.random().duplicate();
            let context = PickContext {
                random: &random,
                ..*context
            };
            scheduler.peek(candidates, &context)
        })
    }

    /// Asks for an explanation of the next pick and for each member's standing, as
    /// [`Balancer::explain`](crate::Balancer::explain) does.
    pub(in crate::testkit) fn explain(&self, request: &PickRequest<'_>) {
        self.with_candidates(request, |scheduler, candidates, context| {
            let random = context.random().duplicate();
            let context = PickContext {
                random: &random,
                ..*context
            };
            let _ = scheduler.explain(candidates, &context);
            for seat in self.roster.by_tier() {
                let _ = scheduler.standing(seat.state.id());
            }
        });
    }

    /// Picks a given member, as a session does, and notifies the scheduler if the member is
    /// eligible. Returns its id; `None` if there is no member of that name that is usable and
    /// below its cap.
    pub fn pick_session(&mut self, name: &str) -> Option<MemberId> {
        let state = self.member(name)?;
        let (id, is_usable) = (state.id(), state.status().is_usable());
        let is_picked = if self.picture.is_in_group(id.slot()) {
            self.with_candidates(&PickRequest::new(), |scheduler, candidates, _| {
                let claimed = candidates.claim(id);
                if let Ok(claim) = &claimed {
                    scheduler.on_session_pick(candidates, claim.member());
                    candidates.take_claimed();
                }
                claimed.is_ok()
            })
        } else {
            is_usable && state.count_in().is_ok()
        };
        is_picked.then(|| self.begin(id))?;
        Some(id)
    }

    /// Ends the oldest request of a member. Returns whether it had one.
    pub fn end(&mut self, member: MemberId, outcome: Outcome) -> bool {
        let of_it = |request: &GroupRequest| request.state.id() == member;
        let Some(at) = self.requests.iter().position(of_it) else {
            return false;
        };
        self.end_at(at, outcome);
        true
    }

    /// Ends the oldest of all requests. Returns its member; `None` if no request is in
    /// flight.
    pub fn end_oldest(&mut self, outcome: Outcome) -> Option<MemberId> {
        let member = self.requests.front()?.state.id();
        self.end_at(0, outcome);
        Some(member)
    }

    /// Returns how many requests are in flight, those of removed members included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// Returns the name of the member of the request at this place, from the oldest on.
    pub(in crate::testkit) fn member_at(&self, at: usize) -> Option<&str> {
        let request = self.requests.get(at)?;
        Some(request.state.name())
    }

    pub(in crate::testkit) fn end_at(&mut self, at: usize, outcome: Outcome) {
        let Some(request) = self.requests.remove(at) else {
            return;
        };
        let state = request.state;
        let before = state.count_out().before;
        let fewer = state.take_note_below(before);
        if fewer || before == state.max_in_flight() {
            self.scheduler.on_room(&state);
        }
        let needs = self.scheduler.needs();
        // The head of a response is also its end.
        state.set_awaits_head(false);
        if needs.contains(Needs::ENDED) {
            let elapsed = self.now.since(request.started);
            let ended = Ended {
                outcome,
                cause: None,
                at: Some(self.now),
                elapsed: needs.contains(Needs::ELAPSED).then_some(elapsed),
                time_to_head: needs.contains(Needs::TIME_TO_HEAD).then_some(elapsed),
                has_response: outcome == Outcome::Success,
                status: None,
                bytes_sent: 0,
                bytes_received: 0,
            };
            self.scheduler.on_ended(&state, &ended);
        }
        if state.in_flight() == 0 {
            let is_it = |one: &Arc<MemberState>| Arc::ptr_eq(one, &state);
            if let Some(at) = self.removed.iter().position(is_it) {
                self.removed.swap_remove(at);
                self.release_slot(&state);
            }
        }
    }

    /// Calls `work` with the scheduler, the candidates of a request and the context of its
    /// pick. A claim that `work` makes is released afterwards.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Maglev, Scheduler};
    /// use equipoise::testkit::Group;
    /// use equipoise::{MemberSpec, PickRequest};
    ///
    /// let mut group = Group::new(Maglev::new());
    /// group.insert("a", MemberSpec::new());
    /// let request = PickRequest::new().with_hash(7);
    /// let peeked = group.with_candidates(&request, |maglev, candidates, context| {
    ///     assert_eq!((candidates.len(), context.hash()), (1, Some(7)));
    ///     maglev.peek(candidates, context)
    /// });
    /// assert_eq!(peeked, group.id("a"));
    /// ```
    pub fn with_candidates<R>(
        &self,
        request: &PickRequest<'_>,
        work: impl FnOnce(&S, &Candidates<'_>, &PickContext<'_>) -> R,
    ) -> R {
        let plan = self.plan();
        let candidates = Candidates::new(&self.picture, request.tried()).with_plan(plan.as_ref());
        let clock = self.scheduler.needs().contains(Needs::CLOCK);
        let time = PickTime::known(self.now);
        let context = PickContext {
            time: clock.then_some(&time),
            hash: request.hash(),
            facts: request.facts,
            random: &self.random,
        };
        let unreturned = Unreturned(&candidates);
        let result = work(&self.scheduler, &candidates, &context);
        drop(unreturned);
        result
    }

    /// Returns the eligible members.
    pub(in crate::testkit) fn eligible(&self) -> impl Iterator<Item = Candidate<'_>> {
        let candidates = Candidates::new(&self.picture, &[]);
        candidates.all()
    }
}

/// Releases a claim that is left in the candidates, also if the scheduler panics.
struct Unreturned<'u, 'c>(&'u Candidates<'c>);

impl Drop for Unreturned<'_, '_> {
    fn drop(&mut self) {
        if let Some(state) = self.0.take_claimed() {
            state.count_out();
        }
    }
}
