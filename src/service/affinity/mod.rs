//! Which member a request prefers: [`Affinity`], for requests of any type, and the sessions
//! of HTTP requests.
//!
//! Not here: reading the route from URL and cookie (`session`), and whether the member can
//! serve (`balancer`).

mod cookie_header;
mod hash_key;
mod not_kept;
mod opaque;
mod route_cookie;

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::header::HeaderMap;
use http::request::Parts;

use hash_key::ReadHash;
use route_cookie::RouteEncoding;

pub use hash_key::HashKey;
pub use not_kept::SessionsNotKept;
pub use opaque::OpaqueKey;
pub use route_cookie::{CookieTextError, RouteCookie, SameSite};

use crate::balancer::{Balancer, PickRequest};
use crate::member::{MemberId, MemberState};
use crate::session::{CookieRouteError, StickySession};
use crate::sync::Mutex;

/// Reads from a request of any type which member it should go to; for
/// [`CallService`](crate::service::CallService).
///
/// # Examples
///
/// ```
/// use equipoise::service::Affinity;
/// use equipoise::stable_hash::hash_bytes;
///
/// struct Command {
///     shard: String,
///     key: String,
/// }
///
/// struct ByShard;
///
/// impl Affinity<Command> for ByShard {
///     fn route<'r>(&self, request: &'r Command) -> Option<&'r str> {
///         Some(&request.shard)
///     }
///
///     fn hash(&self, request: &Command) -> Option<u64> {
///         Some(hash_bytes(request.key.as_bytes()))
///     }
/// }
/// # let command = Command { shard: "a".into(), key: "k".into() };
/// # assert_eq!(ByShard.route(&command), Some("a"));
/// ```
pub trait Affinity<Request>: Send + Sync + 'static {
    /// Returns the route of the request's session, if it has one.
    fn route<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let _ = request;
        None
    }

    /// Returns a hash key, for schedulers that send equal keys to the same member.
    fn hash(&self, request: &Request) -> Option<u64> {
        let _ = request;
        None
    }

    /// Returns facts about the request, for schedulers of your own that know their type: a
    /// part of the request, or all of it. See
    /// [`PickContext::facts`](crate::scheduler::PickContext::facts).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Affinity;
    /// use std::any::Any;
    ///
    /// struct Tenant(u32);
    ///
    /// struct Command {
    ///     tenant: Tenant,
    /// }
    ///
    /// struct ByTenant;
    ///
    /// impl Affinity<Command> for ByTenant {
    ///     fn facts<'r>(&self, request: &'r Command) -> Option<&'r (dyn Any + Send + Sync)> {
    ///         Some(&request.tenant)
    ///     }
    /// }
    /// # let command = Command { tenant: Tenant(7) };
    /// # let facts = ByTenant.facts(&command).unwrap();
    /// # assert_eq!(facts.downcast_ref().map(|&Tenant(number)| number), Some(7));
    /// ```
    fn facts<'r>(&self, request: &'r Request) -> Option<&'r (dyn Any + Send + Sync)> {
        let _ = request;
        None
    }
}

const _: Option<&dyn Affinity<()>> = None;

/// Facts about a request, of a type that only the user and the user's scheduler know.
pub(in crate::service) type BoxFacts = Box<dyn Any + Send + Sync>;

/// Reads facts from the head of a request.
pub(in crate::service) type ReadFacts = Arc<dyn Fn(&Parts) -> Option<BoxFacts> + Send + Sync>;

/// How a member is chosen by an HTTP request's session, key and facts.
#[derive(Clone, Default)]
pub(in crate::service) struct HttpAffinity {
    sticky: Option<Arc<Sticky>>,
    hash: Option<ReadHash>,
    /// The hash or the facts may depend on the extensions of requests.
    reads_extensions: bool,
    facts: Option<ReadFacts>,
}

struct Sticky {
    session: StickySession,
    cookie: Option<(RouteCookie, RouteEncoding)>,
    /// Members that were already reported as not keeping sessions.
    reported: Mutex<HashSet<MemberId>>,
}

/// How many such members are remembered at most, so that this does not grow with each
/// member that is added and removed.
const REMEMBERED: usize = 10_000;

impl HttpAffinity {
    pub(in crate::service) fn with_sticky(
        self,
        session: StickySession,
        cookie: Option<RouteCookie>,
    ) -> Self {
        let cookie = cookie.map(|cookie| {
            let routes = RouteEncoding::of(&cookie);
            (cookie, routes)
        });
        let sticky = Some(Arc::new(Sticky {
            session,
            cookie,
            reported: Mutex::default(),
        }));
        Self { sticky, ..self }
    }

    pub(in crate::service) fn with_hash(self, hash: ReadHash) -> Self {
        Self {
            hash: Some(hash),
            reads_extensions: true,
            ..self
        }
    }

    pub(in crate::service) fn with_hash_key(self, key: HashKey) -> Self {
        Self {
            reads_extensions: key.reads_extensions() || self.facts.is_some(),
            hash: Some(Arc::new(move |head| key.hash(head))),
            ..self
        }
    }

    pub(in crate::service) fn with_facts(self, facts: ReadFacts) -> Self {
        Self {
            facts: Some(facts),
            reads_extensions: true,
            ..self
        }
    }

    /// Returns whether functions read the extensions of requests.
    #[cfg(feature = "proxy")]
    pub(in crate::service) fn reads_extensions(&self) -> bool {
        self.reads_extensions
    }

    /// Reads facts from a request's head, for all its picks.
    pub(in crate::service) fn read_facts(&self, head: &Parts) -> Option<BoxFacts> {
        self.facts.as_ref().and_then(|read| read(head))
    }

    /// Passes to `then` what a pick needs to know of a request's head.
    pub(in crate::service) fn pick<W, T>(
        &self,
        balancer: &Balancer<W>,
        head: &Parts,
        facts: Option<&'_ (dyn Any + Send + Sync)>,
        then: impl FnOnce(PickRequest<'_>) -> T,
    ) -> T {
        let mut pick = PickRequest::new();
        if let Some(facts) = facts {
            pick = pick.with_any_facts(facts);
        }
        if let Some(hash) = self.hash.as_ref().and_then(|hash| hash(head)) {
            pick = pick.with_hash(hash);
        }
        let Some(sticky) = self.sticky.as_deref() else {
            return then(pick);
        };
        if sticky.session.has_no_failover() {
            pick = pick.with_no_failover();
        }
        let presented = sticky.session.find_in_parts(head);
        let presented = presented.as_ref().and_then(|presented| presented.route());
        match (&sticky.cookie, presented) {
            (Some((_, routes)), Some(presented)) => {
                let route = routes.read(balancer, presented);
                then(pick.with_session(route.as_deref()))
            }
            (_, presented) => then(pick.with_session(presented)),
        }
    }

    /// Removes the cookie that concerns only the client and this balancer.
    pub(in crate::service) fn strip(&self, headers: &mut HeaderMap) {
        if let Some(sticky) = self.sticky.as_deref() {
            if let Some((cookie, _)) = &sticky.cookie {
                cookie.strip(&sticky.session, headers);
            }
        }
    }

    /// Sets a cookie with the client's new route.
    pub(in crate::service) fn renew<W>(
        &self,
        balancer: &Balancer<W>,
        member: &MemberState,
        route: Option<&str>,
        headers: &mut HeaderMap,
    ) {
        let Some(sticky) = self.sticky.as_deref() else {
            return;
        };
        let Some((cookie, routes)) = &sticky.cookie else {
            return;
        };
        let route: Option<Cow<'_, str>> = route.map(|route| routes.write(balancer, route));
        match sticky.session.check_cookie_route(route.as_deref()) {
            Ok(()) => cookie.set(&sticky.session, &route.unwrap_or_default(), headers),
            Err(why) => {
                if sticky.is_unreported(member.id()) {
                    balancer.report_not_kept(member, &why);
                }
            }
        }
    }

    /// Returns the members that cannot keep sessions with a cookie of the balancer, and
    /// why.
    pub(in crate::service) fn not_kept<W>(
        &self,
        balancer: &Balancer<W>,
    ) -> Vec<(Arc<MemberState>, CookieRouteError)> {
        let cookie = self.sticky.as_deref();
        let cookie = cookie.and_then(|sticky| Some((sticky, sticky.cookie.as_ref()?)));
        let Some((sticky, (_, routes))) = cookie else {
            return Vec::new();
        };
        let check = |(member, route): (Arc<MemberState>, Option<Arc<str>>)| {
            let route = route.as_deref().map(|route| routes.write(balancer, route));
            let checked = sticky.session.check_cookie_route(route.as_deref());
            checked.err().map(|why| (member, why))
        };
        balancer.routes().into_iter().filter_map(check).collect()
    }

    /// Tells the observers about those members.
    pub(in crate::service) fn report_not_kept<W>(&self, balancer: &Balancer<W>) {
        let Some(sticky) = self.sticky.as_deref() else {
            return;
        };
        for (member, why) in self.not_kept(balancer) {
            if sticky.is_unreported(member.id()) {
                balancer.report_not_kept(&member, &why);
            }
        }
    }
}

impl Sticky {
    /// Returns whether a member has not been reported yet.
    fn is_unreported(&self, member: MemberId) -> bool {
        let mut reported = self.reported.lock();
        if reported.len() >= REMEMBERED {
            reported.clear();
        }
        reported.insert(member)
    }
}

impl fmt::Debug for HttpAffinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.sticky.as_ref().map(|sticky| &sticky.session);
        let cookie = self.sticky.as_ref().and_then(|it| it.cookie.as_ref());
        f.debug_struct("HttpAffinity")
            .field("sticky", &session)
            .field("cookie", &cookie.map(|(cookie, _)| cookie))
            .field("hash", &self.hash.is_some())
            .field("facts", &self.facts.is_some())
            .field("reads_extensions", &self.reads_extensions)
            .finish()
    }
}
