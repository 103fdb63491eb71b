//! The members of a table, whether one of them can take a key, and the pick by score if none
//! can.
//!
//! Not here: the scores themselves (`hashing`), and the tables.

use super::{Score, hash_of, keeps};
use crate::member::MemberId;
use crate::scheduler::{Candidate, Candidates, Claim, Pick, PickContext, PickDetails};

/// The number of members that a pick tries by score, when members become full or unusable
/// during the pick, before it tries all of them.
const RANKS: usize = 4;

/// Returns the request's key, or else a random one.
#[inline]
pub(super) fn key_of(context: &PickContext<'_>) -> u64 {
    let random = || context.random().next_u64();
    context.hash().unwrap_or_else(random)
}

/// Returns details with a remark if the request has no key.
pub(super) fn details_of(context: &PickContext<'_>) -> PickDetails {
    let details = PickDetails::default();
    if context.hash().is_some() {
        return details;
    }
    details.note("the request has no hash key, so that a random key is drawn")
}

/// A member of a table, with the hash of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct HashedMember {
    pub(super) id: MemberId,
    hash: u64,
}

impl HashedMember {
    pub(super) fn new(id: MemberId, name: &str) -> Self {
        Self {
            id,
            hash: lower_hash(name),
        }
    }

    /// Claims the member, if it can be claimed and keeps the key.
    #[inline]
    pub(super) fn claim<'c>(self, candidates: &Candidates<'c>, key: u64) -> Option<Claim<'c>> {
        let candidate = candidates.get(self.id)?;
        if !keeps(&candidate, key, self.hash) {
            return None;
        }
        candidates.claim(self.id).ok()
    }

    /// Returns whether a claim would succeed now.
    pub(super) fn can_take(self, candidates: &Candidates<'_>, key: u64) -> bool {
        !candidates.tried().contains(&self.id)
            && candidates
                .get(self.id)
                .is_some_and(|one| one.has_room() && keeps(&one, key, self.hash))
    }
}

/// Returns the half of a name's hash that scores and thinning use.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn lower_hash(name: &str) -> u64 {
    hash_of(name) as u64
}

/// Claims the member with the best score that can be claimed; `last` only if there is no
/// other.
#[cold]
pub(super) fn claim_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    last: Option<MemberId>,
) -> Pick<'c> {
    let mut ahead = None;
    for _ in 0..RANKS {
        let Some((score, best)) = next_by_score(candidates, key, last, ahead) else {
            break;
        };
        if let Ok(claim) = candidates.claim(best.id()) {
            return Pick::Claimed(claim);
        }
        ahead = Some(score);
    }
    candidates.claim_first(candidates.iter())
}

/// Returns the member that [`claim_by_score`] would claim now.
pub(super) fn best_by_score(
    candidates: &Candidates<'_>,
    key: u64,
    last: Option<MemberId>,
) -> Option<MemberId> {
    let best = next_by_score(candidates, key, last, None);
    let best = best.or_else(|| next_by_score(candidates, key, None, None));
    best.map(|(_, best)| best.id())
}

/// Returns the member with the best score among those that have room, except `without`;
/// with `ahead`, the one after those.
fn next_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    without: Option<MemberId>,
    ahead: Option<Score>,
) -> Option<(Score, Candidate<'c>)> {
    let open = candidates.iter().filter(Candidate::has_room);
    let open = open.filter(|one| Some(one.id()) != without);
    let scored = open.map(|one| {
        let hash = lower_hash(one.state().name());
        (Score::new(key, hash, one.weight()), one)
    });
    let behind = scored.filter(|(score, _)| ahead.is_none_or(|ahead| score.cmp(ahead).is_gt()));
    behind.min_by(|(a, one), (b, other)| {
        let tie = || one.rank().cmp(&other.rank());
        a.cmp(*b).then_with(tie)
    })
}
