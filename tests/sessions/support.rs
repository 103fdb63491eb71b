//! A site with sessions: members by name, and clients that come with a cookie.

use equipoise::clock::ManualClock;
use equipoise::{
    Balancer, Flag, Lease, MemberId, MemberSpec, PickError, PickRequest, Session, StickySession,
};

pub(crate) struct Site {
    pub(crate) balancer: Balancer<()>,
    pub(crate) clock: ManualClock,
    pub(crate) sticky: StickySession,
}

/// The route `route`.
pub(crate) fn on(route: &str) -> MemberSpec {
    MemberSpec::new().with_route(route)
}

pub(crate) fn site<const N: usize>(members: [(&str, MemberSpec); N]) -> Site {
    let clock = ManualClock::new();
    let members = members.map(|(name, spec)| (name, (), spec));
    Site {
        balancer: Balancer::builder()
            .clock(clock.clone())
            .members(members)
            .build()
            .unwrap(),
        clock,
        sticky: StickySession::new("SID|sid").unwrap(),
    }
}

/// Members A, B and C with their names as routes.
pub(crate) fn abc() -> Site {
    site(["A", "B", "C"].map(|name| (name, on(name))))
}

impl Site {
    pub(crate) fn without_failover(self) -> Self {
        Self {
            sticky: self.sticky.with_no_failover(),
            ..self
        }
    }

    pub(crate) fn set(&self, name: &str, flag: Flag) {
        self.balancer.set_flag(name, flag).unwrap();
    }

    pub(crate) fn fail(&self, name: &str) {
        self.set(name, Flag::InError);
    }

    /// The lease for a request with this URI and cookie that has tried some members.
    ///
    /// What `explain` has to say is checked in passing.
    pub(crate) fn lease(
        &self,
        uri: &str,
        cookie: &str,
        tried: &[MemberId],
    ) -> Result<Lease<()>, PickError> {
        let request = http::Request::get(uri).header("cookie", cookie);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let presented = self.sticky.find_in_parts(&parts);
        let route = presented.as_ref().and_then(|presented| presented.route());
        let mut request = PickRequest::new().with_session(route).with_tried(tried);
        if self.sticky.has_no_failover() {
            request = request.with_no_failover();
        }
        let explained = self.balancer.explain(&request);
        let lease = self.balancer.pick(&request);
        let foreseen = explained.picked().map(|member| member.name.as_ref());
        let came = lease.as_ref().ok().map(|lease| lease.member().name());
        assert_eq!(foreseen, came, "{explained}");
        lease
    }

    /// Who serves a client with this session value, and how the session fared.
    pub(crate) fn visit(&self, value: &str) -> Result<(String, Session), PickError> {
        self.lease("/", &format!("SID={value}"), &[])
            .map(|lease| answer(&lease))
    }

    /// Who serves a client without session.
    pub(crate) fn newcomer(&self) -> Result<(String, Session), PickError> {
        self.lease("/", "theme=dark", &[])
            .map(|lease| answer(&lease))
    }

    pub(crate) fn id(&self, name: &str) -> MemberId {
        self.balancer.member(name).unwrap().id()
    }
}

pub(crate) fn answer(lease: &Lease<()>) -> (String, Session) {
    (lease.member().name().to_owned(), lease.session())
}

pub(crate) fn by(name: &str, session: Session) -> Result<(String, Session), PickError> {
    Ok((name.to_owned(), session))
}
