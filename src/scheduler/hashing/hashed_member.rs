//! A member of a table, with the hash of its name: [`HashedMember`].
//!
//! Not here: the tables, and scores.

use super::{hash_of, keeps, lower};
use crate::member::MemberId;
use crate::scheduler::{Candidates, Claim};

/// A member, with the hash of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct HashedMember {
    pub(super) id: MemberId,
    pub(super) hash: u64,
}

impl HashedMember {
    pub(super) fn new(id: MemberId, name: &str) -> Self {
        let hash = lower(hash_of(name));
        Self { id, hash }
    }

    /// Returns whether the member is eligible and keeps the key.
    #[inline]
    pub(super) fn keeps(self, candidates: &Candidates<'_>, key: u64) -> bool {
        let candidate = candidates.get(self.id);
        candidate.is_some_and(|one| keeps(candidates, &one, key, self.hash))
    }

    /// Claims the member, if it can be claimed and keeps the key.
    #[inline]
    pub(super) fn claim<'c>(self, candidates: &Candidates<'c>, key: u64) -> Option<Claim<'c>> {
        if !candidates.are_at_full_weight() && !self.keeps(candidates, key) {
            return None;
        }
        candidates.claim(self.id).ok()
    }

    /// Returns whether a claim would succeed now.
    pub(super) fn can_take(self, candidates: &Candidates<'_>, key: u64) -> bool {
        !candidates.tried().contains(&self.id)
            && candidates
                .get(self.id)
                .is_some_and(|one| one.has_room() && keeps(candidates, &one, key, self.hash))
    }
}
