//! What became of a request's session in a pick: [`Session`].

/// What became of a request's session when a member was picked.
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
    /// The member of the session's route was picked.
    Hit,
    /// The request presented a route, but its member cannot serve: another member was
    /// picked.
    Lost,
    /// Sessions are on, and the request presented no route.
    New,
    /// Sessions are off.
    Off,
    /// The member of the redirect route was picked in place of the session's own.
    Redirected,
}

impl Session {
    /// Returns whether the client needs a new route: sessions are on, and the member that
    /// was picked has another route than the request presented (Apache exports
    /// `BALANCER_ROUTE_CHANGED`).
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
