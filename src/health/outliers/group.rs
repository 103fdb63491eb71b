//! A balancer as a detector needs it, whatever its payload: [`Group`].

use std::sync::Arc;
use std::time::Duration;

use super::ledger::Facts;
use crate::balancer::{Balancer, LearnedLimit, WeakBalancer};
use crate::member::{Cause, Flag, LimitOwner, MemberId, Status};
use crate::snapshot::Roster;

/// A balancer, without its payload, that is not kept alive.
pub(super) trait Group: Send + Sync {
    /// Ejects a member; returns whether there is such a member.
    fn eject(&self, member: MemberId, time: Duration, cause: Cause) -> bool;

    /// Ends an ejection, and nothing else that keeps the member out.
    fn end_ejection(&self, member: MemberId);

    /// The limit of a member on trial.
    fn trial_limit(&self, member: MemberId) -> Option<LearnedLimit>;

    /// The members; `None` once the balancer is gone.
    fn roster(&self) -> Option<Arc<Roster>>;
}

impl<W: Send + Sync> Group for WeakBalancer<W> {
    fn eject(&self, member: MemberId, time: Duration, cause: Cause) -> bool {
        let balancer = self.upgrade();
        balancer.is_some_and(|balancer| balancer.eject(member, time, cause).is_ok())
    }

    fn end_ejection(&self, member: MemberId) {
        let Some(balancer) = self.upgrade() else {
            return;
        };
        let roster = balancer.roster();
        if let Some(seat) = roster.seat(member.slot()) {
            if seat.state.id() == member {
                // It may have left meanwhile.
                let _ = balancer.clear_flag(seat.state.name(), Flag::Ejected);
            }
        }
    }

    fn trial_limit(&self, member: MemberId) -> Option<LearnedLimit> {
        let limit = self.upgrade()?.learned_limit(member)?;
        Some(limit.owned_by(LimitOwner::Trial))
    }

    fn roster(&self) -> Option<Arc<Roster>> {
        self.upgrade().as_ref().map(Balancer::roster)
    }
}

/// Members with their facts, as they are now.
pub(super) fn facts(roster: &Roster) -> impl Iterator<Item = (MemberId, Facts)> {
    roster.by_tier().map(|seat| {
        let status = seat.state.status();
        (seat.state.id(), facts_of(status))
    })
}

pub(super) fn facts_of(status: Status) -> Facts {
    let away = [Flag::Disabled, Flag::Draining, Flag::Stopped];
    let in_rotation = !away.into_iter().any(|flag| status.contains(flag));
    Facts {
        in_rotation,
        is_usable: in_rotation && status.is_usable(),
        is_ejected: status.contains(Flag::Ejected),
    }
}
