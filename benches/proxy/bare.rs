//! The floor: hyper's server on one side, hyper's client connections on the other, and a
//! counter that says which server is next. Nothing is balanced, checked, limited in time,
//! or done again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use equipoise::service::BoxError;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::proxy::Proxy;
use crate::side_by_side::program::listen_on;

/// Serves until the process ends.
pub(crate) async fn serve(place: &Proxy, adds_headers: bool) -> Result<(), BoxError> {
    let listener = listen_on(place.listen)?;
    let upstreams = place.upstreams.iter().map(|&address| {
        let idle = Mutex::default();
        Arc::new(Upstream { address, idle })
    });
    let fleet = Arc::new(Fleet {
        upstreams: upstreams.collect(),
        turn: AtomicUsize::new(0),
    });
    #[cfg(feature = "tls")]
    let acceptor = place.tls.as_deref().map(crate::tls::acceptor).transpose()?;
    let is_http2 = place.http2;
    let protocol = HeaderValue::from_static(if place.tls.is_some() { "https" } else { "http" });
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = adds_headers.then(|| {
            let address = HeaderValue::from_str(&peer.ip().to_string()).ok()?;
            Some((address, protocol.clone()))
        });
        let front = Front {
            fleet: fleet.clone(),
            client: client.flatten(),
        };
        #[cfg(feature = "tls")]
        if let Some(acceptor) = acceptor.clone() {
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    front.serve(stream, is_http2).await;
                }
            });
            continue;
        }
        tokio::spawn(front.serve(stream, is_http2));
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a connection of a client has.
struct Front {
    fleet: Arc<Fleet>,
    /// The client's address and protocol, if servers are told of them.
    client: Option<(HeaderValue, HeaderValue)>,
}

impl Front {
    async fn serve<S>(self, stream: S, is_http2: bool)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let answer = service_fn(|mut request: Request<Incoming>| {
            if request.version() == Version::HTTP_2 {
                lower(&mut request);
            }
            if let Some(client) = &self.client {
                add_headers(request.headers_mut(), client);
            }
            pass(self.fleet.next(), request)
        });
        let stream = TokioIo::new(stream);
        if is_http2 {
            let server = http2::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(stream, answer).await);
        } else {
            drop(http1::Builder::new().serve_connection(stream, answer).await);
        }
    }
}

/// Makes a request of HTTP/2 one of HTTP/1.1.
fn lower<B>(request: &mut Request<B>) {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    let host = uri
        .authority
        .map(|host| HeaderValue::from_str(host.as_str()));
    if let Some(Ok(host)) = host {
        request.headers_mut().insert(HOST, host);
    }
    let path = uri.path_and_query;
    *request.uri_mut() = path.map_or_else(Uri::default, |path: PathAndQuery| path.into());
    *request.version_mut() = Version::HTTP_11;
}

fn add_headers(headers: &mut HeaderMap, (address, protocol): &(HeaderValue, HeaderValue)) {
    if let Some(host) = headers.get(HOST).cloned() {
        headers.append(FORWARDED_HOST, host);
    }
    headers.append(FORWARDED_FOR, address.clone());
    headers.append(FORWARDED_PROTO, protocol.clone());
}

struct Fleet {
    upstreams: Box<[Arc<Upstream>]>,
    turn: AtomicUsize,
}

impl Fleet {
    fn next(&self) -> Arc<Upstream> {
        let turn = self.turn.fetch_add(1, Relaxed);
        self.upstreams[turn % self.upstreams.len()].clone()
    }
}

struct Upstream {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Incoming>>>,
}

impl Upstream {
    /// A connection that takes a request now.
    async fn ready(&self) -> Result<SendRequest<Incoming>, BoxError> {
        while let Some(mut sender) = self.pop() {
            if sender.is_ready() || sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    fn pop(&self) -> Option<SendRequest<Incoming>> {
        let idle = self.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, sender: SendRequest<Incoming>) {
        let idle = self.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner).push(sender);
    }
}

async fn pass(
    upstream: Arc<Upstream>,
    mut request: Request<Incoming>,
) -> Result<Response<Returning>, Infallible> {
    request.headers_mut().remove(CONNECTION);
    let asked = async {
        let mut sender = upstream.ready().await?;
        let response = sender.send_request(request).await?;
        Ok::<_, BoxError>((response, sender))
    };
    Ok(match asked.await {
        Ok((mut response, sender)) => {
            response.headers_mut().remove(CONNECTION);
            let lent = Some((upstream, sender));
            response.map(|inner| {
                let inner = Some(inner);
                Returning { inner, lent }
            })
        }
        Err(_) => {
            let (inner, lent) = (None, None);
            let mut refusal = Response::new(Returning { inner, lent });
            *refusal.status_mut() = StatusCode::BAD_GATEWAY;
            refusal
        }
    })
}

/// An answer's body, which gives its connection back with the last frame.
struct Returning {
    /// `None` if there was no answer.
    inner: Option<Incoming>,
    lent: Option<(Arc<Upstream>, SendRequest<Incoming>)>,
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *inner).poll_frame(context);
        let whole = matches!(polled, Poll::Ready(None | Some(Ok(_)))) && inner.is_end_stream();
        if let Some((upstream, sender)) = this.lent.take_if(|_| whole) {
            upstream.push(sender);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
