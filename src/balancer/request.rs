//! What a request brings to its election: [`PickRequest`].

use crate::clock::Timestamp;
use crate::member::MemberId;

/// What a request brings to its election.
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
    pub(super) route: Option<&'r str>,
    pub(super) no_failover: bool,
    pub(super) hash: Option<u64>,
    pub(super) tried: &'r [MemberId],
    pub(super) now: Option<Timestamp>,
}

impl<'r> PickRequest<'r> {
    /// Makes a request without session that has tried nobody.
    pub const fn new() -> Self {
        Self {
            sessions: false,
            route: None,
            no_failover: false,
            hash: None,
            tried: &[],
            now: None,
        }
    }

    /// Says that sessions are on, and which route the client presented, if any; an
    /// empty route is none.
    ///
    /// The route is what [`StickySession::find`](crate::StickySession::find) reads from
    /// a request.
    pub fn with_session(mut self, route: Option<&'r str>) -> Self {
        self.sessions = true;
        self.route = route.filter(|route| !route.is_empty());
        self
    }

    /// Forbids to serve a session by another member than its own (Apache:
    /// `nofailover`): the pick fails with
    /// [`PickError::SessionLost`](crate::PickError::SessionLost) instead.
    ///
    /// A session whose route no member owns, and a request without a session, are
    /// elected for as usual.
    #[doc(alias = "nofailover")]
    pub const fn with_no_failover(mut self) -> Self {
        self.no_failover = true;
        self
    }

    /// Brings a hash key, for schedulers that keep equal keys together.
    pub const fn with_hash(mut self, hash: u64) -> Self {
        self.hash = Some(hash);
        self
    }

    /// Says which members this request has tried already; none of them is elected.
    pub const fn with_tried(mut self, tried: &'r [MemberId]) -> Self {
        self.tried = tried;
        self
    }

    /// Tells the time, where the caller has just read it, so that it is not read again.
    pub const fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Only the general case keeps its place in a line: what one particular request
    /// waits for must not hold up all others.
    pub(super) fn is_particular(&self) -> bool {
        !self.tried.is_empty() || (self.no_failover && self.route.is_some())
    }
}
