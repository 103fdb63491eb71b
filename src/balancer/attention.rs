//! What the end of a request has to take care of, in one atomic word: [`Attention`].
//!
//! An end looks at this word once; if none of its flags is up, nothing else is looked at. The
//! word says also what observers want of picks. What does not live here: what is done
//! about it (`shared.rs`).

use std::fmt;

use crate::sync::{AtomicU32, SeqCst};

/// The scheduler is told of ends.
pub(super) const ENDS: u32 = 1;
/// A request waits in line for a member.
pub(super) const LINE: u32 = 2;
/// A future watches for a change.
pub(super) const WATCHERS: u32 = 4;
/// An observer wants ends.
pub(super) const ENDS_WANTED: u32 = 8;
/// A member was picked under a scheduler that has been replaced.
pub(super) const READ_AGAIN: u32 = 16;
/// The scheduler withholds room: what waits looks again at every end.
pub(super) const LOOK_AGAIN: u32 = 32;
/// An observer wants picks, or what comes with them.
pub(super) const ELECTIONS_WANTED: u32 = 64;
/// An observer wants the heads of answers.
pub(super) const HEADS_WANTED: u32 = 128;
/// The scheduler needs the time to the head.
pub(super) const HEADS_NEEDED: u32 = 256;
/// An observer wants times, so picks note when they are.
pub(super) const TIMED: u32 = 512;
/// An observer wants the time to the head.
pub(super) const HEADS_TIMED: u32 = 1024;
/// An observer wants the time to the end.
pub(super) const ENDS_TIMED: u32 = 2048;
/// The scheduler needs the time to the end.
pub(super) const ELAPSED_NEEDED: u32 = 4096;
/// What an end has to take care of.
const AT_AN_END: u32 = ENDS | LINE | WATCHERS | ENDS_WANTED;
/// Room for the flags above; the other bits count the changes of scheduler.
const FLAGS: u32 = 0x1fff;
const ONE_CHANGE: u32 = FLAGS + 1;

/// What an end takes care of, as flags, and how often the scheduler was changed.
///
/// SeqCst, as the counters of members are: either the end sees what waits, or what waits
/// sees that the request has ended.
pub(super) struct Attention(AtomicU32);

/// How often the scheduler was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SchedulerChanges(u32);

impl SchedulerChanges {
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(ONE_CHANGE))
    }
}

/// The word at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionWord(u32);

impl AttentionWord {
    /// Returns whether an end has nothing to take care of.
    #[inline]
    pub(super) fn is_idle(self) -> bool {
        self.0 & AT_AN_END == 0
    }

    #[inline]
    pub(super) fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    pub(super) fn changes(self) -> SchedulerChanges {
        SchedulerChanges(self.0 & !FLAGS)
    }
}

impl Attention {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(super) fn look(&self) -> AttentionWord {
        AttentionWord(self.0.load(SeqCst))
    }

    /// Puts flags up, or takes them down; several change at the same time.
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
