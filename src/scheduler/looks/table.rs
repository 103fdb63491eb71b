//! The numbers by which few members are looked at: [`LookTable`], and what one look sees of
//! them ([`Look`]).

use std::sync::Arc;

use crate::member::{CountersSeen, MemberState};
use crate::snapshot::FEW_MEMBERS;
use crate::sync::{Acquire, AtomicU64};

/// Standings are settled after this number of picks: with the weights of all members, they
/// stay below 2^62 until then.
pub(in crate::scheduler) const SETTLE_AFTER: u64 = 1 << 31;

// The heaviest member has fewer units of weight than 2^27.
const _: () = assert!((FEW_MEMBERS as u64) << 27 <= (1 << 62) / SETTLE_AFTER);

/// Settled standings go no further, so that later ones do not overflow.
const MAX_STANDING: i64 = 1 << 62;

/// The numbers of one member.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct LookLine {
    /// The value of the books when the picks were as many as `picks`.
    pub(super) value: AtomicU64,
    pub(super) weight: AtomicU64,
    pub(super) picks: AtomicU64,
}

impl LookLine {
    #[inline]
    pub(in crate::scheduler) fn value(&self) -> u64 {
        self.value.load(Acquire)
    }

    #[inline]
    pub(in crate::scheduler) fn weight(&self) -> u64 {
        self.weight.load(Acquire)
    }
}

/// What one look sees.
#[derive(Debug)]
pub(in crate::scheduler) struct Look<'l> {
    lines: &'l [LookLine; FEW_MEMBERS],
    states: &'l [Arc<MemberState>],
    /// One bit for each member that may be picked.
    open: u64,
    /// One bit for each member that is set aside.
    aside: u64,
    /// The sum of the weights of the members that are not set aside.
    total: u64,
}

impl<'l> Look<'l> {
    /// Iterates over all members in tie order.
    #[inline]
    pub(in crate::scheduler) fn members(
        &self,
    ) -> impl Iterator<Item = (&'l MemberState, &'l LookLine)> {
        let states = self.states.iter().map(|state| &**state);
        states.zip(self.lines)
    }

    #[inline]
    pub(in crate::scheduler) fn is_open(&self, index: usize) -> bool {
        self.open >> index & 1 == 1
    }

    /// Returns the number of picks of a member since its value was true; none while it is
    /// set aside.
    #[inline]
    pub(in crate::scheduler) fn own_picks(
        &self,
        index: usize,
        line: &LookLine,
        now: CountersSeen,
    ) -> u64 {
        let own = now.picks_since(line.picks.load(Acquire));
        own & (self.aside >> index & 1).wrapping_sub(1)
    }

    /// Returns a member's standing after `picks` of any member and `own` of this one, if
    /// there were fewer than [`SETTLE_AFTER`]: each pick adds all weights to the standings,
    /// and subtracts their sum from one.
    #[inline]
    #[expect(
        clippy::cast_possible_wrap,
        reason = "two's complement is what is stored"
    )]
    pub(in crate::scheduler) fn standing(&self, line: &LookLine, picks: u64, own: u64) -> i64 {
        let gained = line.weight().wrapping_mul(picks);
        let paid = self.total.wrapping_mul(own);
        line.value().wrapping_add(gained).wrapping_sub(paid) as i64
    }

    /// As [`standing`](Self::standing), for any number of picks.
    #[expect(
        clippy::cast_possible_wrap,
        reason = "two's complement is what is stored"
    )]
    pub(super) fn settled_standing(&self, line: &LookLine, picks: u64, own: u64) -> i64 {
        let gained = i128::from(line.weight()) * i128::from(picks);
        let paid = i128::from(self.total) * i128::from(own);
        let standing = i128::from(line.value() as i64) + gained - paid;
        let limits = (i128::from(-MAX_STANDING), i128::from(MAX_STANDING));
        i64::try_from(standing.clamp(limits.0, limits.1)).unwrap_or(0)
    }
}

/// The numbers of all members, in tie order.
#[derive(Debug, Default)]
pub(super) struct LookTable {
    /// Odd while the numbers are written.
    pub(super) version: AtomicU64,
    /// The version of the group; `u64::MAX` if there are too many members.
    pub(super) generation: AtomicU64,
    /// The sum of the weights of the members that are not set aside.
    pub(super) total: AtomicU64,
    /// One bit for each member that is at its cap; `u64::MAX` if there are too many members.
    pub(super) aside: AtomicU64,
    pub(super) lines: [LookLine; FEW_MEMBERS],
}

impl LookTable {
    #[inline]
    pub(super) fn look<'l>(&'l self, states: &'l [Arc<MemberState>], open: u64) -> Look<'l> {
        let aside = self.aside.load(Acquire);
        Look {
            lines: &self.lines,
            states,
            open: open & !aside,
            aside,
            total: self.total.load(Acquire),
        }
    }

    /// Returns the number of picks since the numbers were written.
    pub(super) fn picks(&self, states: &[Arc<MemberState>]) -> u64 {
        let look = self.look(states, 0);
        let members = look.members().enumerate();
        let own = members.map(|(index, (state, line))| look.own_picks(index, line, state.look()));
        own.sum()
    }
}
