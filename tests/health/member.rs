//! Members that do on a socket what a test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use equipoise::health::{Probe, ProbeError, ProbeTarget};
use equipoise::net::{Acceptor, Connector, Listener};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::within;

/// A member on a socket; it is gone when this is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// The heads of the requests.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Served {
    /// Does `each` with each connection.
    pub(crate) async fn by<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::telling(move |stream, _| each(stream)).await
    }

    async fn telling<F>(
        each: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<AtomicU32>::default();
        let (told, counted) = (heads.clone(), connections.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(each(stream, told.clone()));
            }
        });
        Self {
            address,
            heads,
            connections,
            task,
        }
    }

    /// Answers each request with these bytes, and closes the connection.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::telling(move |mut stream, heads| {
            let bytes = bytes.clone();
            async move {
                if let Some(head) = head(&mut stream).await {
                    heads.lock().unwrap().push(head);
                    // The probe may have closed it already.
                    let _ = stream.write_all(&bytes).await;
                }
            }
        })
        .await
    }

    /// Answers each request with these bytes, any number on one connection.
    pub(crate) async fn keeping(bytes: &'static [u8]) -> Self {
        Self::telling(move |mut stream, heads| async move {
            while let Some(head) = head(&mut stream).await {
                heads.lock().unwrap().push(head);
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
            }
        })
        .await
    }

    pub(crate) fn target(&self) -> ProbeTarget {
        Connector::tcp(self.address).into()
    }

    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A member that speaks HTTP/2 without TLS; it is gone when this is dropped.
pub(crate) struct Served2 {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served2 {
    /// Answers each request so.
    pub(crate) fn by(
        answer: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let each = move |accepted: equipoise::net::Accepted| {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                std::future::ready(Ok::<_, Infallible>(answer(&request)))
            });
            let stream = TokioIo::new(accepted.into_stream());
            let http2 = http2::Builder::new(TokioExecutor::new());
            async move { drop(http2.serve_connection(stream, service).await) }
        };
        let forever = std::future::pending::<()>();
        let serving = Acceptor::new().serve(listener, each, forever);
        let task = tokio::spawn(async {
            let _ = serving.await;
        });
        Self { address, task }
    }
}

impl Drop for Served2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the head of a request; `None` at the end.
pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Probes once.
pub(crate) async fn probed(probe: &impl Probe, target: ProbeTarget) -> Result<(), ProbeError> {
    within(probe.probe(target)).await
}

/// Why a probe fails.
pub(crate) async fn failure(probe: &impl Probe, target: ProbeTarget) -> String {
    probed(probe, target).await.unwrap_err().cause().to_string()
}

/// An address at which nothing listens.
pub(crate) async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}
