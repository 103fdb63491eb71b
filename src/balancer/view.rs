//! What readers work on: the [`View`] of one moment.

use std::sync::Arc;

use super::lease::Entry;
use crate::scheduler::{Needs, Scheduler};
use crate::snapshot::{Picture, Slab, Walk};

/// What readers see: the picture, the payloads and the scheduler of one moment.
pub(super) struct View<W> {
    pub(super) picture: Picture,
    pub(super) entries: Slab<Entry<W>>,
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) needs: Needs,
}

impl<W> View<W> {
    pub(super) fn empty(needs: Needs, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            picture: Picture::new(0, Arc::default(), Walk::default()),
            entries: Slab::default(),
            needs,
            scheduler,
        }
    }

    #[inline]
    pub(super) fn entry(&self, slot: usize) -> Option<&Arc<Entry<W>>> {
        self.entries.get(slot)
    }
}
