//! Scheduling algorithms: a [`Scheduler`] picks one of the eligible members for each
//! request.
//!
//! | scheduler | use it when |
//! |---|---|
//! | [`ByRequests`] | requests cost about the same; exact shares by weight, in Apache's order |
//! | [`Rotation`] | the same, as evenly as is possible |
//! | [`WeightedRandom`] | many balancers share the members, and nothing is known of their loads |
//! | [`ByBusyness`] | requests differ in length, or connections are long-lived |
//! | [`LeastRequest`] | the same, with many members or several balancers, or if members may fail fast |
//! | [`PeakEwma`] | members differ in latency, or become slow |
//! | [`ByTraffic`] | the cost is in the bytes transferred |
//! | [`Heartbeat`] | members report their idle capacity |
//! | [`Prequal`] | members report their requests in flight; many balancers share them |
//! | [`Maglev`] | each key must stay with one member: caches, shards |
//! | [`Rendezvous`] | the same with up to about a hundred members; no other key ever moves |
//! | [`Ring`] | the same, but nginx, HAProxy, Envoy or memcached clients must pick alike |
//! | [`Modulo`] | HAProxy (`map-based`) or nginx (`hash` without `consistent`) must pick alike |
//! | [`BoundedLoad`] | keys are hashed, and some are much more frequent than others |
//! | [`First`] | as few members as possible should serve |
//! | [`ZoneAware`] | members in the caller's own zone are nearer or cheaper |
//!
//! To try another scheduler on live traffic before you use it, wrap both in a [`Shadow`].
//!
//! A scheduler only picks; it owns no members, clock or payload. The balancer determines
//! the eligible members before it calls the scheduler (see [`Candidates`]).

mod ahead;
mod by_busyness;
mod by_requests;
mod by_slot;
mod by_traffic;
mod candidate;
mod candidates;
mod claim;
mod context;
mod decay;
mod details;
mod election_round;
mod facts;
mod fenwick;
mod first;
mod group;
mod hashing;
mod heap;
mod heartbeat;
mod least_request;
mod looks;
mod lots;
mod needs;
mod part;
mod peak_ewma;
mod plan;
mod prequal;
mod ranking;
mod readings;
mod rotation;
mod sampling;
mod shadow;
mod standings;
mod traffic;
mod turn_order;
mod turns;
mod weighted_random;
mod zone_aware;

use std::fmt;

pub use by_busyness::ByBusyness;
pub use by_requests::ByRequests;
pub use by_traffic::ByTraffic;
pub use candidate::Candidate;
pub use candidates::Candidates;
pub use claim::{Claim, ClaimError, Pick};
pub use context::PickContext;
pub(crate) use context::PickTime;
pub use details::{MemberScore, PickDetails, TablePosition};
pub use first::First;
pub use group::GroupChange;
pub use hashing::{
    BoundedLoad, HashScheduler, LoadBoundError, Maglev, Modulo, Rendezvous, Ring, RingSizeError,
    TableSizeError,
};
pub use heartbeat::Heartbeat;
pub use least_request::LeastRequest;
pub use needs::Needs;
pub use peak_ewma::PeakEwma;
pub use plan::{Plan, PlanMember, PlanMembers};
pub use prequal::{Prequal, PrequalReports, PrequalTarget, ProbeReport};
pub use readings::{HeartbeatReading, HeartbeatReadings, TooManyUnknownMembers};
pub use rotation::Rotation;
pub use sampling::SamplingError;
pub use shadow::{MemberShadow, Shadow, ShadowReport, ShadowSummary};
pub use weighted_random::WeightedRandom;
pub use zone_aware::ZoneAware;

pub(crate) use facts::PickFacts;
pub(crate) use plan::same_plan;

use crate::member::{Ended, MemberId, MemberState};

/// Picks one of the eligible members for each request.
///
/// # Contract
///
/// * [`pick`](Self::pick) returns [`Pick::Claimed`] with a claim of one of the given
///   candidates, and changes its own state only after the claim: there is nothing to undo.
///   A pick claims one member: it ends with the first claim that succeeds.
/// * It returns [`Pick::NoneUsable`] only if no candidate can be claimed, however long the
///   request waits. It returns [`Pick::AtCapacity`] if an untried candidate is at its cap,
///   or if the scheduler withholds room (see [`Pick::AtCapacity`]).
/// * It is deterministic: the same calls with the same random source give the same picks.
/// * It waits only for its own short lock, never allocates in `pick`, never panics, and
///   never calls the balancer: the hooks run while the membership is locked.
/// * Facts such as requests in flight and bytes are read from [`MemberState`], never
///   counted again.
///
/// All methods except the first two have defaults, so that a scheduler is short:
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberId, PickRequest};
///
/// /// The first member that can be claimed: fill one before the next.
/// #[derive(Debug)]
/// struct First;
///
/// impl Scheduler for First {
///     fn name(&self) -> &'static str {
///         "first"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
///         candidates.claim_first(candidates.iter())
///     }
///
///     fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
///         candidates.iter().find(|one| one.has_room()).map(|one| one.id())
///     }
/// }
/// let balancer = Balancer::builder()
///     .scheduler(First)
///     .member("a", (), Default::default())
///     .member("b", (), Default::default())
///     .build()?;
/// assert_eq!(balancer.pick(&PickRequest::new()).unwrap().member().name(), "a");
/// assert_eq!(&*balancer.explain(&PickRequest::new()).picked().unwrap().name, "a");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
pub trait Scheduler: fmt::Debug + Send + Sync + 'static {
    /// Returns the scheduler's name, such as `byrequests`.
    fn name(&self) -> &'static str;

    /// Picks one of `candidates` and claims it.
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c>;

    /// Returns the member that `pick` would pick, without side effects; `None` if that is not
    /// known or no member can be picked. The random source of `context` is a copy: it gives
    /// the numbers that the next pick would draw.
    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let _ = (candidates, context);
        None
    }

    /// Returns what `pick` would compare and draw, for
    /// [`Balancer::explain`](crate::Balancer::explain), without side effects on the
    /// scheduler. The random source of `context` is a copy: it gives the numbers that the
    /// next pick would draw.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Pick, PickContext, PickDetails, Scheduler};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// /// The member with the fewest requests in flight.
    /// #[derive(Debug)]
    /// struct Idlest;
    ///
    /// impl Scheduler for Idlest {
    ///     fn name(&self) -> &'static str {
    ///         "idlest"
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
    ///         let best = candidates.iter().min_by_key(|one| one.state().in_flight());
    ///         candidates.claim_first(best.into_iter().chain(candidates.iter()))
    ///     }
    ///
    ///     fn explain(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> PickDetails {
    ///         let details = PickDetails::comparing("requests in flight");
    ///         candidates.iter().fold(details, |details, one| {
    ///             details.score(one.id(), f64::from(one.state().in_flight()))
    ///         })
    ///     }
    /// }
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(Idlest)
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// let explanation = balancer.explain(&PickRequest::new());
    /// let scores = explanation.details().scores.iter().map(|one| one.score);
    /// assert_eq!(scores.collect::<Vec<_>>(), [1.0, 0.0]);
    /// # drop(lease);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let _ = (candidates, context);
        PickDetails::default()
    }

    /// Called when a session has picked `member`, one of `candidates`, and the request is
    /// counted: update the scheduler's state as if it had picked the member.
    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        let _ = (candidates, member);
    }

    /// Called when a request has ended, but only if [`needs`](Self::needs) contains
    /// [`Needs::ENDED`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Needs, Pick, PickContext, Scheduler};
    /// use equipoise::member::{Ended, MemberId, MemberState, Outcome};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::sync::Mutex;
    ///
    /// /// Any member rather than the one that failed last.
    /// #[derive(Debug, Default)]
    /// struct Wary {
    ///     failed: Mutex<Option<MemberId>>,
    /// }
    ///
    /// impl Scheduler for Wary {
    ///     fn name(&self) -> &'static str {
    ///         "wary"
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
    ///         let failed = *self.failed.lock().unwrap();
    ///         let others = candidates.iter().filter(|one| Some(one.id()) != failed);
    ///         candidates.claim_first(others.chain(candidates.iter()))
    ///     }
    ///
    ///     fn on_ended(&self, member: &MemberState, ended: &Ended) {
    ///         if ended.outcome == Outcome::Failure {
    ///             *self.failed.lock().unwrap() = Some(member.id());
    ///         }
    ///     }
    ///
    ///     fn needs(&self) -> Needs {
    ///         Needs::ENDED
    ///     }
    /// }
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(Wary::default())
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.finish(Outcome::Failure);
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        let _ = (member, ended);
    }

    /// Called when a member is below its cap again, or when its learned limit was raised. It
    /// may also be called at another end of a request. A cap that a source or an operator has
    /// changed is a change of the group: see [`on_group_change`](Self::on_group_change).
    ///
    /// A scheduler that wraps another one passes this on. Otherwise full members stay set
    /// aside, and from 17 members on, [`ByBusyness`] does not learn of ends.
    fn on_room(&self, member: &MemberState) {
        let _ = member;
    }

    /// Called when the eligible group has changed, with the members that joined, left or
    /// changed. Calls come one at a time, in the order of the changes.
    fn on_group_change(&self, group: &GroupChange<'_>) {
        let _ = group;
    }

    /// Computes a table for later picks, from all members and their configured weights,
    /// including overrides; called only if [`needs`](Self::needs) contains [`Needs::PLAN`].
    ///
    /// A plan is made after each change of the members, their weights, tiers or labels, and
    /// for a newly set scheduler. Health, drains, caps and slow starts do not change the
    /// plan: the pick skips members of the plan, or passes on some of their keys. `None`
    /// means no plan: picks then get none.
    ///
    /// # What a change costs
    ///
    /// The caller of the change (such as [`insert`](crate::Balancer::insert),
    /// [`replace_all`](crate::Balancer::replace_all) or
    /// [`set_scheduler`](crate::Balancer::set_scheduler)) makes the plan, after the change
    /// is published and outside every lock. That call therefore takes as long as this
    /// method: with [`Maglev`] a few milliseconds for some hundred members, and up to a
    /// second for 10 000. Async code should make such changes on a thread for blocking
    /// work, and combine many changes into one.
    ///
    /// Picks and other changes continue in the meantime. Picks use the previous plan; a
    /// scheduler without a plan yet must pick without one. A change made in the meantime
    /// returns without making a plan: the caller that is making one makes another
    /// afterwards, which includes all those changes. While changes arrive faster than plans
    /// are made, that caller does not return.
    ///
    /// The plan of a scheduler that has been replaced in the meantime is discarded.
    ///
    /// # Panics
    ///
    /// A panic reaches the caller of the change; the change itself stays in effect. The
    /// previous plan stays, and the next change makes a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, PlanMembers, Needs, Pick, PickContext, Plan, Scheduler};
    /// use equipoise::{Balancer, MemberId, MemberSpec, PickRequest};
    ///
    /// /// The member whose turn it is in a table.
    /// #[derive(Debug)]
    /// struct Modulo;
    ///
    /// impl Scheduler for Modulo {
    ///     fn name(&self) -> &'static str {
    ///         "modulo"
    ///     }
    ///
    ///     fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
    ///         let mut table: Vec<_> = members.iter().map(|one| (one.name(), one.id())).collect();
    ///         table.sort_unstable();
    ///         Some(Plan::new(Vec::from_iter(table.into_iter().map(|(_, id)| id))))
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
    ///         let key = context.hash().unwrap_or_else(|| context.random().next_u64());
    ///         let table = candidates.plan::<Vec<MemberId>>().filter(|table| !table.is_empty());
    ///         let planned = table.map(|table| table[(key % table.len() as u64) as usize]);
    ///         // Without a plan, or if that member cannot be claimed: any other.
    ///         match planned.map(|member| candidates.claim(member)) {
    ///             Some(Ok(claim)) => Pick::Claimed(claim),
    ///             _ => candidates.claim_first(candidates.iter()),
    ///         }
    ///     }
    ///
    ///     fn needs(&self) -> Needs {
    ///         Needs::PLAN
    ///     }
    /// }
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(Modulo)
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let picked = |key| balancer.pick(&PickRequest::new().with_hash(key)).unwrap();
    /// assert_eq!(picked(2).member().name(), "a");
    /// assert_eq!(picked(3).member().name(), "b");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let _ = members;
        None
    }

    /// Resets the scheduler's state, so that all members start equal.
    fn reset(&self) {}

    /// Returns a member's standing as shown to operators (Apache: `lbstatus`), in units of
    /// the scheduler's own.
    #[doc(alias = "lbstatus")]
    fn standing(&self, member: MemberId) -> Option<i64> {
        let _ = member;
        None
    }

    /// Returns what the balancer has to measure and do for this scheduler.
    fn needs(&self) -> Needs {
        Needs::NONE
    }
}

const _: Option<&dyn Scheduler> = None;

/// For schedulers that are chosen at run time, for example by a name in a file.
impl<S: Scheduler + ?Sized> Scheduler for Box<S> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        (**self).pick(candidates, context)
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        (**self).peek(candidates, context)
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        (**self).explain(candidates, context)
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        (**self).on_session_pick(candidates, member);
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        (**self).on_ended(member, ended);
    }

    fn on_room(&self, member: &MemberState) {
        (**self).on_room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        (**self).on_group_change(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        (**self).plan(members)
    }

    fn reset(&self) {
        (**self).reset();
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        (**self).standing(member)
    }

    fn needs(&self) -> Needs {
        (**self).needs()
    }
}
