//! Detects sessions that cannot stay with a member: [`session_warning`].
//!
//! Elsewhere: handling the session of a request (`session`).

use super::parameter::Remark;
use super::reading::DirectiveContext;
use crate::config::model::{BalancerConfig, Host};
use crate::session::{CookieRouteError, StickySession};

/// The number of members that a message names.
const SHOWN: usize = 3;

/// Returns a warning about the sessions of a balancer, as one host uses it.
pub(super) fn session_warning(
    reading: &DirectiveContext<'_>,
    host: Option<usize>,
    name: &str,
) -> Option<Remark> {
    let balancer_of = |at: Option<usize>| -> Option<&BalancerConfig> {
        let host: &Host = match at {
            None => &reading.config.server,
            Some(at) => &reading.config.virtual_hosts.get(at)?.host,
        };
        host.balancers.get(reading.definitions.balancer(at, name)?)
    };
    let (own, main) = (balancer_of(host), balancer_of(None));
    let both = || own.into_iter().chain(main);
    let names = both().find_map(|it| it.session.names.as_ref())?;
    let session = StickySession::new(names).ok()?;
    let members = both().map(|it| &it.members).find(|it| !it.is_empty())?;
    // The members set the cookies, so the text before the route is unknown.
    let session = session.without_separator();
    let mut found = members.iter().filter_map(|member| {
        let checked = session.check_cookie_route(member.route.as_deref());
        checked.err().map(|why| (&member.url, why))
    });
    let first: Vec<_> = found.by_ref().take(SHOWN).collect();
    let urls: Vec<_> = first.iter().map(|(url, _)| format!("`{url}`")).collect();
    let mut which = urls.join(", ");
    let more = found.count();
    if more > 0 {
        which = format!("{which} and {more} more");
    }
    let message = format!("sessions of balancer `{name}` cannot stay with {which}");
    let remark = Remark::new(message);
    Some(match &first.first()?.1 {
        CookieRouteError::NoRoute => remark.with_hint(
            "give each member a `route=..`, and let the value of its cookie end with it",
        ),
        why => remark.with_hint(why.to_string()),
    })
}
