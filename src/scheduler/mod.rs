//! The policy: [`Scheduler`] decides which of the eligible members is picked.
//!
//! | choose | when |
//! |---|---|
//! | [`ByRequests`] | requests cost about the same; exact shares by weight |
//! | [`ByBusyness`] | requests differ in length, or connections are long-lived |
//! | [`ByTraffic`] | the bytes are what costs |
//! | [`Heartbeat`] | members report their idle capacity themselves |
//! | [`Maglev`] | one key is to stay with one member: caches, shards |
//!
//! A scheduler decides; it owns no member, no time, no payload. Who is eligible is
//! settled before it is asked (see [`Candidates`]).

mod by_busyness;
mod by_requests;
mod by_traffic;
mod candidates;
mod claim;
mod election;
mod facts;
mod fenwick;
mod group;
mod hashing;
mod heap;
mod heartbeat;
mod needs;
mod plan;
mod readings;
mod standings;

use std::any::Any;
use std::fmt;

pub use by_busyness::ByBusyness;
pub use by_requests::ByRequests;
pub use by_traffic::ByTraffic;
pub use candidates::{Candidate, Candidates};
pub use claim::{Claim, ClaimError, Pick};
pub use group::GroupChange;
pub use hashing::{Maglev, TableSizeError};
pub use heartbeat::Heartbeat;
pub use needs::Needs;
pub use plan::{Plan, PlanMember, PlanMembers};
pub use readings::{HeartbeatReading, HeartbeatReadings, TooManyUnknownMembers};

pub(crate) use facts::PickFacts;
pub(crate) use plan::plans_alike;

use crate::clock::Timestamp;
use crate::member::{Ended, MemberId, MemberState};
use crate::random::Random;

/// Picks one of the eligible members for each request.
///
/// # Contract
///
/// * [`pick`](Self::pick) returns [`Pick::Claimed`] with a claim of one of the given
///   candidates, and changes its books only after the claim: there is nothing to undo.
///   A pick claims one member: it ends with the first claim that succeeds.
/// * It returns [`Pick::Nobody`] only if no candidate can be claimed, however long it
///   waits, and [`Pick::AtCapacity`] if one of them, untried, is at its cap, or if it
///   withholds room; see there.
/// * It is deterministic: the same calls with the same random source give the same
///   picks.
/// * It waits for nothing but its own short lock, never allocates in `pick`, never
///   panics, and never calls the balancer: the hooks run while the membership is
///   locked.
/// * Facts (in flight, bytes) are read from [`MemberState`], never counted again.
///
/// All methods but the first two have defaults, so that a scheduler is short:
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
    /// Returns the method's name, as in `byrequests`.
    fn name(&self) -> &'static str;

    /// Picks one of `candidates` and claims it.
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c>;

    /// Tells who `pick` would pick, without side effect; `None` if chance decides or
    /// nobody can be picked.
    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let _ = (candidates, context);
        None
    }

    /// A session chose `member`, which is one of `candidates`, and it is counted:
    /// keep the books as if you had picked it.
    fn on_routed(&self, candidates: &Candidates<'_>, member: &MemberState) {
        let _ = (candidates, member);
    }

    /// A request ended; called only if [`needs`](Self::needs) says
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
    /// /// Anybody rather than whoever failed last.
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

    /// A member is below its cap again, or its cap was raised.
    fn on_room(&self, member: &MemberState) {
        let _ = member;
    }

    /// The eligible group changed; called by the publisher, in order, with who joined,
    /// left or changed.
    fn on_group_change(&self, group: &GroupChange<'_>) {
        let _ = group;
    }

    /// Creates a table ahead of picks, from all members and the weights that their sources
    /// and operators give; called only if [`needs`](Self::needs) contains
    /// [`Needs::PLAN`].
    ///
    /// A plan is made after each change of the members, of their weights, tiers or labels, and
    /// for a scheduler that is set. Health, drains, caps and slow starts change no plan: the
    /// pick steps over, or thins, what the plan names. `None` is no plan: picks get none.
    ///
    /// # What a change costs
    ///
    /// The plan is made by the caller of the change (such as
    /// [`insert`](crate::Balancer::insert), [`replace_all`](crate::Balancer::replace_all) or
    /// [`set_scheduler`](crate::Balancer::set_scheduler)), after the change is published and
    /// outside every lock. So that call takes as long as this method: with [`Maglev`] a few
    /// milliseconds for some hundred members, and up to a second for 10 000. Async code makes
    /// such changes on a thread for blocking work, and many changes in one.
    ///
    /// Picks and other changes go on meanwhile. Picks use the plan of before; one that has
    /// none yet must pick without. Changes that come meanwhile return without a plan of
    /// their own: the caller that is at it makes one more, with all of them. While changes
    /// come faster than plans are made, that caller is not released.
    ///
    /// A plan of a scheduler that has been replaced meanwhile is thrown away.
    ///
    /// # Panics
    ///
    /// A panic reaches the caller of the change, which is made nevertheless; the plan of
    /// before stays, and the next change makes a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, PlanMembers, Needs, Pick, PickContext, Plan, Scheduler};
    /// use equipoise::{Balancer, MemberId, MemberSpec, PickRequest};
    ///
    /// /// The member whose turn a table says it is.
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
    ///         // Without a plan, or if that one cannot be claimed: any other.
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

    /// Forgets what it has learnt and counted: everybody starts equal.
    fn reset(&self) {}

    /// Returns what an operator sees of a member's standing (Apache: `lbstatus`), in
    /// units of the method's own.
    #[doc(alias = "lbstatus")]
    fn standing(&self, member: MemberId) -> Option<i64> {
        let _ = member;
        None
    }

    /// Tells what has to be measured and done for this scheduler.
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }
}

const _: Option<&dyn Scheduler> = None;

/// For methods that are chosen while the program runs, by a name in a file.
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

    fn on_routed(&self, candidates: &Candidates<'_>, member: &MemberState) {
        (**self).on_routed(candidates, member);
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

/// What a policy may know beside the candidates.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, PickContext};
///
/// /// How a sampling scheduler would draw its first candidate.
/// fn draw(candidates: &Candidates<'_>, context: &PickContext<'_>) -> u64 {
///     context.random().below(candidates.len() as u64)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PickContext<'p> {
    pub(crate) now: Option<Timestamp>,
    pub(crate) hash: Option<u64>,
    pub(crate) facts: PickFacts<'p>,
    pub(crate) random: &'p Random,
}

impl<'p> PickContext<'p> {
    /// Returns the time, if [`Scheduler::needs`] asked for [`Needs::CLOCK`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use equipoise::scheduler::PickContext;
    ///
    /// /// Whether what a member said `at` is too old to go by.
    /// fn is_stale(at: Timestamp, context: &PickContext<'_>) -> bool {
    ///     context.now().is_some_and(|now| now.since(at).as_secs() >= 10)
    /// }
    /// ```
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Returns the request's hash key, if it brought one.
    #[must_use]
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// Returns the facts that the request brought, if they are of this type.
    #[must_use]
    pub fn facts<T: Any>(&self) -> Option<&'p T> {
        self.facts.get()
    }

    /// Returns the source of chance.
    #[must_use]
    pub fn random(&self) -> &'p Random {
        self.random
    }
}
