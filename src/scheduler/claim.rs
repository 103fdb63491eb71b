//! The result of a pick: [`Pick`], the [`Claim`] that proves that the picked member was
//! eligible and is counted, and the reasons why a claim fails ([`ClaimError`]).
//!
//! Not here: claiming (`candidates`).

use crate::member::MemberState;

/// The result of a pick.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
///
/// /// Simulates a balancer whose members are all busy.
/// #[derive(Debug)]
/// struct Full;
///
/// impl Scheduler for Full {
///     fn name(&self) -> &'static str {
///         "full"
///     }
///
///     fn pick<'c>(&self, _: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
///         Pick::AtCapacity
///     }
/// }
///
/// let balancer = Balancer::builder()
///     .scheduler(Full)
///     .member("a", (), MemberSpec::new())
///     .build()?;
/// let error = balancer.pick(&PickRequest::new()).unwrap_err();
/// assert_eq!(error, PickError::AtCapacity);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Pick<'c> {
    /// There is no room for this request now, though there are candidates. Either those
    /// that could be picked have as many requests in flight as their caps allow, or the
    /// scheduler withholds room, to keep it for other requests or to stay below a limit of
    /// its own.
    ///
    /// A pick fails with [`PickError::AtCapacity`](crate::PickError::AtCapacity), and a
    /// request that [waits](crate::Balancer::pick_wait) continues to wait. It tries again
    /// when a member is below its cap again, and when the membership or a status changes. A
    /// scheduler that withholds room needs [`Needs::WAKE_ON_END`](super::Needs::WAKE_ON_END),
    /// so that waiting requests also try again at every end of a request. If room can
    /// appear without the end of a request, for example as time passes, the balancer cannot
    /// notice it. The application then calls
    /// [`wake_waiting`](crate::Balancer::wake_waiting); otherwise the request waits until
    /// its deadline.
    ///
    /// Withhold room before making a claim: a claim that is dropped wakes waiting requests.
    AtCapacity,
    /// This member was picked; the request is already counted as in flight.
    Claimed(Claim<'c>),
    /// No candidate can be claimed.
    NoneUsable,
    /// The candidates are older than the last group change that the scheduler has seen. The
    /// balancer picks again with the present ones.
    Stale,
}

/// Proof that a member was eligible and that the request is counted as in flight; only
/// [`Candidates::claim`](super::Candidates::claim) creates it.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Pick;
///
/// /// Records a pick: the requests in flight, by slot.
/// fn record(in_flight: &mut [u32], pick: &Pick<'_>) {
///     if let Pick::Claimed(claim) = pick {
///         in_flight[claim.member().id().slot()] = claim.in_flight();
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a claim that is not returned is released"]
pub struct Claim<'c> {
    pub(super) state: &'c MemberState,
    pub(super) in_flight: u32,
}

impl<'c> Claim<'c> {
    /// Returns the claimed member.
    #[must_use]
    pub fn member(&self) -> &'c MemberState {
        self.state
    }

    /// Returns the member's number of requests in flight, this claim included.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }
}

/// The reason why a member could not be claimed.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, ClaimError};
///
/// /// Does the same as [`Candidates::claim_first`].
/// fn first<'c>(candidates: &Candidates<'c>) -> Pick<'c> {
///     let mut full = false;
///     for one in candidates.iter() {
///         match candidates.claim(one.id()) {
///             Ok(claim) => return Pick::Claimed(claim),
///             Err(refused) => full |= refused == ClaimError::AtCapacity,
///         }
///     }
///     if full { Pick::AtCapacity } else { Pick::NoneUsable }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClaimError {
    /// The member has as many requests in flight as its cap allows.
    AtCapacity,
    /// The member is not one of the candidates, or this request has tried it.
    NotEligible,
    /// This pick has already claimed a member.
    OnePerPick,
    /// The member became disabled, stopped, in error, ejected or failed by a health check
    /// after the candidates were determined.
    Unusable,
}
