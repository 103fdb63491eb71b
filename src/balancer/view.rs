//! What readers use: the [`View`] of one moment.

use std::sync::Arc;

use super::lease::MemberEntry;
use crate::member::MemberId;
use crate::scheduler::{Candidates, Needs, Plan, Scheduler};
use crate::snapshot::{EligibilityWalk, Factors, Picture, Slab};

/// What readers see: the picture, the payloads and the scheduler of one moment.
pub(super) struct View<W> {
    pub(super) picture: Picture,
    pub(super) entries: Slab<MemberEntry<W>>,
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) needs: Needs,
    /// The last plan of this scheduler.
    pub(super) plan: Option<Plan>,
}

impl<W> View<W> {
    pub(super) fn empty(needs: Needs, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            picture: Picture::new(
                0,
                Arc::default(),
                EligibilityWalk::default(),
                Factors::default(),
            ),
            entries: Slab::default(),
            needs,
            scheduler,
            plan: None,
        }
    }

    /// Returns the same view with another plan.
    pub(super) fn with_plan(&self, plan: Option<Plan>) -> Self {
        Self {
            picture: self.picture.clone(),
            entries: self.entries.clone(),
            scheduler: self.scheduler.clone(),
            needs: self.needs,
            plan,
        }
    }

    /// Returns the members that the scheduler picks from, for a request that has tried
    /// some.
    #[inline]
    pub(super) fn candidates<'v>(&'v self, tried: &'v [MemberId]) -> Candidates<'v> {
        Candidates::new(&self.picture, tried).with_plan(self.plan.as_ref())
    }

    /// Returns the entry of the member that was claimed, if one was.
    #[inline]
    pub(super) fn claimed_entry(
        &self,
        candidates: &Candidates<'_>,
    ) -> Option<&Arc<MemberEntry<W>>> {
        self.entry(candidates.claimed()?.id().slot())
    }

    #[inline]
    pub(super) fn entry(&self, slot: usize) -> Option<&Arc<MemberEntry<W>>> {
        self.entries.get(slot)
    }
}
