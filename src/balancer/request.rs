//! The properties of a request that its pick uses: [`PickRequest`].

use std::any::Any;

use super::sessions::SessionKey;
use crate::clock::Timestamp;
use crate::member::{Cause, MemberId};
use crate::scheduler::PickFacts;
use crate::session::{PresentedSession, StickySession};

/// The properties of a request that its pick uses.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let balancer = Balancer::builder()
///     .member("a", (), MemberSpec::new().with_route("r1"))
///     .member("b", (), MemberSpec::new().with_route("r2"))
///     .build()?;
///
/// // A session that belongs to r2.
/// let lease = balancer.pick(&PickRequest::new().with_session(Some("r2"))).unwrap();
/// assert_eq!(lease.member().name(), "b");
///
/// // The same request again, after b failed it.
/// let tried = [lease.member().id()];
/// let request = PickRequest::new().with_session(Some("r2")).with_tried(&tried);
/// assert_eq!(balancer.pick(&request).unwrap().member().name(), "a");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct PickRequest<'r> {
    pub(super) sessions: bool,
    pub(super) session_key: Option<SessionKey<'r>>,
    pub(super) no_failover: bool,
    pub(super) hash: Option<u64>,
    pub(crate) facts: PickFacts<'r>,
    pub(super) tried: &'r [MemberId],
    pub(super) cause: Option<&'r Cause>,
    pub(super) now: Option<Timestamp>,
}

impl<'r> PickRequest<'r> {
    /// Creates a request without a session that has tried no members.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
    /// assert_eq!(*balancer.pick(&PickRequest::new())?, "10.0.0.1:80");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new() -> Self {
        Self {
            sessions: false,
            session_key: None,
            no_failover: false,
            hash: None,
            facts: PickFacts::NONE,
            tried: &[],
            cause: None,
            now: None,
        }
    }

    /// Enables sessions, with the route that the client presented, if any; an empty route
    /// counts as none.
    ///
    /// [`StickySession::find`](crate::StickySession::find) reads the route from a request.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickRequest, Session};
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", (), MemberSpec::new().with_route("r1"))
    ///     .build()?;
    /// let first = balancer.pick(&PickRequest::new().with_session(None))?;
    /// assert_eq!(first.session(), Session::New);
    /// let route = first.route(); // what the client is to present from now on
    /// let again = balancer.pick(&PickRequest::new().with_session(route))?;
    /// assert_eq!(again.session(), Session::Hit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_session(mut self, route: Option<&'r str>) -> Self {
        self.sessions = true;
        self.session_key = route
            .filter(|route| !route.is_empty())
            .map(SessionKey::Route);
        self
    }

    /// Enables sessions, with the name of the member that has the client's session, if that
    /// is known. The name replaces the route: members then need no route.
    ///
    /// The named member is treated like the member of a route: it is picked even if it
    /// drains, is a standby, or is of a later tier. If it cannot be picked, the session is
    /// served as one of that member's route, or of its redirect route if it has no route.
    /// If that finds no member either, the scheduler picks one. Of this and
    /// [`with_session`](Self::with_session), the last call counts.
    ///
    /// [`StickTable`](crate::session::StickTable) finds the name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, PickRequest, Session};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let request = PickRequest::new().with_session_member(Some("b"));
    /// for _ in 0..3 {
    ///     let lease = balancer.pick(&request)?;
    ///     assert_eq!((lease.member().name(), lease.session()), ("b", Session::Hit));
    /// }
    /// balancer.set_flag("b", Flag::Disabled)?;
    /// let lease = balancer.pick(&request)?;
    /// assert_eq!((lease.member().name(), lease.session()), ("a", Session::Lost));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_session_member(mut self, name: Option<&'r str>) -> Self {
        self.sessions = true;
        self.session_key = name.map(SessionKey::Member);
        self
    }

    /// Sets the session that `sticky` finds in a request, with its no-failover setting.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{PickRequest, StickySession};
    ///
    /// let sticky = StickySession::new("JSESSIONID|jsessionid")?;
    /// let request = http::Request::get("/").header("cookie", "JSESSIONID=8F3A.node2").body(())?;
    /// let presented = sticky.find(request.uri(), request.headers());
    /// let pick = PickRequest::new().with_sticky(&sticky, presented.as_ref());
    /// # let _ = pick;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_sticky(
        mut self,
        sticky: &StickySession,
        presented: Option<&'r PresentedSession<'_>>,
    ) -> Self {
        self.no_failover |= sticky.has_no_failover();
        self.with_session(presented.and_then(PresentedSession::route))
    }

    /// Forbids serving a session by another member than its own (Apache: `nofailover`): the
    /// pick fails with [`PickError::SessionLost`](crate::PickError::SessionLost) instead,
    /// or with [`PickError::AtCapacity`](crate::PickError::AtCapacity) while its member is
    /// only at its cap.
    ///
    /// This does not affect requests without a session, sessions with a route that no
    /// member has, and sessions of a member that was removed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec, PickError, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", (), MemberSpec::new().with_route("r1"))
    ///     .member("b", (), MemberSpec::new().with_route("r2").with_flag(Flag::Stopped))
    ///     .build()?;
    /// let request = PickRequest::new().with_session(Some("r2"));
    /// assert_eq!(balancer.pick(&request)?.member().name(), "a");
    ///
    /// let error = balancer.pick(&request.with_no_failover()).unwrap_err();
    /// assert_eq!(error, PickError::SessionLost { route: "r2".into() });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "nofailover")]
    pub const fn with_no_failover(mut self) -> Self {
        self.no_failover = true;
        self
    }

    /// Sets a hash key, for schedulers that map equal keys to the same member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
    /// use equipoise::stable_hash::hash_bytes;
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// /// One client, one place to begin.
    /// #[derive(Debug)]
    /// struct ByClient;
    ///
    /// impl Scheduler for ByClient {
    ///     fn name(&self) -> &'static str {
    ///         "byclient"
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
    ///         let members = candidates.len().max(1) as u64;
    ///         let start = context.hash().unwrap_or(0) % members;
    ///         candidates.claim_first(candidates.iter().skip(start as usize).chain(candidates.iter()))
    ///     }
    /// }
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(ByClient)
    ///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let request = PickRequest::new().with_hash(hash_bytes(b"client-42"));
    /// let first = balancer.pick(&request)?.member().id();
    /// assert_eq!(balancer.pick(&request)?.member().id(), first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn with_hash(mut self, hash: u64) -> Self {
        self.hash = Some(hash);
        self
    }

    /// Sets facts about the request, for schedulers that know their type; see
    /// [`PickContext::facts`](crate::scheduler::PickContext::facts).
    ///
    /// They are borrowed, so nothing is allocated. The schedulers of this crate do not read
    /// them. A request has one value; to pass several facts, use a struct.
    ///
    /// Requests [wait](crate::Balancer::pick_wait) in one line, whatever their facts: a
    /// request for which the scheduler accepts only a few members delays those behind it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// struct Tenant {
    ///     zone: String,
    /// }
    ///
    /// /// The members of the tenant's zone first.
    /// #[derive(Debug)]
    /// struct InTheZone;
    ///
    /// impl Scheduler for InTheZone {
    ///     fn name(&self) -> &'static str {
    ///         "in the zone"
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
    ///         let zone = context.facts().map(|tenant: &Tenant| &*tenant.zone);
    ///         let near = candidates.iter().filter(|one| one.label("zone") == zone);
    ///         candidates.claim_first(near.chain(candidates.iter()))
    ///     }
    /// }
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(InTheZone)
    ///     .members(["a", "b"].map(|zone| (zone, (), MemberSpec::new().with_label("zone", zone))))
    ///     .build()?;
    /// let tenant = Tenant { zone: "b".into() };
    /// let lease = balancer.pick(&PickRequest::new().with_facts(&tenant))?;
    /// assert_eq!(lease.member().name(), "b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_facts<T>(self, facts: &'r T) -> Self
    where
        T: Any + Send + Sync,
    {
        self.with_any_facts(facts)
    }

    /// As [`with_facts`](Self::with_facts), for a value whose type is not known here.
    pub(crate) const fn with_any_facts(mut self, facts: &'r (dyn Any + Send + Sync)) -> Self {
        self.facts = PickFacts::new(facts);
        self
    }

    /// Sets the members that this request has tried already; none of them is picked.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Outcome, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let first = balancer.pick(&PickRequest::new())?;
    /// let tried = [first.member().id()];
    /// first.finish(Outcome::Failure);
    ///
    /// let second = balancer.pick(&PickRequest::new().with_tried(&tried))?;
    /// assert_ne!(second.member().id(), tried[0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn with_tried(mut self, tried: &'r [MemberId]) -> Self {
        self.tried = tried;
        self
    }

    /// Sets the reason why the last tried member has failed. Observers receive it with the
    /// pick of another member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let first = balancer.pick(&PickRequest::new())?;
    /// let (tried, cause) = ([first.member().id()], Cause::Refused);
    /// first.put_in_error_because(cause.clone());
    /// first.fail(cause.clone());
    /// let request = PickRequest::new().with_tried(&tried).with_cause(Some(&cause));
    /// assert_eq!(balancer.pick(&request)?.member().name(), "b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn with_cause(mut self, cause: Option<&'r Cause>) -> Self {
        self.cause = cause;
        self
    }

    /// Sets the time, if the caller has just read it, so that it is not read again.
    ///
    /// It must be read from the balancer's own clock. While a member is in error, a pick
    /// still reads that clock itself, to find out whether a recovery is due. A request that
    /// has [waited](crate::Balancer::pick_wait) gets the time at which it is picked
    /// instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, SystemClock};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let clock = SystemClock::new();
    /// let balancer = Balancer::builder()
    ///     .clock(clock)
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// let arrived = clock.now(); // the application wants it for its log
    /// let lease = balancer.pick(&PickRequest::new().with_now(arrived))?;
    /// assert_eq!(lease.member().name(), "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Returns the hash key.
    #[must_use]
    pub const fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// Returns the members that the request has tried.
    #[must_use]
    pub const fn tried(&self) -> &'r [MemberId] {
        self.tried
    }

    /// Returns whether the request has sessions.
    #[must_use]
    pub const fn has_sessions(&self) -> bool {
        self.sessions
    }

    /// Returns the route that the client presented, if [`with_session`](Self::with_session)
    /// has set it.
    #[must_use]
    pub const fn session_route(&self) -> Option<&'r str> {
        match self.session_key {
            Some(SessionKey::Route(route)) => Some(route),
            _ => None,
        }
    }

    /// Returns the name of the session's member, if
    /// [`with_session_member`](Self::with_session_member) has set it.
    #[must_use]
    pub const fn session_member(&self) -> Option<&'r str> {
        match self.session_key {
            Some(SessionKey::Member(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns whether another member than the session's own is forbidden.
    #[must_use]
    pub const fn has_no_failover(&self) -> bool {
        self.no_failover
    }

    /// The same request, at the time at which it is tried again.
    pub(super) const fn of_now(mut self) -> Self {
        self.now = None;
        self
    }

    /// Returns whether the request waits beside the line: its particular condition must not
    /// hold up all other requests.
    pub(super) fn is_particular(&self) -> bool {
        !self.tried.is_empty() || (self.no_failover && self.session_key.is_some())
    }
}
