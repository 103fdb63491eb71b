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
use http::header::CONNECTION;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::side_by_side::program::listen_on;

/// Serves `address` until the process ends.
pub(crate) async fn serve(address: SocketAddr, upstreams: &[SocketAddr]) -> Result<(), BoxError> {
    let listener = listen_on(address)?;
    let upstreams = upstreams.iter().map(|&address| {
        let idle = Mutex::default();
        Arc::new(Upstream { address, idle })
    });
    let fleet = Arc::new(Fleet {
        upstreams: upstreams.collect(),
        turn: AtomicUsize::new(0),
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let fleet = fleet.clone();
        tokio::spawn(async move {
            let pass = service_fn(|request| pass(fleet.next(), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), pass);
            drop(connection.await);
        });
    }
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
