//! One of the members that a scheduler can pick: [`Candidate`].
//!
//! Not here: all of them (`candidates`).

use crate::member::{EffectiveWeight, MemberId, MemberSpec, MemberState};
use crate::snapshot::{Factors, Picture, Seat};

/// One eligible member.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidate, Candidates, Pick};
/// use std::cmp::Reverse;
///
/// /// The heaviest candidate that has room and serves `route`; the first one on a tie.
/// fn heaviest<'c>(candidates: &Candidates<'c>, route: &str) -> Pick<'c> {
///     let open = candidates.iter().filter(Candidate::has_room);
///     let best = open
///         .filter(|one| one.spec().route() == Some(route))
///         .min_by_key(|one| (Reverse(one.weight()), one.rank()));
///     candidates.claim_first(best.into_iter().chain(candidates.iter()))
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'c> {
    pub(super) seat: &'c Seat,
    pub(super) factors: &'c Factors,
    pub(super) spare: bool,
    pub(super) reversed: bool,
}

impl<'c> Candidate<'c> {
    pub(crate) fn new(picture: &'c Picture, seat: &'c Seat, spare: bool) -> Self {
        Self {
            seat,
            factors: &picture.factors,
            spare,
            reversed: false,
        }
    }

    /// Returns the member's id.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.seat.state.id()
    }

    /// Returns the member's state.
    #[must_use]
    pub fn state(&self) -> &'c MemberState {
        &self.seat.state
    }

    /// Returns the spec in effect: that of the source, with the operator's overrides
    /// applied.
    #[must_use = "this reads the spec and changes nothing"]
    pub fn spec(&self) -> &'c MemberSpec {
        &self.seat.spec
    }

    /// Returns the text of one of the member's labels, if it has that label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'c str> {
        self.seat.spec.label(name)
    }

    /// Returns whether the member is below its cap at this moment; only a claim is certain.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state().has_room()
    }

    /// Returns the weight that counts now: that of the spec, reduced while the member
    /// [ramps up](crate::member::Ramp).
    #[must_use]
    pub fn weight(&self) -> EffectiveWeight {
        self.factors.weight(self.seat)
    }

    /// Returns the sixteenths of the configured weight that count now.
    pub(super) fn sixteenths(&self) -> u32 {
        self.factors.sixteenths(self.seat.slot())
    }

    /// Returns the position that settles ties: the lower rank wins. Ranks are in
    /// configuration order; spares that stand in come after all others.
    #[must_use]
    pub fn rank(&self) -> u64 {
        const BEHIND: u64 = 1 << 63;
        let rank = self.seat.order | if self.spare { BEHIND } else { 0 };
        if self.reversed { !rank } else { rank }
    }
}
