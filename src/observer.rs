//! Telling the outside what happens: [`Observer`], with hooks named after events.
//!
//! What does not live here: metrics and logs. They are observers that somebody writes.

use std::fmt;
use std::sync::Arc;

use crate::member::{Ended, MemberState, Status};
use crate::session::CookieRouteError;

/// How a request's session fared in an election.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, MemberSpec, PickRequest, Session};
///
/// let balancer = Balancer::builder()
///     .member("a", (), MemberSpec::new().with_route("r1"))
///     .build()?;
/// let lease = balancer.pick(&PickRequest::new().with_session(Some("r1"))).unwrap();
/// assert_eq!(lease.session(), Session::Hit);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Session {
    /// The member of the session's route serves it.
    Hit,
    /// A route was presented, but its member cannot serve: somebody else was elected.
    Lost,
    /// Sessions are on, but the request presented no route.
    New,
    /// Sessions are off.
    Off,
    /// The member of the redirect route serves it in place of the session's own.
    Redirected,
}

impl Session {
    /// Tells whether the client's route has to be renewed (Apache exports
    /// `BALANCER_ROUTE_CHANGED`): sessions are on and another route serves than the
    /// one presented.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", (), MemberSpec::new().with_route("r1"))
    ///     .build()?;
    /// let lease = balancer.pick(&PickRequest::new().with_session(None))?;
    /// let mut headers = Vec::new();
    /// if lease.session().route_changed() {
    ///     let route = lease.route().unwrap_or_default();
    ///     headers.push(format!("Set-Cookie: ROUTEID=.{route}; Path=/"));
    /// }
    /// assert_eq!(headers, ["Set-Cookie: ROUTEID=.r1; Path=/"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn route_changed(self) -> bool {
        matches!(self, Self::Lost | Self::New | Self::Redirected)
    }
}

/// Hears what happens in a balancer.
///
/// # Contract
///
/// Hooks run on the thread of the request or of the change, after the books are
/// settled and outside every lock of the crate, so they may call the balancer. They
/// should be quick: the request waits for them. A hook that panics unwinds into the
/// caller of the balancer; no count is lost.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Ended, MemberState, Observer, Outcome, PickRequest};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// #[derive(Clone, Debug, Default)]
/// struct CountFailures(Arc<AtomicUsize>);
///
/// impl Observer for CountFailures {
///     fn ended(&self, _: &MemberState, ended: &Ended) {
///         if ended.outcome == Outcome::Failure {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// let failures = CountFailures::default();
/// let balancer = Balancer::builder()
///     .observer(failures.clone())
///     .member("a", (), Default::default())
///     .build()?;
/// balancer.pick(&PickRequest::new()).unwrap().finish(Outcome::Failure);
/// assert_eq!(failures.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A member was elected, by its scheduler or by a session.
    fn elected(&self, member: &MemberState, session: Session) {
        let _ = (member, session);
    }

    /// A request ended; the member's count is given back already.
    fn ended(&self, member: &MemberState, ended: &Ended) {
        let _ = (member, ended);
    }

    /// A member's flags changed.
    fn status_changed(&self, member: &MemberState, before: Status, after: Status) {
        let _ = (member, before, after);
    }

    /// The session of a request found its member.
    fn session_hit(&self, member: &MemberState) {
        let _ = member;
    }

    /// The session of a request did not find its member; `member` was elected
    /// instead, or taken from the redirect route.
    fn session_lost(&self, route: &str, member: &MemberState) {
        let _ = (route, member);
    }

    /// A request without a session was given `member`.
    fn session_new(&self, member: &MemberState) {
        let _ = member;
    }

    /// A session's cookie cannot bring its client back to `member`: it has no route, or one
    /// that cannot be in a cookie. A service with a
    /// [`RouteCookie`](crate::service::RouteCookie) tells it once for each member: when
    /// it is built, or when a member that joined later first serves a new session.
    ///
    /// # Examples
    ///
    /// See [`BalanceLayer::check_sessions`](crate::BalanceLayer::check_sessions).
    fn session_not_kept(&self, member: &MemberState, why: &CookieRouteError) {
        let _ = (member, why);
    }

    /// A request that had tried `tried` members already goes to `member`.
    fn failed_over(&self, member: &MemberState, tried: usize) {
        let _ = (member, tried);
    }

    /// A member was put in error by a request; further errors, until it recovers, only
    /// make that later and are not told.
    fn ejected(&self, member: &MemberState) {
        let _ = member;
    }

    /// A request found nobody: of `members` members none could be elected, `tried`
    /// of them because the request had tried them.
    fn nobody_left(&self, members: usize, tried: usize) {
        let _ = (members, tried);
    }

    /// Tells whether [`Ended::elapsed`] is wanted; reading the clock twice for each
    /// request is not free.
    fn wants_elapsed(&self) -> bool {
        false
    }
}

const _: Option<&dyn Observer> = None;

impl Observer for () {}

/// A shared observer, so that the one who put it in can read it again.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn elected(&self, member: &MemberState, session: Session) {
        (**self).elected(member, session);
    }

    fn ended(&self, member: &MemberState, ended: &Ended) {
        (**self).ended(member, ended);
    }

    fn status_changed(&self, member: &MemberState, before: Status, after: Status) {
        (**self).status_changed(member, before, after);
    }

    fn session_hit(&self, member: &MemberState) {
        (**self).session_hit(member);
    }

    fn session_lost(&self, route: &str, member: &MemberState) {
        (**self).session_lost(route, member);
    }

    fn session_new(&self, member: &MemberState) {
        (**self).session_new(member);
    }

    fn session_not_kept(&self, member: &MemberState, why: &CookieRouteError) {
        (**self).session_not_kept(member, why);
    }

    fn failed_over(&self, member: &MemberState, tried: usize) {
        (**self).failed_over(member, tried);
    }

    fn ejected(&self, member: &MemberState) {
        (**self).ejected(member);
    }

    fn nobody_left(&self, members: usize, tried: usize) {
        (**self).nobody_left(members, tried);
    }

    fn wants_elapsed(&self) -> bool {
        (**self).wants_elapsed()
    }
}
