//! Who may be picked, and who comes to the rescue of whom.
//!
//! This is the one table; nothing else decides it. Each row is reached only when the
//! rows above it yield nobody:
//!
//! | row | who | where |
//! |---|---|---|
//! | 1 | the tier's usable members; for each of its members that cannot be picked, its next usable spare joins them, behind them in ties | [`walk`] |
//! | 2 | the tier's usable standbys | [`walk`] |
//! | 3 | the next tier, from row 1 | [`walk`] |
//! | 4 | the spares of the first tier that has nobody to stand in for (Apache leaves a balancer of spares dead; ledger row 7) | [`walk`] |
//! | 5 | forced recovery: all members that only an error or an ejection keeps out, at once; an ejection is a guess about one member among others, and must never be the reason that nothing is served | `balancer`, by [`EligibilityWalk::is_empty`] |
//!
//! A member whose error or ejection is over is usable again before row 1 is looked at. A
//! ramp changes a member's weight, and never whether it is eligible.
//! The rule of the walk is Apache's (`ap_proxy_balancer_get_best_worker`).

use std::fmt;
use std::sync::Arc;

use super::{Roster, Seat};
use crate::member::{Flag, MemberId, Status};

/// What the walk found.
#[derive(Debug, Default)]
pub(crate) struct EligibilityWalk {
    /// Slots of the eligible members, in the order that settles ties.
    pub(crate) group: Vec<u32>,
    /// From here on the group consists of spares.
    pub(crate) spares_from: usize,
    /// How many members of all tiers could serve new work in whatever role.
    pub(crate) usable: usize,
}

impl EligibilityWalk {
    pub(crate) fn is_empty(&self) -> bool {
        self.group.is_empty()
    }
}

/// Walks the tiers and returns the first group that is not empty.
///
/// `status` tells a member's status: the live one, or what it would be.
pub(crate) fn walk(
    roster: &Roster,
    mut status: impl FnMut(&Arc<Seat>) -> Status,
) -> EligibilityWalk {
    let mut found = EligibilityWalk::default();
    let mut idle_spares = Vec::new();
    let mut seats = roster.by_tier().peekable();
    while let Some(tier) = seats.peek().map(|seat| seat.spec.tier()) {
        let mut this = Tier::default();
        while let Some(seat) = seats.next_if(|seat| seat.spec.tier() == tier) {
            this.sort_in(seat, status(seat));
        }
        found.usable += this.usable;
        if found.is_empty() {
            if idle_spares.is_empty() && this.has_nobody_to_stand_in_for() {
                idle_spares.clone_from(&this.spares);
            }
            (found.group, found.spares_from) = this.group();
        }
    }
    if found.is_empty() {
        found.spares_from = idle_spares.len();
        found.group = idle_spares;
    }
    found
}

/// The members that could be picked if those that were tried were not there.
pub(crate) fn without(roster: &Roster, tried: &[MemberId]) -> EligibilityWalk {
    walk(roster, |seat| {
        let status = seat.state.status();
        if tried.contains(&seat.state.id()) {
            status.with(Flag::Disabled)
        } else {
            status
        }
    })
}

/// One tier's members by role.
#[derive(Debug, Default)]
struct Tier {
    ordinary: Vec<u32>,
    spares: Vec<u32>,
    standbys: Vec<u32>,
    /// Ordinary members that cannot be picked, draining ones included.
    missing: usize,
    usable: usize,
}

impl Tier {
    fn sort_in(&mut self, seat: &Seat, status: Status) {
        // A member that is both is a spare, as in Apache.
        let spare = status.contains(Flag::HotSpare);
        let standby = status.contains(Flag::HotStandby) && !spare;
        let able = status.is_usable() && !status.contains(Flag::Draining);
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        let slot = seat.slot() as u32;
        match (able, spare, standby) {
            (true, true, _) => self.spares.push(slot),
            (true, _, true) => self.standbys.push(slot),
            (true, ..) => self.ordinary.push(slot),
            (false, false, false) => self.missing += 1,
            (false, ..) => {}
        }
        self.usable += usize::from(able);
    }

    fn has_nobody_to_stand_in_for(&self) -> bool {
        self.ordinary.is_empty() && self.missing == 0
    }

    fn group(mut self) -> (Vec<u32>, usize) {
        let spares_from = self.ordinary.len();
        self.ordinary
            .extend(self.spares.into_iter().take(self.missing));
        if self.ordinary.is_empty() {
            let standbys = self.standbys.len();
            return (self.standbys, standbys);
        }
        (self.ordinary, spares_from)
    }
}

/// Where a member stands with regard to a pick, as
/// [`Balancer::explain`](crate::Balancer::explain) tells it.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Eligibility, Flag, MemberSpec, PickRequest};
///
/// let balancer = Balancer::builder()
///     .member("a", (), MemberSpec::new())
///     .member("b", (), MemberSpec::new().with_flag(Flag::HotStandby))
///     .build()?;
/// let explained = balancer.explain(&PickRequest::new());
/// assert_eq!(explained.members()[1].eligibility, Eligibility::Reserve);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Eligibility {
    /// At its cap: stepped over until one of its requests ends.
    AtCapacity,
    /// Serves its sessions only.
    Draining,
    /// May be picked.
    Eligible,
    /// A spare or a standby that is not needed now.
    Reserve,
    /// Of a tier that is not needed now.
    Tier,
    /// Tried by this request already.
    Tried,
    /// Disabled, stopped, in error, ejected or failed by a health check.
    Unusable,
}

impl fmt::Display for Eligibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AtCapacity => "at capacity",
            Self::Draining => "sessions only",
            Self::Eligible => "eligible",
            Self::Reserve => "in reserve",
            Self::Tier => "later tier",
            Self::Tried => "tried",
            Self::Unusable => "unusable",
        })
    }
}
