//! A pick among the members that would be eligible if those that a request has tried did
//! not exist: standbys, spares and later tiers, even if no member is in error; and at last
//! the members that only an error or an ejection keeps out.
//!
//! The scheduler takes no part in it, and its state does not change for members that it
//! does not know: it picks among the eligible members, and this pick is for one request.

use std::cmp::Ordering;
use std::sync::Arc;

use super::lease::{Lease, Unclaimed};
use super::pick::PickPatience;
use super::{Balancer, PickError, PickRequest};
use crate::member::MemberId;
use crate::scheduler::Candidates;
use crate::session::Session;
use crate::snapshot::{Factors, Seat, without};

impl<W> Balancer<W> {
    /// Picks the least busy member, in relation to its weight, of those that stand in for
    /// the members that the request has tried; `None` if there is none. It reads every
    /// member.
    #[cold]
    pub(crate) fn pick_in_reserve(&self, request: &PickRequest<'_>) -> Option<Lease<W>> {
        let shared = self.shared();
        let view = self.core.view.load();
        let roster = &view.picture.roster;
        let found = without(roster, request.tried);
        let seats = found
            .group
            .iter()
            .filter_map(|&slot| roster.seat(slot as usize));
        let mut seats: Vec<&Arc<Seat>> = seats.collect();
        // Loads change meanwhile: each is read once.
        seats.sort_by_cached_key(|seat| LoadRatio::of(seat, &view.picture.factors));
        let candidates = Candidates::new(&view.picture, request.tried);
        let unclaimed = Unclaimed {
            candidates: &candidates,
            shared,
            wakes: None,
        };
        let seat = seats
            .into_iter()
            .find(|seat| candidates.claim_state(&seat.state).is_ok())?;
        if view.picture.is_in_group(seat.slot()) {
            // It was refused a moment ago, or has become eligible since.
            view.scheduler.on_session_pick(&candidates, &seat.state);
        }
        let entry = view.entry(seat.slot())?;
        let session = match request.session_key {
            Some(_) => Session::Lost,
            None if request.sessions => Session::New,
            None => Session::Off,
        };
        let time = self.time_of(request);
        let lease = self.lease(&view, entry, &time, session);
        unclaimed.hand_over();
        self.report_pick(&lease, request);
        Some(lease)
    }

    /// Picks one of the members that only an error or an ejection keeps out, and that the
    /// request has not tried. All these outages end at once, as when a first pick finds all
    /// members in error. `None` if there are no such members, if another member could still
    /// be picked, if forced recovery is off, or if a change in progress takes long.
    #[cold]
    pub(crate) fn pick_with_forced_recovery(&self, request: &PickRequest<'_>) -> Option<Lease<W>> {
        let shared = self.shared();
        if !shared.forces_recovery() {
            return None;
        }
        let mut patience = PickPatience::new();
        let mut editor = self.editor_within(&mut patience)?;
        let ended = editor.end_outages_of_untried(request.tried);
        let after = ended.then(|| editor.publish_change(&self.core.view));
        drop(editor);
        self.core.settle_unplanned(after?);
        let picked = self.attempt(request).ok();
        picked.or_else(|| self.pick_in_reserve(request))
    }

    /// Returns whether a member's payload has another number than this one; a member that
    /// was removed has no payload.
    pub(crate) fn has_replaced(&self, member: MemberId, payload_number: u64) -> bool {
        let view = self.core.view.load();
        view.entry(member.slot()).is_some_and(|entry| {
            entry.state.id() == member && entry.payload_number != payload_number
        })
    }

    /// As [`pick`](Self::pick), without reporting a failure to observers. If the request
    /// has tried all members, none is picked: a pick would end all of their errors in vain.
    pub(crate) fn pick_untried(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        if self.has_only(request.tried) {
            return Err(PickError::NoneUsable {
                members: self.len(),
                tried: request.tried.len(),
                retry_after: None,
            });
        }
        self.pick_without_events(request)
    }

    /// Returns whether all members are among those that a request has tried. Some of the
    /// tried members may have been removed.
    pub(crate) fn has_only(&self, tried: &[MemberId]) -> bool {
        let view = self.core.view.load();
        let roster = &view.picture.roster;
        let members = roster.len();
        let is_member = |id: &&MemberId| {
            let seat = roster.seat(id.slot());
            seat.is_some_and(|seat| seat.state.id() == **id)
        };
        // Most requests have tried fewer, and end here.
        members > 0 && tried.len() >= members && tried.iter().filter(is_member).count() >= members
    }
}

impl<W> Lease<W> {
    /// Returns the number of this payload in its balancer; see [`Balancer::has_replaced`].
    pub(crate) fn payload_number(&self) -> u64 {
        self.entry().payload_number
    }
}

/// Requests in flight for each unit of weight, at one moment.
#[derive(Clone, Copy)]
struct LoadRatio {
    in_flight: u64,
    weight: u64,
}

impl LoadRatio {
    fn of(seat: &Seat, factors: &Factors) -> Self {
        Self {
            in_flight: seat.state.in_flight().into(),
            weight: factors.weight(seat).units().into(),
        }
    }
}

impl Ord for LoadRatio {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.in_flight * other.weight).cmp(&(other.in_flight * self.weight))
    }
}

impl PartialOrd for LoadRatio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for LoadRatio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for LoadRatio {}

#[cfg(test)]
mod tests {
    use crate::clock::ManualClock;
    use crate::member::Ramp;
    use crate::{Balancer, Flag, MemberSpec, PickRequest};
    use std::time::Duration;

    #[test]
    fn the_weight_of_a_reserve_is_that_of_its_ramp_though_it_is_not_eligible() {
        let clock = ManualClock::new();
        let builder = Balancer::builder().clock(clock.clone());
        let builder = builder.ramp(Ramp::over(Duration::from_secs(16)));
        let standby = MemberSpec::new().with_flag(Flag::HotStandby);
        let balancer = builder
            .member("a", (), MemberSpec::new())
            .member("old", (), standby.clone())
            .build()
            .unwrap();
        balancer.insert("new", (), standby).unwrap();
        let tried = [balancer.member("a").unwrap().id()];
        let request = PickRequest::new().with_tried(&tried);
        let pick = || balancer.pick_in_reserve(&request).unwrap();
        let leases = [pick(), pick(), pick(), pick()];
        let names = leases.each_ref().map(|lease| lease.member().name());
        assert_eq!(names, ["old", "new", "old", "old"]);
        clock.advance(Duration::from_secs(60));
        balancer.apply_timed_changes();
        assert_eq!(pick().member().name(), "new");
    }
}
