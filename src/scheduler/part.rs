//! A part of the candidates, for schedulers that let others pick among some members: the
//! other scheduler sees the part as if there were no other members.
//!
//! A part is a [`Picture`] of its own, which is made when the group changes
//! ([`Picture::parts`]) and kept with the picture of the whole group ([`Derived`]). So it is
//! always as old as the candidates.
//!
//! Not here: which members are in a part.
//!
//! [`Derived`]: crate::snapshot::Derived

use std::any::Any;
use std::cell::Cell;

use super::{Candidates, Plan};
use crate::snapshot::Picture;

impl<'c> Candidates<'c> {
    /// Returns what the scheduler `owner` has derived from this group, made now if it was
    /// not made when the group changed.
    pub(super) fn derived<T>(&self, owner: u64, make: impl FnOnce(&Picture) -> T) -> Option<&'c T>
    where
        T: Any + Send + Sync,
    {
        let picture = self.picture;
        picture.derived.get(owner).or_else(|| {
            picture.derived.add(owner, make(picture));
            picture.derived.get(owner)
        })
    }

    /// Calls `act` with all candidates and the plan of another scheduler. A claim that `act`
    /// makes is one of these candidates.
    pub(super) fn planned<T>(&self, plan: Option<&'c Plan>, act: impl FnOnce(&Self) -> T) -> T {
        self.within(self.picture, plan, act)
    }

    /// Calls `act` with the candidates of a part, with the plan that was made for it. A
    /// claim that `act` makes is one of all candidates.
    pub(super) fn within<T>(
        &self,
        part: &'c Picture,
        plan: Option<&'c Plan>,
        act: impl FnOnce(&Self) -> T,
    ) -> T {
        let part = CandidatesPart {
            whole: self,
            part: Candidates {
                picture: part,
                tried: self.tried,
                plan,
                claimed: Cell::new(self.claimed.get()),
                read: Cell::new(self.read.get()),
                asked_again: Cell::new(self.asked_again.get()),
                reversed: self.reversed,
                preview: self.preview,
            },
        };
        act(&part.part)
    }
}

/// Hands a claim over when it is dropped, also if the scheduler panics: the balancer
/// releases a claim that did not become a lease.
#[derive(Debug)]
struct CandidatesPart<'a, 'c> {
    whole: &'a Candidates<'c>,
    part: Candidates<'c>,
}

impl Drop for CandidatesPart<'_, '_> {
    fn drop(&mut self) {
        self.whole.claimed.set(self.part.claimed.get());
        self.whole.read.set(self.part.read.get());
        self.whole.asked_again.set(self.part.asked_again.get());
    }
}
