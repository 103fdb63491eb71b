//! The embedded backends: three HTTP servers that differ in speed, size and weight, and
//! that can be killed and restarted.
//!
//! | path | response |
//! |---|---|
//! | `/data` | the data of this backend, after its delay |
//! | `/sleep/MS` | one line, after this many milliseconds |
//! | any other | one line |

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

/// The properties of a backend.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) route: &'static str,
    pub(crate) weight: u32,
    /// The time that it takes to respond.
    pub(crate) delay: Duration,
    /// The size of its data at `/data`.
    pub(crate) bytes: u32,
    /// How many requests it can serve at once, as its heartbeats report.
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

/// A backend, running or killed.
pub(crate) struct Backend {
    pub(crate) site: Arc<Site>,
    address: SocketAddr,
    /// `None` while it is killed.
    server: Option<Server>,
}

impl Backend {
    /// Starts a backend on a free port; with a `session`, it sets the cookie of that name.
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

    /// Starts it again at its previous address.
    pub(crate) fn restart(&mut self) -> Result<(), BoxError> {
        let listener = Listener::bind(self.address)?;
        let site = self.site.clone();
        let service = tower::service_fn(move |request| respond(site.clone(), request));
        let server = Server::start(listener, service)?;
        self.address = server.address();
        self.server = Some(server);
        Ok(())
    }

    /// Closes its listener and all its connections, including active ones.
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
            // Short, to show the member's return.
            .with_recovery_delay(Duration::from_secs(1)))
    }
}

/// The state of a running backend, with its requests in flight.
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

    /// Returns the capacity for a heartbeat.
    pub(crate) fn reading(&self) -> HeartbeatReading {
        let busy = self.busy.load(Relaxed);
        HeartbeatReading {
            ready: self.profile.slots.saturating_sub(busy),
            busy,
        }
    }

    /// Returns a cookie for a client without one of this backend, in Tomcat's form: the
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

async fn respond(
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

/// An HTTP/1 connection can be reused only once the request has been read.
async fn read_to_end(mut body: ClientBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// One request in flight, until this is dropped.
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
