//! A real client and real servers on loopback, and what can stand between the client
//! and whoever calls it.
//!
//! What does not live here: who calls it, and what it takes (`traffic`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use equipoise::service::{
    BalanceLayer, BalanceService, CountedBody, Rewrite, RouteCookie, Timeouts,
};
use equipoise::timer::{Sleep, Timer};
use equipoise::{Balancer, MemberSpec, StickySession};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{Layer, Service};

use crate::noop::COOKIE_NAME;

/// So many servers.
const SERVERS: usize = 3;

/// The body of every answer.
static ANSWER: [u8; 100] = [b'x'; 100];

/// Starts the servers on the current runtime.
pub(crate) async fn servers() -> Vec<Uri> {
    let mut addresses = Vec::new();
    for _ in 0..SERVERS {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        addresses.push(uri(listener.local_addr().expect("an address")));
        tokio::spawn(accept(listener));
    }
    addresses
}

fn uri(address: SocketAddr) -> Uri {
    format!("http://{address}").parse().expect("an address")
}

async fn accept(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        tokio::spawn(async {
            let answer = hyper::service::service_fn(async |_: Request<Incoming>| {
                let body = Full::new(Bytes::from_static(&ANSWER));
                Ok::<_, Infallible>(Response::new(body))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // It ends with an error when the runtime goes.
            drop(connection.await);
        });
    }
}

/// The route of the server that comes next after `index` others, in turn.
pub(crate) fn route(index: usize) -> String {
    format!("r{}", index % SERVERS)
}

type Sent = Full<Bytes>;

fn client<B>() -> Client<HttpConnector, B>
where
    B: Body<Data: Send> + Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// A client that points requests at servers itself, at one after the other.
#[derive(Clone)]
pub(crate) struct Pointed {
    client: Client<HttpConnector, Sent>,
    servers: Arc<[Uri]>,
    turn: Arc<AtomicUsize>,
}

impl Pointed {
    pub(crate) fn new(servers: &[Uri]) -> Self {
        Self {
            client: client(),
            servers: servers.iter().map(at_basket).collect(),
            turn: Arc::default(),
        }
    }
}

/// The server's address with the path that requests have.
fn at_basket(server: &Uri) -> Uri {
    let mut parts = server.clone().into_parts();
    parts.path_and_query = Some("/basket?item=7".parse().expect("a path"));
    Uri::from_parts(parts).expect("a whole URI")
}

impl Service<Request<Sent>> for Pointed {
    type Response = Response<Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.client, context)
    }

    fn call(&mut self, mut request: Request<Sent>) -> ResponseFuture {
        let turn = self.turn.fetch_add(1, Relaxed);
        *request.uri_mut() = self.servers[turn % self.servers.len()].clone();
        self.client.request(request)
    }
}

type Layered = BalanceService<Uri, Rewrite<Client<HttpConnector, CountedBody<Sent>>>>;

/// The layer as it comes, or with a session, a cookie and a limit of time.
pub(crate) fn layered(servers: &[Uri], in_full: bool) -> Layered {
    let members = servers.iter().enumerate().map(|(index, server)| {
        let spec = MemberSpec::new().with_route(route(index));
        (server.to_string(), server.clone(), spec)
    });
    let balancer = Balancer::builder().members(members).build();
    let mut layer = BalanceLayer::new(balancer.expect("unique names"));
    if in_full {
        let session = StickySession::new(COOKIE_NAME).expect("a name");
        let timeouts = Timeouts::new().with_attempt(Duration::from_secs(30));
        layer = layer
            .sticky_with_cookie(session, RouteCookie::new())
            .timeouts(Tokio, timeouts);
    }
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
    <Balance<PendingRequestsDiscover<ServiceList<Vec<Pointed>>>, Request<Sent>> as Service<
        Request<Sent>,
    >>::Future;

/// tower's balancer over clients that point at one server each, made shareable.
pub(crate) fn p2c(servers: &[Uri]) -> Buffer<Request<Sent>, Answered> {
    let one = Pointed::new(servers);
    let members = one.servers.iter().map(|server| Pointed {
        servers: Arc::from([server.clone()]),
        turn: Arc::default(),
        client: one.client.clone(),
    });
    let members = ServiceList::new::<Request<Sent>>(members.collect::<Vec<_>>());
    let balance = Balance::new(PendingRequestsDiscover::new(
        members,
        CompleteOnResponse::default(),
    ));
    Buffer::new(balance, 1_024)
}
