//! The course of one pick over books that know who is ahead: step over the tried,
//! park the full, claim the first that can be claimed.
//!
//! What does not live here: the order. That is what the books are for.

use super::{Candidates, Claim, ClaimError, Pick};
use crate::member::MemberId;

/// Books of members by slot, some of them stepped over or parked.
pub(super) trait Books {
    /// The generation of the group that the books follow.
    fn generation(&self) -> u64;

    /// The slot of a member of the group.
    fn slot(&self, member: MemberId) -> Option<u32>;

    /// Who is ahead now among those neither stepped over nor parked.
    fn champion(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)>;

    /// Enters a pick that is claimed.
    fn picked(&mut self, slot: u32, claim: &Claim<'_>);

    /// Leaves a slot out until [`put_back`](Self::put_back).
    fn step_over(&mut self, slot: u32);

    fn put_back(&mut self);

    /// Leaves a slot out until it has room again.
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
