//! A server around a tower service: HTTP/1.1 and HTTP/2 on one port, which stops
//! gracefully or at once. The proxy is one, and each embedded backend.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use equipoise::proxy::ClientAddr;
use equipoise::service::BoxError;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower::{Service, ServiceExt};

/// A server that accepts connections until it is told to stop, or dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<Connections>,
}

impl Server {
    pub(crate) fn start<S, B>(listener: TcpListener, service: S) -> io::Result<Self>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // With a timer, a client has 30 s to send the head of a request.
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new());
        let serve = move |stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown| {
            // The edge tells backends who asks.
            let service = service.clone().map_request(move |mut request: Request<_>| {
                request.extensions_mut().insert(ClientAddr(peer));
                request
            });
            let service = TowerToHyperService::new(service);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection.into_owned());
            async {
                // Clients go away in the middle of things all the time.
                let _ = connection.await;
            }
        };
        Ok(Self {
            address,
            stop,
            accepting: tokio::spawn(accept(listener, serve, stopped)),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener; connections go on.
    pub(crate) async fn stop_accepting(self) -> Connections {
        drop(self.stop);
        // There is nothing in its task that panics.
        self.accepting.await.unwrap_or_default()
    }
}

/// Connections of a server that accepts no more; dropped, they are all cut off.
#[derive(Default)]
pub(crate) struct Connections {
    graceful: GracefulShutdown,
    tasks: JoinSet<()>,
}

impl Connections {
    /// Lets requests that have begun end, and takes no other; cuts off what still goes
    /// on after `patience`, or as soon as `hurry` is there. Returns how many it cut.
    pub(crate) async fn drain(self, patience: Duration, hurry: impl Future<Output = ()>) -> usize {
        let Self {
            graceful,
            mut tasks,
        } = self;
        let all_end = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            _ = async { tokio::join!(graceful.shutdown(), all_end) } => {}
            () = tokio::time::sleep(patience) => {}
            () = hurry => {}
        }
        let cut = tasks.len();
        tasks.shutdown().await;
        cut
    }

    /// Cuts all off in the middle of whatever they do.
    pub(crate) async fn cut(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept<F, T>(
    listener: TcpListener,
    serve: F,
    mut stopped: oneshot::Receiver<()>,
) -> Connections
where
    F: Fn(TcpStream, SocketAddr, &GracefulShutdown) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut connections = Connections::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Only a matter of speed.
                    let _ = stream.set_nodelay(true);
                    connections.tasks.spawn(serve(stream, peer, &connections.graceful));
                }
                // Too many open files, say: it passes, but not by asking without a pause.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            // Whoever has ended is forgotten.
            Some(_) = connections.tasks.join_next() => {}
            _ = &mut stopped => return connections,
        }
    }
}
