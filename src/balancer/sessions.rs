//! From what a session is known by to the member that serves it, redirects included.
//!
//! What does not live here: reading a route from a request, and the table of clients
//! (`session`).

use std::sync::Arc;

use crate::member::Flag;
use crate::snapshot::{Roster, Seat};

/// What a session is known by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Home<'r> {
    /// The name of its member.
    Member(&'r str),
    Route(&'r str),
}

impl<'r> Home<'r> {
    pub(super) fn text(self) -> &'r str {
        let (Self::Member(text) | Self::Route(text)) = self;
        text
    }

    /// Returns whether this member is the session's own.
    pub(super) fn is_at(self, seat: &Seat) -> bool {
        match self {
            Self::Member(name) => seat.state.name() == name,
            Self::Route(route) => seat.spec.route() == Some(route),
        }
    }

    /// Returns the route or the name, if there is a member of it.
    pub(super) fn owned(self, roster: &'r Roster) -> Option<&'r Arc<str>> {
        match self {
            Self::Member(name) => roster.named(name).map(|seat| seat.state.name_handle()),
            Self::Route(route) => roster.by_route(route).next()?.spec.route_handle(),
        }
    }

    /// Finds the member that serves the session and is `taken`.
    ///
    /// A member that is known by name comes first, whatever its role. Where it cannot be
    /// taken, the session is one of its route, or of its redirect route if it has no other.
    pub(super) fn find(
        self,
        roster: &'r Roster,
        taken: &mut dyn FnMut(&'r Arc<Seat>) -> bool,
    ) -> Option<&'r Arc<Seat>> {
        match self {
            Self::Route(route) => find(roster, route, taken),
            Self::Member(name) => {
                let seat = roster.named(name)?;
                if taken(seat) {
                    return Some(seat);
                }
                let route = seat.spec.route().or(seat.spec.redirect_route())?;
                find(roster, route, taken)
            }
        }
    }
}

/// Finds the member that serves `route` and is `taken`.
///
/// Members that are no standbys come first, each kind in configuration order. Where
/// one cannot be taken, its redirect route is followed, before other members of the
/// same route. Tiers, spares and draining do not matter: sessions stay where they are.
///
/// Source: `find_session_route` of Apache's mod_proxy_balancer.
fn find<'r>(
    roster: &'r Roster,
    route: &'r str,
    taken: &mut dyn FnMut(&'r Arc<Seat>) -> bool,
) -> Option<&'r Arc<Seat>> {
    follow(roster, route, taken, &mut Vec::new())
}

/// So many routes a session is redirected over at most; Apache allows as many as
/// there are members.
const REDIRECTS: usize = 32;

/// `seen` holds the routes that were looked at once a redirect is followed: none is
/// looked at twice, so loops end. Without a redirect it stays empty, and unallocated.
fn follow<'r>(
    roster: &'r Roster,
    route: &'r str,
    taken: &mut dyn FnMut(&'r Arc<Seat>) -> bool,
    seen: &mut Vec<&'r str>,
) -> Option<&'r Arc<Seat>> {
    for standby in [false, true] {
        let members = roster
            .by_route(route)
            .filter(|seat| seat.state.status().contains(Flag::HotStandby) == standby);
        for seat in members {
            if taken(seat) {
                return Some(seat);
            }
            let Some(redirect) = seat.spec.redirect_route() else {
                continue;
            };
            if seen.is_empty() {
                seen.push(route);
            }
            if seen.len() > REDIRECTS || seen.contains(&redirect) {
                continue;
            }
            seen.push(redirect);
            if let Some(found) = follow(roster, redirect, taken, seen) {
                return Some(found);
            }
        }
    }
    None
}
