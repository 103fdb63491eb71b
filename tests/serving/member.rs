//! Members on real sockets, for HTTP/1.1 and HTTP/2 with prior knowledge, which count
//! their connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use equipoise::proxy::{Endpoint, EndpointBuilder, ReverseProxy};
use equipoise::service::BoxError;
use equipoise::{Balancer, MemberSpec};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn any<B>(body: B) -> AnyBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    UnsyncBoxBody::new(body.map_err(Into::into))
}

pub(crate) fn empty() -> AnyBody {
    any(Empty::new())
}

pub(crate) fn full(text: impl Into<Bytes>) -> AnyBody {
    any(Full::new(text.into()))
}

#[derive(Default)]
struct Books {
    accepted: AtomicUsize,
    open: AtomicUsize,
    asked: AtomicUsize,
}

/// A server that dies when it is dropped.
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    books: Arc<Books>,
    accepting: JoinHandle<()>,
}

impl Member {
    pub(crate) async fn start<F, T>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> T + Send + Sync + 'static,
        T: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let books = Arc::new(Books::default());
        let (kept, answer) = (books.clone(), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                kept.accepted.fetch_add(1, SeqCst);
                kept.open.fetch_add(1, SeqCst);
                let (kept, answer) = (kept.clone(), answer.clone());
                tokio::spawn(async move {
                    let asked = kept.clone();
                    let counted = move |request| {
                        asked.asked.fetch_add(1, SeqCst);
                        answer(request)
                    };
                    speak(stream, counted).await;
                    kept.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self {
            address,
            books,
            accepting,
        }
    }

    /// One that tells what it was asked.
    pub(crate) async fn telling() -> Self {
        Self::start(tell).await
    }

    pub(crate) fn endpoint(&self) -> EndpointBuilder {
        endpoint(self.address)
    }

    /// How many connections there have been.
    pub(crate) fn accepted(&self) -> usize {
        self.books.accepted.load(SeqCst)
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.books.open.load(SeqCst)
    }

    pub(crate) fn asked(&self) -> usize {
        self.books.asked.load(SeqCst)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves one connection, in whatever HTTP it begins with.
pub(crate) async fn speak<F, T>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> T + Send + 'static,
    T: Future<Output = Response<AnyBody>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let io = TokioIo::new(stream);
    // Who breaks off is the test's affair.
    let _ = server.serve_connection_with_upgrades(io, service).await;
}

/// Answers with the request's version, method, target and headers, a line each, and its
/// body behind an empty line.
pub(crate) async fn tell(request: Request<Incoming>) -> Response<AnyBody> {
    let (head, body) = request.into_parts();
    let mut told = format!("{:?} {} {}\n", head.version, head.method, head.uri);
    for (name, value) in &head.headers {
        told.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    let body = body.collect().await.unwrap().to_bytes();
    told.push('\n');
    told.push_str(std::str::from_utf8(&body).unwrap());
    Response::new(full(told))
}

pub(crate) fn endpoint(address: SocketAddr) -> EndpointBuilder {
    Endpoint::builder(format!("http://{address}").parse().unwrap())
}

/// An address where nobody listens. It stays taken, lest another test listens there.
pub(crate) fn nobody() -> SocketAddr {
    static TAKEN: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    TAKEN.lock().unwrap().push(socket);
    address
}

/// A balancer over members that are called `a`, `b` and so on.
pub(crate) fn balancer(members: impl IntoIterator<Item = EndpointBuilder>) -> Balancer<Endpoint> {
    let mut balancer = Balancer::builder();
    for (name, member) in ('a'..).zip(members) {
        balancer = balancer.member(name.to_string(), member.build().unwrap(), MemberSpec::new());
    }
    balancer.build().unwrap()
}

pub(crate) fn proxy(members: impl IntoIterator<Item = EndpointBuilder>) -> ReverseProxy {
    ReverseProxy::new(balancer(members))
}
