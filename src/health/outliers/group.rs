//! A balancer as a detector needs it, whatever its payload: [`WatchedBalancer`].

use std::sync::Arc;
use std::time::Duration;

use super::ledger::MemberFacts;
use crate::balancer::{Balancer, LearnedLimit, WeakBalancer};
use crate::member::{Cause, Flag, LimitOwner, MemberId, Status};
use crate::snapshot::Roster;

/// A balancer, without its payload, that is not kept alive.
pub(super) trait WatchedBalancer: Send + Sync {
    /// Ejects those of the members that are there.
    fn eject(&self, members: Vec<(MemberId, Duration, Cause)>);

    /// Ends ejections, and nothing else that keeps the members out.
    fn end_ejections(&self, members: &[MemberId]);

    /// The limit of a member on trial.
    fn trial_limit(&self, member: MemberId) -> Option<LearnedLimit>;

    /// The members; `None` once the balancer is gone.
    fn roster(&self) -> Option<Arc<Roster>>;
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
            // One of them has left meanwhile, which is no reason for the others to stay out.
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
}

/// Members with their facts, as they are now.
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
