//! One pick by a scheduler that keeps its members ranked: skip the tried members, park the
//! full ones, claim the first that can be claimed.
//!
//! Not here: the ranking itself, which each scheduler implements.

use super::{Candidates, Claim, ClaimError, Pick};
use crate::member::MemberId;

/// Members ranked by slot; some of them are skipped or parked.
pub(super) trait Ranking {
    /// Returns the generation of the group that the ranking follows.
    fn generation(&self) -> u64;

    /// Returns the slot of a member of the group.
    fn slot(&self, member: MemberId) -> Option<u32>;

    /// Returns the member ranked first among those neither skipped nor parked.
    fn first(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)>;

    /// Updates the ranking after a successful claim.
    fn picked(&mut self, slot: u32, claim: &Claim<'_>, candidates: &Candidates<'_>);

    /// Leaves a slot out until [`restore_skipped`](Self::restore_skipped).
    fn skip(&mut self, slot: u32);

    fn restore_skipped(&mut self);

    /// Leaves a slot out until its member has room again.
    fn park(&mut self, slot: u32);

    fn parked(&self) -> usize;

    fn is_parked(&self, slot: u32) -> bool;
}

/// Picks and claims one of `candidates`.
#[inline]
pub(super) fn pick_ranked<'c>(ranking: &mut impl Ranking, candidates: &Candidates<'c>) -> Pick<'c> {
    for &tried in candidates.tried() {
        if let Some(slot) = ranking.slot(tried) {
            ranking.skip(slot);
        }
    }
    let pick = loop {
        let Some((slot, member)) = ranking.first(candidates) else {
            break no_claim(ranking, candidates);
        };
        match candidates.claim(member) {
            Ok(claim) => {
                ranking.picked(slot, &claim, candidates);
                break Pick::Claimed(claim);
            }
            Err(ClaimError::AtCapacity) => ranking.park(slot),
            Err(_) => ranking.skip(slot),
        }
    };
    ranking.restore_skipped();
    pick
}

#[cold]
fn no_claim(ranking: &impl Ranking, candidates: &Candidates<'_>) -> Pick<'static> {
    let tried = candidates.tried();
    let first_time = |(at, member): &(usize, &MemberId)| !tried[..*at].contains(member);
    let parked_but_tried = tried
        .iter()
        .enumerate()
        .filter(first_time)
        .filter_map(|(_, &member)| ranking.slot(member))
        .filter(|&slot| ranking.is_parked(slot))
        .count();
    if ranking.parked() > parked_but_tried {
        Pick::AtCapacity
    } else if candidates.generation() < ranking.generation() {
        Pick::Stale
    } else {
        Pick::NoneUsable
    }
}
