//! Real servers on loopback, and a client that needs no balancer to find them.
//!
//! Not here: what stands in front of the client (`proxies`).

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tower::{BoxError, Service};

/// So many servers.
const SERVERS: usize = 3;

/// The body of every answer.
static ANSWER: [u8; 100] = [b'x'; 100];

/// Starts the servers on the current runtime.
pub(crate) async fn servers() -> Vec<Uri> {
    let mut addresses = Vec::new();
    for _ in 0..SERVERS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
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

pub(crate) fn client<B>() -> Client<HttpConnector, B>
where
    B: Body<Data: Send> + Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// A client that points requests at servers itself, at one after the other; clones share
/// its connections.
pub(crate) struct Pointed<B> {
    client: Client<HttpConnector, B>,
    servers: Arc<[Uri]>,
    turn: Arc<AtomicUsize>,
}

impl<B> Pointed<B>
where
    B: Body<Data: Send> + Send,
{
    pub(crate) fn new(servers: &[Uri]) -> Self {
        Self {
            client: client(),
            servers: servers.iter().map(at_basket).collect(),
            turn: Arc::default(),
        }
    }

    /// One for each server.
    pub(crate) fn each(servers: &[Uri]) -> Vec<Self> {
        let client = client();
        let pointed = servers.iter().map(|server| Self {
            client: client.clone(),
            servers: Arc::from([at_basket(server)]),
            turn: Arc::default(),
        });
        pointed.collect()
    }
}

/// The server's address with the path that requests have.
fn at_basket(server: &Uri) -> Uri {
    let mut parts = server.clone().into_parts();
    parts.path_and_query = Some("/basket?item=7".parse().expect("a path"));
    Uri::from_parts(parts).expect("a whole URI")
}

impl<B> Clone for Pointed<B> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            servers: self.servers.clone(),
            turn: self.turn.clone(),
        }
    }
}

impl<B> Service<Request<B>> for Pointed<B>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.client, context)
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture {
        let turn = self.turn.fetch_add(1, Relaxed);
        *request.uri_mut() = self.servers[turn % self.servers.len()].clone();
        self.client.request(request)
    }
}
