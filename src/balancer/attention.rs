//! What the end of a request has to take care of, in one atomic word: [`Attention`].
//!
//! An end looks at this word once; if it is empty, nothing else is looked at. What does
//! not live here: what is done about it (`shared.rs`).

use std::fmt;

use crate::sync::{AtomicU32, SeqCst};

/// The scheduler is told of ends.
pub(super) const ENDS: u32 = 1;
/// A request waits in line for a member.
pub(super) const LINE: u32 = 2;
/// A future watches for a change.
pub(super) const WATCHERS: u32 = 4;
/// There is an observer.
pub(super) const OBSERVED: u32 = 8;
/// A member was elected under a scheduler that has been replaced.
pub(super) const READ_AGAIN: u32 = 16;
/// The scheduler withholds room: what waits looks again at every end.
pub(super) const LOOK_AGAIN: u32 = 32;
/// The flags above; the other bits count the changes of scheduler.
const FLAGS: u32 = 0xff;
const ONE_CHANGE: u32 = FLAGS + 1;

/// What an end takes care of, as flags, and how often the scheduler was changed.
///
/// SeqCst, as the counters of members are: either the end sees what waits, or what waits
/// sees that the request has ended.
pub(super) struct Attention(AtomicU32);

/// How often the scheduler was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Changes(u32);

impl Changes {
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(ONE_CHANGE))
    }
}

/// The word at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u32);

impl Seen {
    #[inline]
    pub(super) fn is_idle(self) -> bool {
        self.0 & FLAGS == 0
    }

    #[inline]
    pub(super) fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    pub(super) fn changes(self) -> Changes {
        Changes(self.0 & !FLAGS)
    }
}

impl Attention {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.0.load(SeqCst))
    }

    pub(super) fn set(&self, flag: u32, on: bool) {
        if on {
            self.0.fetch_or(flag, SeqCst);
        } else {
            self.0.fetch_and(!flag, SeqCst);
        }
    }

    /// Takes a flag down; returns whether it was up.
    pub(super) fn take(&self, flag: u32) -> bool {
        let up = self.look().has(flag);
        if up {
            self.set(flag, false);
        }
        up
    }

    /// Counts a change of scheduler.
    pub(super) fn count_change(&self) {
        self.0.fetch_add(ONE_CHANGE, SeqCst);
    }
}

impl fmt::Debug for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attention").field(&self.look().0).finish()
    }
}
