//! What can stand in front of a real client.
//!
//! Not here: the client and its servers (`loopback`), who calls it, and
//! what that takes (`traffic`).

use std::time::Duration;

use bytes::Bytes;
use equipoise::service::{
    BalanceLayer, BalanceService, CountedBody, Failover, Rewrite, RouteCookie, Timeouts,
};
use equipoise::timer::{Sleep, Timer};
use equipoise::{Balancer, MemberSpec, StickySession};
use http::{Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{Layer, Service};

use crate::loopback::{Pointed, client, route};
use crate::noop::COOKIE_NAME;

type Sent = Full<Bytes>;

type Over = BalanceService<Pointed<CountedBody<Sent>>>;

/// The balancer over clients that point at one server each.
pub(crate) fn over(servers: &[Uri]) -> Over {
    let names = servers.iter().map(Uri::to_string);
    let balancer = Balancer::new(names.zip(Pointed::each(servers)));
    BalanceService::over(balancer.expect("unique names"))
}

/// How the layer is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setup {
    /// With a session, a cookie and a limit of time.
    Full,
    OneAttempt,
    /// As it comes.
    Plain,
}

type Layered = BalanceService<Uri, Rewrite<Client<HttpConnector, CountedBody<Sent>>>>;

/// The layer over addresses, and one client for all.
pub(crate) fn layered(servers: &[Uri], setup: Setup) -> Layered {
    let members = servers.iter().enumerate().map(|(index, server)| {
        let spec = MemberSpec::new().with_route(route(index));
        (server.to_string(), server.clone(), spec)
    });
    let balancer = Balancer::builder().members(members).build();
    let layer = BalanceLayer::new(balancer.expect("unique names"));
    let layer = match setup {
        Setup::Full => {
            let session = StickySession::new(COOKIE_NAME).expect("a name");
            let timeouts = Timeouts::new().with_per_try_timeout(Duration::from_secs(30));
            let sticky = layer.sticky_with_cookie(session, RouteCookie::new());
            sticky.timeouts(Tokio, timeouts)
        }
        Setup::OneAttempt => layer.failover(Failover::new().with_max_attempts(1)),
        Setup::Plain => layer,
    };
    layer.layer(client())
}

/// As `TokioTimer`, which needs a feature.
#[derive(Debug)]
struct Tokio;

impl Timer for Tokio {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

type Answered =
    <Balance<PendingRequestsDiscover<ServiceList<Vec<Pointed<Sent>>>>, Request<Sent>> as Service<
        Request<Sent>,
    >>::Future;

/// tower's balancer over clients that point at one server each, made shareable.
pub(crate) fn p2c(servers: &[Uri]) -> Buffer<Request<Sent>, Answered> {
    let members = ServiceList::new::<Request<Sent>>(Pointed::each(servers));
    let balance = Balance::new(PendingRequestsDiscover::new(
        members,
        CompleteOnResponse::default(),
    ));
    Buffer::new(balance, 1_024)
}
