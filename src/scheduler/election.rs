//! One pick by a scheduler that keeps its members ranked: skip the tried members, park the
//! full ones, claim the first that can be claimed.
//!
//! What does not live here: the ranking itself, which each scheduler implements.

use super::{Candidates, Claim, ClaimError, Pick};
use crate::member::MemberId;

/// Members ranked by slot; some of them are skipped or parked.
pub(super) trait Books {
    /// Returns the generation of the group that the ranking follows.
    fn generation(&self) -> u64;

    /// Returns the slot of a member of the group.
    fn slot(&self, member: MemberId) -> Option<u32>;

    /// Returns the member ranked first among those neither skipped nor parked.
    fn champion(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)>;

    /// Updates the ranking after a successful claim.
    fn picked(&mut self, slot: u32, claim: &Claim<'_>);

    /// Leaves a slot out until [`put_back`](Self::put_back).
    fn step_over(&mut self, slot: u32);

    fn put_back(&mut self);

    /// Leaves a slot out until its member has room again.
    fn park(&mut self, slot: u32);

    fn parked(&self) -> usize;

    fn is_parked(&self, slot: u32) -> bool;
}

/// Picks and claims one of `candidates`.
#[inline]
pub(super) fn elect<'c>(books: &mut impl Books, candidates: &Candidates<'c>) -> Pick<'c> {
    for &tried in candidates.tried() {
        if let Some(slot) = books.slot(tried) {
            books.step_over(slot);
        }
    }
    let pick = loop {
        let Some((slot, member)) = books.champion(candidates) else {
            break nobody(books, candidates);
        };
        match candidates.claim(member) {
            Ok(claim) => {
                books.picked(slot, &claim);
                break Pick::Claimed(claim);
            }
            Err(ClaimError::AtCapacity) => books.park(slot),
            Err(_) => books.step_over(slot),
        }
    };
    books.put_back();
    pick
}

#[cold]
fn nobody(books: &impl Books, candidates: &Candidates<'_>) -> Pick<'static> {
    let tried = candidates.tried();
    let first_time = |(at, member): &(usize, &MemberId)| !tried[..*at].contains(member);
    let parked_but_tried = tried
        .iter()
        .enumerate()
        .filter(first_time)
        .filter_map(|(_, &member)| books.slot(member))
        .filter(|&slot| books.is_parked(slot))
        .count();
    if books.parked() > parked_but_tried {
        Pick::AtCapacity
    } else if candidates.generation() < books.generation() {
        Pick::Stale
    } else {
        Pick::Nobody
    }
}
