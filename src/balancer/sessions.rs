//! From a session's route to the member that serves it, redirects included.
//!
//! What does not live here: reading the route from a request (`session`).

use std::sync::Arc;

use crate::member::Flag;
use crate::snapshot::{Roster, Seat};

/// Finds the member that serves `route` and is `taken`.
///
/// Members that are no standbys come first, each kind in configuration order. Where
/// one cannot be taken, its redirect route is followed, before other members of the
/// same route. Tiers, spares and draining do not matter: sessions stay where they are.
///
/// Source: `find_session_route` of Apache's mod_proxy_balancer.
pub(super) fn find<'r>(
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
