//! A server in a task of its own that can be stopped gracefully or at once. The proxy and
//! each embedded backend use it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use equipoise::net::{Listener, Stopped};
use equipoise::proxy::ClientBody;
use equipoise::service::BoxError;
use http::{Request, Response};
use http_body::Body;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::Service;

/// The time that requests in flight have to end once a server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that runs until it is stopped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Stopped>,
}

impl Server {
    pub(crate) fn start<S, B>(listener: Listener, service: S) -> Result<Self, BoxError>
    where
        S: Service<Request<ClientBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let address = listener.local_addr().ok_or("it listens on TCP")?;
        let (stop, stopped) = oneshot::channel();
        let server = equipoise::proxy::Server::new().drain_timeout(DRAIN_TIMEOUT);
        let serving = tokio::spawn(server.serve(listener, service, async {
            let _ = stopped.await;
        }));
        Ok(Self {
            address,
            stop,
            serving,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for requests in flight until they end, until the time limit, or until `hurry`
    /// resolves; `None` if `hurry` came first.
    pub(crate) async fn drain(self, hurry: impl Future<Output = ()>) -> Option<Stopped> {
        drop(self.stop);
        tokio::select! {
            stopped = self.serving => stopped.ok(),
            () = hurry => None,
        }
    }

    /// Closes all connections, including active ones.
    pub(crate) async fn cut(self) {
        self.serving.abort();
        // The task ends as cancelled.
        let _ = self.serving.await;
    }
}
