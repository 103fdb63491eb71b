//! Elections that repeat: [`Round`]. Not here: when a round is whole (`ahead.rs`).

/// The longest round that is kept.
pub(super) const LONGEST: usize = if cfg!(equipoise_loom) { 2 } else { 256 };

/// Elections after which the state is the same again: later turns repeat them.
#[derive(Debug)]
pub(super) struct Round {
    /// The elections so far. It has its room from the beginning.
    pub(super) slots: Vec<u32>,
    /// How many there are in a round, or 0 if they are too many; `None` if that is not
    /// computed yet.
    pub(super) length: Option<usize>,
    /// How many turns repeat the round; `None` until it is whole.
    pub(super) repeated: Option<u64>,
    /// The index of the next slot to be repeated.
    at: usize,
}

impl Round {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::with_capacity(LONGEST),
            length: None,
            repeated: None,
            at: 0,
        }
    }

    /// Returns the next slot, if the round is whole.
    #[inline]
    pub(super) fn repeat(&mut self) -> Option<u32> {
        *self.repeated.as_mut()? += 1;
        let slot = self.slots[self.at];
        self.at += 1;
        if self.at == self.slots.len() {
            self.at = 0;
        }
        Some(slot)
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        (self.length, self.repeated, self.at) = (None, None, 0);
    }
}
