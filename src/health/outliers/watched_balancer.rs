//! The operations on a balancer that a detector needs, for any payload type:
//! [`WatchedBalancer`].

use std::sync::Arc;
use std::time::Duration;

use super::ledger::MemberFacts;
use crate::balancer::{Balancer, LearnedLimit, WeakBalancer};
use crate::member::{Cause, Flag, LimitOwner, MemberId, Status};
use crate::snapshot::Roster;

/// A balancer without its payload type; it is not kept alive.
pub(super) trait WatchedBalancer: Send + Sync {
    /// Ejects those of the members that exist.
    fn eject(&self, members: Vec<(MemberId, Duration, Cause)>);

    /// Ends ejections; other reasons that keep the members out are not affected.
    fn end_ejections(&self, members: &[MemberId]);

    /// Returns the limit of a member on trial.
    fn trial_limit(&self, member: MemberId) -> Option<LearnedLimit>;

    /// Returns the members; `None` once the balancer is dropped.
    fn roster(&self) -> Option<Arc<Roster>>;

    /// Returns the generation of the current snapshot; 0 once the balancer is dropped.
    fn generation(&self) -> u64;
}

impl<W: Send + Sync> WatchedBalancer for WeakBalancer<W> {
    fn eject(&self, members: Vec<(MemberId, Duration, Cause)>) {
        if let Some(balancer) = self.upgrade() {
            balancer.eject_all(members);
        }
    }

    fn end_ejections(&self, members: &[MemberId]) {
        let Some(balancer) = self.upgrade() else {
            return;
        };
        let roster = balancer.roster();
        let seats = members.iter().filter_map(|&member| {
            let seat = roster.seat(member.slot())?;
            (seat.state.id() == member).then_some(seat)
        });
        let mut edit = balancer.edit();
        for seat in seats.clone() {
            edit.clear_flag(seat.state.name_handle().clone(), Flag::Ejected);
        }
        if edit.apply().is_err() {
            // One of them was removed meanwhile; the ejections of the others still end.
            for seat in seats {
                let _ = balancer.clear_flag(seat.state.name(), Flag::Ejected);
            }
        }
    }

    fn trial_limit(&self, member: MemberId) -> Option<LearnedLimit> {
        let limit = self.upgrade()?.learned_limit(member)?;
        Some(limit.for_owner(LimitOwner::Trial))
    }

    fn roster(&self) -> Option<Arc<Roster>> {
        self.upgrade().as_ref().map(Balancer::roster)
    }

    fn generation(&self) -> u64 {
        self.upgrade().map_or(0, |balancer| balancer.generation())
    }
}

/// Returns the members with their current facts.
pub(super) fn facts(roster: &Roster) -> impl Iterator<Item = (MemberId, MemberFacts)> {
    roster.by_tier().map(|seat| {
        let status = seat.state.status();
        (seat.state.id(), facts_of(status))
    })
}

pub(super) fn facts_of(status: Status) -> MemberFacts {
    let away = [Flag::Disabled, Flag::Draining, Flag::Stopped];
    let in_rotation = !away.into_iter().any(|flag| status.contains(flag));
    MemberFacts {
        in_rotation,
        is_usable: in_rotation && status.is_usable(),
        is_ejected: status.contains(Flag::Ejected),
    }
}
