//! Finding the member that serves a session, redirects included.
//!
//! Not here: reading a route from a request, and the table of clients
//! (`session`).

use std::sync::Arc;

use crate::member::Flag;
use crate::snapshot::{Roster, Seat};

/// What identifies a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum SessionKey<'r> {
    /// The name of its member.
    Member(&'r str),
    Route(&'r str),
}

impl<'r> SessionKey<'r> {
    pub(super) fn text(self) -> &'r str {
        let (Self::Member(text) | Self::Route(text)) = self;
        text
    }

    /// Returns whether this member is the session's own.
    pub(super) fn matches(self, seat: &Seat) -> bool {
        match self {
            Self::Member(name) => seat.state.name() == name,
            Self::Route(route) => seat.spec.route() == Some(route),
        }
    }

    /// Returns the route or the name, if there is a member with it.
    pub(super) fn text_if_known(self, roster: &'r Roster) -> Option<&'r Arc<str>> {
        match self {
            Self::Member(name) => roster.named(name).map(|seat| seat.state.name_handle()),
            Self::Route(route) => roster.by_route(route).next()?.spec.route_handle(),
        }
    }

    /// Finds the member that serves the session and that `taken` accepts.
    ///
    /// A member that is known by name comes first, whatever its role. If it is not
    /// accepted, the session is served as one of its route, or of its redirect route if it
    /// has no route.
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

/// Finds the member that serves `route` and that `taken` accepts.
///
/// Members that are not standbys come first; members of each kind are tried in
/// configuration order. If one is not accepted, its redirect route is followed before other
/// members of the same route. Tiers, spares and draining do not matter: sessions stay where
/// they are.
///
/// Source: `find_session_route` of Apache's mod_proxy_balancer.
fn find<'r>(
    roster: &'r Roster,
    route: &'r str,
    taken: &mut dyn FnMut(&'r Arc<Seat>) -> bool,
) -> Option<&'r Arc<Seat>> {
    follow(roster, route, taken, &mut Vec::new())
}

/// The maximal number of redirects of a session; Apache allows as many as there are
/// members.
const REDIRECTS: usize = 32;

/// `seen` holds the routes that were tried once a redirect is followed. None is tried
/// twice, so loops end. Without a redirect it stays empty and does not allocate.
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
