//! Members in the order of their scores for a key: weighted rendezvous hashing.
//!
//! Not here: the score itself (`mod.rs`).

use super::hashed_member::HashedMember;
use super::{Score, hash_of, lower};
use crate::member::MemberId;
use crate::scheduler::{Candidate, Candidates, Pick, PlanMembers};

/// The number of members that a pick tries by score, when members become full or unusable
/// during the pick, before it tries all of them.
const RANKS: usize = 4;

/// The hashes of all members' names, by slot. A plan contains them, so that a pick does not
/// hash names.
#[derive(Debug, Default)]
pub(super) struct MemberHashes(Box<[Option<HashedMember>]>);

impl MemberHashes {
    pub(super) fn new(members: &PlanMembers<'_>) -> Self {
        let members = members.iter();
        Self::of(members.map(|one| HashedMember::new(one.id(), one.name())))
    }

    pub(super) fn of(members: impl Iterator<Item = HashedMember>) -> Self {
        let mut all = Vec::new();
        for member in members {
            let slot = member.id.slot();
            if all.len() <= slot {
                all.resize(slot + 1, None);
            }
            all[slot] = Some(member);
        }
        Self(all.into())
    }

    /// Returns one more than the highest slot.
    pub(super) fn slots(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn at(&self, slot: usize) -> Option<HashedMember> {
        *self.0.get(slot)?
    }
}

/// Returns the hash of a candidate's name, computed if the plan does not contain it.
fn known_hash(hashes: Option<&MemberHashes>, one: &Candidate<'_>) -> u64 {
    match hashes.and_then(|hashes| hashes.at(one.id().slot())) {
        Some(member) if member.id == one.id() => member.hash,
        _ => lower(hash_of(one.state().name())),
    }
}

/// Claims the member with the best score that can be claimed.
#[inline(never)]
pub(super) fn claim_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    hashes: Option<&MemberHashes>,
) -> Pick<'c> {
    claim_other_by_score(candidates, key, hashes, None)
}

/// The same; `last` only if there is no other.
#[cold]
pub(super) fn claim_other_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    hashes: Option<&MemberHashes>,
    last: Option<MemberId>,
) -> Pick<'c> {
    let order = by_score(candidates, key, hashes).filter(|one| Some(one.id()) != last);
    for best in order.take(RANKS) {
        if let Ok(claim) = candidates.claim(best.id()) {
            return Pick::Claimed(claim);
        }
    }
    candidates.claim_first(candidates.iter())
}

/// Returns the member that [`claim_other_by_score`] would claim now.
pub(super) fn best_other_by_score(
    candidates: &Candidates<'_>,
    key: u64,
    hashes: Option<&MemberHashes>,
    last: Option<MemberId>,
) -> Option<MemberId> {
    let mut order = by_score(candidates, key, hashes);
    let best = order.find(|one| Some(one.id()) != last);
    let best = best.or_else(|| by_score(candidates, key, hashes).next());
    best.map(|best| best.id())
}

/// Iterates over the untried members that have room, best score first, whether or not the
/// plan contains them. Each step examines all of them.
pub(super) fn by_score<'a, 'c>(
    candidates: &'a Candidates<'c>,
    key: u64,
    hashes: Option<&'a MemberHashes>,
) -> impl Iterator<Item = Candidate<'c>> + use<'a, 'c> {
    let mut ahead = None;
    std::iter::from_fn(move || {
        let (score, best) = next_by_score(candidates, key, hashes, ahead)?;
        ahead = Some(score);
        Some(best)
    })
}

/// Returns the member with the best score; with `ahead`, the one after those.
fn next_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    hashes: Option<&MemberHashes>,
    ahead: Option<Score>,
) -> Option<(Score, Candidate<'c>)> {
    let mut best: Option<(Score, Candidate<'c>)> = None;
    for one in candidates.iter() {
        let hash = known_hash(hashes, &one);
        let limit = best.map(|(least, _)| least);
        let Some(score) = Score::within(limit, key, hash, one.weight()) else {
            continue;
        };
        let is_behind = ahead.is_none_or(|ahead| score.cmp(ahead).is_gt());
        let is_better = best.is_none_or(|(least, other)| {
            let tie = || one.rank().cmp(&other.rank());
            score.cmp(least).then_with(tie).is_lt()
        });
        if is_behind && is_better && one.has_room() {
            best = Some((score, one));
        }
    }
    best
}

/// Returns the score of each untried candidate, for an explanation.
pub(super) fn scores<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    hashes: Option<&MemberHashes>,
) -> impl Iterator<Item = (MemberId, f64)> {
    candidates.iter().map(move |one| {
        let score = Score::new(key, known_hash(hashes, &one), one.weight());
        (one.id(), score.per_weight())
    })
}
