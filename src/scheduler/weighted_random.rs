//! Picks at random, in proportion to the weights.

use super::lots::Lots;
use super::{Candidates, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers, Scheduler};
use crate::member::MemberId;

/// Picks at random, in proportion to the weights.
///
/// Use it with many balancers that do not know each other's requests: no pick depends on
/// another, so the balancers cannot favour the same member at the same time. With few
/// balancers, [`Rotation`](super::Rotation) spreads requests more evenly, and
/// [`LeastRequest`](super::LeastRequest) keeps queues shorter: with random picks at a load
/// of 90 %, a request spends 10 service times at a member on average.
///
/// The chance of a member is its effective weight, divided by the sum over all members that
/// are eligible, untried by the request, and below their caps. With one seed
/// ([`seed`](crate::balancer::Builder::seed)), the picks are the same on every
/// machine.
///
/// Source: Walker, *New fast method for generating discrete random numbers* (1974), and
/// Vose, *A linear algorithm for generating random numbers with a given distribution*
/// (1991). Cost: a pick takes no lock and constant time; if most members of the tier cannot
/// be picked, it adds up the weights of the eligible ones. The caller of a change of members
/// computes the table ([`Scheduler::plan`]), which has 24 bytes a member. Until it is ready,
/// members that have joined get no requests, unless no other member can be picked.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::WeightedRandom;
/// use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
///
/// let balancer = Balancer::builder()
///     .scheduler(WeightedRandom::new())
///     .seed(7)
///     .member("a", (), MemberSpec::new())
///     .member("b", (), MemberSpec::new().with_weight(Weight::new(3)?))
///     .build()?;
/// for _ in 0..10_000 {
///     drop(balancer.pick(&PickRequest::new())?);
/// }
/// let picked = balancer.member("b").unwrap().picked();
/// assert!((7_400..7_600).contains(&picked));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct WeightedRandom;

impl WeightedRandom {
    /// Creates a scheduler.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::WeightedRandom;
    ///
    /// assert_eq!(WeightedRandom::new().name(), "weightedrandom");
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Scheduler for WeightedRandom {
    fn name(&self) -> &'static str {
        "weightedrandom"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(Lots::new(members)))
    }

    #[inline]
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        Lots::claim(candidates.plan(), candidates, context.random())
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let drawn = Lots::draw(candidates.plan(), candidates, context.random());
        drawn.map(|one| one.id())
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let drawn = self.peek(candidates, context).into_iter();
        drawn
            .fold(PickDetails::default(), PickDetails::sample)
            .ignoring_hash(context)
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}
