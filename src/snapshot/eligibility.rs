//! Which members may be picked, and which stand in for others.
//!
//! This is the one table; nothing else decides it. Each row is reached only when the rows
//! above it yield no member:
//!
//! | row | members | where |
//! |---|---|---|
//! | 1 | the tier's usable members; for each of its members that cannot be picked, its next usable spare joins them, behind them in ties | [`walk`] |
//! | 2 | the tier's usable standbys | [`walk`] |
//! | 3 | the next tier, from row 1 | [`walk`] |
//! | 4 | the spares of the first tier that has no member to stand in for (Apache leaves a balancer of spares dead; ledger row 7) | [`walk`] |
//! | 5 | forced recovery: all members that only an error or an ejection keeps out, at once; an ejection is a guess about one member among others, and must never be the reason that nothing is served | `balancer`, by [`EligibilityWalk::is_empty`] |
//!
//! A member whose error or ejection has ended is usable again before row 1 is evaluated. A
//! ramp changes a member's weight, and never whether it is eligible.
//!
//! A member on trial, with room for one request at a time, fills no row: it is eligible in
//! its place, and the members that would be eligible without it stand in, behind it in
//! ties, as spares do. So a slow trial delays no other request.
//!
//! The rule of the walk is Apache's (`ap_proxy_balancer_get_best_worker`).

use std::fmt;
use std::sync::Arc;

use super::{Roster, Seat};
use crate::member::{Flag, MemberId, Status};

/// The result of the walk.
#[derive(Debug, Default)]
pub(crate) struct EligibilityWalk {
    /// Slots of the eligible members, in the order that settles ties.
    pub(crate) group: Vec<u32>,
    /// From here on the group consists of members that stand in for others.
    pub(crate) spares_from: usize,
    /// How many members of all tiers could serve new work in whatever role.
    pub(crate) usable: usize,
    /// A member of the group is not on trial.
    is_full: bool,
}

impl EligibilityWalk {
    pub(crate) fn is_empty(&self) -> bool {
        self.group.is_empty()
    }

    /// Adds the members that would be picked without those found before, if all of the
    /// latter are on trial: then they stand in for them.
    fn take(&mut self, row: Row) {
        if self.is_full {
            return;
        }
        if self.is_empty() {
            self.spares_from = row.len();
        }
        self.add(row);
    }

    fn add(&mut self, row: Row) {
        self.is_full |= row.iter().any(|&(_, on_trial)| !on_trial);
        self.group.extend(row.into_iter().map(|(slot, _)| slot));
    }
}

/// Slots of members that have the same role, each with whether it is on trial.
type Row = Vec<(u32, bool)>;

/// Walks the tiers and returns the first group that is not empty, with the members that
/// stand in.
///
/// `status` returns a member's status: the live one, or a hypothetical one.
pub(crate) fn walk(
    roster: &Roster,
    mut status: impl FnMut(&Arc<Seat>) -> Status,
) -> EligibilityWalk {
    let mut found = EligibilityWalk::default();
    let mut idle_spares = Row::new();
    let mut seats = roster.by_tier().peekable();
    while let Some(tier) = seats.peek().map(|seat| seat.spec.tier()) {
        let mut this = Tier::default();
        while let Some(seat) = seats.next_if(|seat| seat.spec.tier() == tier) {
            this.sort_in(seat, status(seat));
        }
        found.usable += this.usable;
        if !found.is_full {
            if idle_spares.is_empty() && this.has_none_to_stand_in_for() {
                idle_spares.clone_from(&this.spares);
            }
            found.take(this.ordinary);
            this.spares.truncate(this.missing);
            found.add(this.spares);
            found.take(this.standbys);
        }
    }
    found.take(idle_spares);
    // Because a picture needs those that stand in.
    let order = |&slot: &u32| roster.seat(slot as usize).map(|seat| seat.order);
    found.group[found.spares_from..].sort_by_key(order);
    found
}

/// Returns the members that could be picked if the tried ones did not exist.
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
    ordinary: Row,
    spares: Row,
    standbys: Row,
    /// Ordinary members that cannot be picked, draining ones included, or are on trial.
    missing: usize,
    usable: usize,
}

impl Tier {
    fn sort_in(&mut self, seat: &Seat, status: Status) {
        // A member that is both is a spare, as in Apache.
        let spare = status.contains(Flag::HotSpare);
        let standby = status.contains(Flag::HotStandby) && !spare;
        let able = status.is_usable() && !status.contains(Flag::Draining);
        let on_trial = able && seat.state.is_on_trial();
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        let slot = seat.slot() as u32;
        match (able, spare, standby) {
            (true, true, _) => self.spares.push((slot, on_trial)),
            (true, _, true) => self.standbys.push((slot, on_trial)),
            (true, ..) => self.ordinary.push((slot, on_trial)),
            (false, ..) => {}
        }
        self.missing += usize::from((!able || on_trial) && !spare && !standby);
        self.usable += usize::from(able);
    }

    fn has_none_to_stand_in_for(&self) -> bool {
        self.ordinary.is_empty() && self.missing == 0
    }
}

/// The role of a member in a pick, as [`Balancer::explain`](crate::Balancer::explain)
/// reports it.
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
    /// At its cap: skipped until one of its requests ends.
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
