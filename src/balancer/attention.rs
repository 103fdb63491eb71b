//! What the end of a request has to do, in one atomic word: [`Attention`].
//!
//! An end reads this word once. If none of its flags is set, the end reads nothing else.
//! The word also holds which events of picks the observers want. What does not live here:
//! the work that a flag stands for (`shared.rs`).

use std::fmt;

use crate::sync::{AtomicU32, SeqCst};

/// The scheduler is notified of ends.
pub(super) const ENDS: u32 = 1;
/// A request waits in line for a member.
pub(super) const LINE: u32 = 2;
/// A future watches for changes.
pub(super) const WATCHERS: u32 = 4;
/// An observer wants ends.
pub(super) const ENDS_WANTED: u32 = 8;
/// A member was picked under a scheduler that has been replaced.
pub(super) const READ_AGAIN: u32 = 16;
/// The scheduler withholds room: what waits tries again at every end.
pub(super) const WAKE_ON_END: u32 = 32;
/// An observer wants picks, or the events that accompany them.
pub(super) const PICKS_WANTED: u32 = 64;
/// An observer wants response heads.
pub(super) const HEADS_WANTED: u32 = 128;
/// The scheduler needs the time to the head.
pub(super) const HEADS_NEEDED: u32 = 256;
/// An observer wants times, so each pick records its own.
pub(super) const TIMED: u32 = 512;
/// An observer wants the time to the head.
pub(super) const HEADS_TIMED: u32 = 1024;
/// An observer wants the time to the end.
pub(super) const ENDS_TIMED: u32 = 2048;
/// The scheduler needs the time to the end.
pub(super) const ELAPSED_NEEDED: u32 = 4096;
/// The scheduler needs the time at which a request failed.
pub(super) const FAILURES_TIMED: u32 = 8192;
/// The flags that an end acts on.
const AT_AN_END: u32 = ENDS | LINE | WATCHERS | ENDS_WANTED;
/// The bits of the flags above; the other bits count the changes of scheduler.
const FLAGS: u32 = 0x3fff;
const ONE_CHANGE: u32 = FLAGS + 1;

/// The work of an end as flags, and how often the scheduler was changed.
///
/// SeqCst, like the counters of members: either the end sees the waiter, or the waiter sees
/// that the request has ended.
#[repr(align(64))] // Each pick and each end reads it: what changes often must not share its line.
pub(super) struct Attention(AtomicU32);

/// How often the scheduler was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SchedulerChanges(u32);

impl SchedulerChanges {
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(ONE_CHANGE))
    }
}

/// The value of the word at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionWord(u32);

impl AttentionWord {
    /// Returns whether an end has nothing to do.
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

    /// Sets or clears flags; several may change at the same time.
    pub(super) fn set(&self, flag: u32, on: bool) {
        if on {
            self.0.fetch_or(flag, SeqCst);
        } else {
            self.0.fetch_and(!flag, SeqCst);
        }
    }

    /// Clears a flag; returns whether it was set.
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
