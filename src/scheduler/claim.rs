//! What a pick comes to: a [`Pick`], the [`Claim`] that proves that a choice was
//! eligible and is counted, and why there may be none ([`ClaimError`]).
//!
//! What does not live here: claiming (`candidates`).

use crate::member::MemberState;

/// What a pick came to.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
///
/// /// To test what an application does when all members are busy.
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
    /// There is no room for this request now, though there are candidates: those that could
    /// be picked have as many in flight as their caps allow, or the scheduler withholds
    /// room, to keep it for other requests, or to stay below a limit of its own.
    ///
    /// A pick fails with [`PickError::AtCapacity`](crate::PickError::AtCapacity), and a
    /// request that [waits](crate::Balancer::pick_wait) goes on waiting. It looks again when a
    /// member below its cap has room, and when the membership or a status changes. A scheduler
    /// that withholds room asks for [`Needs::LOOK_AGAIN`](super::Needs::LOOK_AGAIN), so that
    /// it looks again at every end of a request too. If room can be had without an end, as when time passes, nothing of
    /// the balancer's shows it: then [`wake_waiting`](crate::Balancer::wake_waiting) is called
    /// from outside the scheduler, or the request waits until its deadline.
    ///
    /// Room is withheld before a claim is made: a claim that is dropped wakes what waits.
    AtCapacity,
    /// This one; counted already.
    Claimed(Claim<'c>),
    /// No candidate can be claimed.
    Nobody,
    /// The candidates are older than what the scheduler has been told: come again
    /// with the present ones.
    Stale,
}

/// Proof that a member was eligible and is counted in; made by
/// [`Candidates::claim`](super::Candidates::claim) only.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Pick;
///
/// /// Brings the books up to date with a pick: in flight, by slot.
/// fn enter(books: &mut [u32], pick: &Pick<'_>) {
///     if let Pick::Claimed(claim) = pick {
///         books[claim.member().id().slot()] = claim.in_flight();
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a claim that is not returned is given back"]
pub struct Claim<'c> {
    pub(super) state: &'c MemberState,
    pub(super) in_flight: u32,
}

impl<'c> Claim<'c> {
    /// Returns the member that it claims.
    #[must_use]
    pub fn member(&self) -> &'c MemberState {
        self.state
    }

    /// Returns how many the member had in flight with this claim.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }
}

/// Why a member could not be claimed.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, ClaimError};
///
/// /// What [`Candidates::claim_first`] does.
/// fn first<'c>(candidates: &Candidates<'c>) -> Pick<'c> {
///     let mut full = false;
///     for one in candidates.iter() {
///         match candidates.claim(one.id()) {
///             Ok(claim) => return Pick::Claimed(claim),
///             Err(refused) => full |= refused == ClaimError::AtCapacity,
///         }
///     }
///     if full { Pick::AtCapacity } else { Pick::Nobody }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClaimError {
    /// As many are in flight as its cap allows.
    AtCapacity,
    /// It is not one of the candidates, or was tried by this request.
    NotEligible,
    /// This pick has claimed a member already.
    OnePerPick,
    /// It is disabled, stopped, in error, ejected or failed by a health check since the
    /// candidates were determined.
    Unusable,
}
