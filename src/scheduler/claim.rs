//! What comes of choosing a member: a [`Claim`], or why it was [`Refused`].
//!
//! What does not live here: claiming (`candidates.rs`).

use crate::member::MemberState;

/// Proof that a member was eligible and is counted in; made by
/// [`Candidates::claim`](super::Candidates::claim) only.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Pick;
///
/// /// Brings the books up to date with an election: in flight, by slot.
/// fn enter(books: &mut [u32], pick: &Pick<'_>) {
///     if let Pick::Elected(claim) = pick {
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
    /// Returns whom it claims.
    ///
    /// # Examples
    ///
    /// See [`Claim`].
    #[must_use]
    pub fn member(&self) -> &'c MemberState {
        self.state
    }

    /// Returns how many the member had in flight with this claim.
    ///
    /// # Examples
    ///
    /// See [`Claim`].
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
/// use equipoise::scheduler::{Candidates, Pick, Refused};
///
/// /// What [`Candidates::claim_first`] does.
/// fn first<'c>(candidates: &Candidates<'c>) -> Pick<'c> {
///     let mut full = false;
///     for one in candidates.iter() {
///         match candidates.claim(one.id()) {
///             Ok(claim) => return Pick::Elected(claim),
///             Err(refused) => full |= refused == Refused::AtCapacity,
///         }
///     }
///     if full { Pick::AtCapacity } else { Pick::Nobody }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refused {
    /// As many are in flight as its cap allows.
    AtCapacity,
    /// It is not one of the candidates, or was tried by this request.
    NotEligible,
    /// This pick has claimed somebody already.
    OnePerPick,
    /// It is disabled, stopped, in error or failed by a health check since the
    /// candidates were determined.
    Unusable,
}
