//! An election among those who would be eligible if the members that a request has
//! tried were not there: standbys, spares and later tiers, though nobody is in error.
//!
//! The scheduler has no part in it, and its books do not change: it elects among the
//! eligible, and this is for one request.

use std::cmp::Ordering;
use std::sync::Arc;

use super::lease::{Lease, Unclaimed};
use super::{Balancer, PickRequest};
use crate::member::Flag;
use crate::observer::Session;
use crate::scheduler::{Candidates, Needs};
use crate::snapshot::{Seat, walk};

impl<W> Balancer<W> {
    /// Elects the least busy, for its weight, of those who stand in for the members that
    /// the request has tried; `None` if there is nobody. It looks at every member.
    #[cold]
    pub(crate) fn pick_in_reserve(&self, request: &PickRequest<'_>) -> Option<Lease<W>> {
        let hub = self.hub();
        let view = self.core.view.load();
        let roster = &view.picture.roster;
        let found = walk(roster, |seat| {
            let status = seat.state.status();
            if request.tried.contains(&seat.state.id()) {
                status.with(Flag::Disabled)
            } else {
                status
            }
        });
        let seats = found
            .group
            .iter()
            .filter_map(|&slot| roster.seat(slot as usize));
        let mut seats: Vec<&Arc<Seat>> = seats.collect();
        seats.sort_by(|a, b| busier(a, b));
        let candidates = Candidates::new(&view.picture, request.tried);
        let unclaimed = Unclaimed::new(&candidates, hub);
        let seat = seats
            .into_iter()
            .find(|seat| candidates.claim_seat(seat).is_ok())?;
        let entry = view.entry(seat.slot())?;
        let session = match request.route {
            Some(_) => Session::Lost,
            None if request.sessions => Session::New,
            None => Session::Off,
        };
        let elapsed = view.needs.contains(Needs::ELAPSED);
        let started = elapsed.then(|| request.now.unwrap_or_else(|| hub.clock.now()));
        entry.desk.elected();
        let lease = Lease::new(entry.clone(), session, started);
        unclaimed.hand_over();
        Some(self.told(lease, request))
    }
}

/// By requests in flight for each unit of weight.
fn busier(a: &Seat, b: &Seat) -> Ordering {
    let load = |seat: &Seat, other: &Seat| {
        u64::from(seat.state.in_flight()) * u64::from(other.spec.weight().hundredths())
    };
    load(a, b).cmp(&load(b, a))
}
