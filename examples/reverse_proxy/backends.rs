//! The embedded backends: three real HTTP servers that differ in speed, size and weight,
//! and that can be killed and started again.
//!
//! | path | answer |
//! |---|---|
//! | `/data` | as much as this backend has, as fast as it can |
//! | `/sleep/MS` | a line, after so many milliseconds |
//! | any other | a line |

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Endpoint};
use equipoise::scheduler::HeartbeatReading;
use equipoise::service::BoxError;
use equipoise::{MemberSpec, StickySession, Weight};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};

use crate::proxy;
use crate::server::Server;

/// What a backend is like.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) route: &'static str,
    pub(crate) weight: u32,
    /// How long it takes over an answer.
    pub(crate) delay: Duration,
    /// The size of what is at `/data`.
    pub(crate) bytes: u32,
    /// How many requests it would take at once: what it reports by heartbeat.
    pub(crate) slots: u32,
}

pub(crate) const PROFILES: [Profile; 3] = [
    Profile {
        name: "fast",
        route: "r1",
        weight: 3,
        delay: Duration::from_millis(1),
        bytes: 1_000,
        slots: 100,
    },
    Profile {
        name: "middle",
        route: "r2",
        weight: 2,
        delay: Duration::from_millis(2),
        bytes: 4_000,
        slots: 200,
    },
    Profile {
        name: "slow",
        route: "r3",
        weight: 1,
        delay: Duration::from_millis(4),
        bytes: 16_000,
        slots: 200,
    },
];

/// A backend, dead or alive.
pub(crate) struct Backend {
    pub(crate) site: Arc<Site>,
    address: SocketAddr,
    /// `None` while it is dead.
    server: Option<Server>,
}

impl Backend {
    /// Starts one on a free port; with a `session`, it sets the cookie of that name.
    pub(crate) fn start(
        profile: &'static Profile,
        session: Option<StickySession>,
    ) -> Result<Self, BoxError> {
        let mut backend = Self {
            site: Arc::new(Site::new(profile, session)),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            server: None,
        };
        backend.restart()?;
        Ok(backend)
    }

    /// Starts it where it was before.
    pub(crate) fn restart(&mut self) -> Result<(), BoxError> {
        let listener = Listener::bind(self.address)?;
        let site = self.site.clone();
        let service = tower::service_fn(move |request| answer(site.clone(), request));
        let server = Server::start(listener, service)?;
        self.address = server.address();
        self.server = Some(server);
        Ok(())
    }

    /// Closes its listener and all its connections, whatever they are doing.
    pub(crate) async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.cut().await;
        }
    }

    pub(crate) fn member(&self) -> Result<Endpoint, BoxError> {
        Ok(proxy::member(format!("http://{}", self.address).parse()?)?)
    }

    pub(crate) fn spec(&self) -> Result<MemberSpec, BoxError> {
        let profile = self.site.profile;
        Ok(MemberSpec::new()
            .with_weight(Weight::new(profile.weight)?)
            .with_route(profile.route)
            // Short, so that one can watch a member come back.
            .with_recovery_delay(Duration::from_secs(1)))
    }
}

/// What a backend serves, and how busy it is with that.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) profile: &'static Profile,
    data: Bytes,
    session: Option<StickySession>,
    sessions: AtomicU64,
    busy: AtomicU32,
}

impl Site {
    fn new(profile: &'static Profile, session: Option<StickySession>) -> Self {
        Self {
            profile,
            data: Bytes::from(vec![b'.'; profile.bytes as usize]),
            session,
            sessions: AtomicU64::new(0),
            busy: AtomicU32::new(0),
        }
    }

    /// What it says of itself in a heartbeat.
    pub(crate) fn reading(&self) -> HeartbeatReading {
        let busy = self.busy.load(Relaxed);
        HeartbeatReading {
            ready: self.profile.slots.saturating_sub(busy),
            busy,
        }
    }

    /// The cookie for a client that has none of this backend, as Tomcat makes it: the
    /// session's id, a dot, and the route.
    fn new_session(&self, request: &Request<ClientBody>) -> Option<HeaderValue> {
        let session = self.session.as_ref()?;
        let presented = session.find(request.uri(), request.headers());
        let route = self.profile.route;
        if presented.is_some_and(|presented| presented.route() == Some(route)) {
            return None;
        }
        let (name, id) = (session.cookie_name(), self.sessions.fetch_add(1, Relaxed));
        HeaderValue::try_from(format!("{name}={id:08x}.{route}; Path=/")).ok()
    }
}

async fn answer(
    site: Arc<Site>,
    request: Request<ClientBody>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _busy = Busy::with(&site);
    let path = request.uri().path();
    let delay = path
        .strip_prefix("/sleep/")
        .and_then(|millis| Some(Duration::from_millis(millis.parse().ok()?)))
        .unwrap_or(site.profile.delay);
    let body = match path {
        "/data" => site.data.clone(),
        _ => format!("{} says hello\n", site.profile.name).into(),
    };
    let mut headers = HeaderMap::new();
    if let Some(cookie) = site.new_session(&request) {
        headers.insert(SET_COOKIE, cookie);
    }
    read_to_end(request.into_body()).await;
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Full::new(body));
    *response.headers_mut() = headers;
    Ok(response)
}

/// An HTTP/1 connection can be used again only once the request has been read.
async fn read_to_end(mut body: ClientBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// One request that a backend is busy with, until this is dropped.
struct Busy<'s>(&'s Site);

impl<'s> Busy<'s> {
    fn with(site: &'s Site) -> Self {
        site.busy.fetch_add(1, Relaxed);
        Self(site)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}
