//! A server that runs on its own task, and can be stopped gracefully or at once. The proxy
//! is one, and each embedded backend.

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

/// How long requests in flight may take to end once a server stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that serves until it is told to stop.
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
        let server = equipoise::proxy::Server::new().drain_timeout(PATIENCE);
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

    /// Lets requests that have begun end, for as long as there is patience or until
    /// `hurry` resolves; `None` if that came first.
    pub(crate) async fn drain(self, hurry: impl Future<Output = ()>) -> Option<Stopped> {
        drop(self.stop);
        tokio::select! {
            stopped = self.serving => stopped.ok(),
            () = hurry => None,
        }
    }

    /// Cuts all off in the middle of whatever they do.
    pub(crate) async fn cut(self) {
        self.serving.abort();
        // It says that it was aborted.
        let _ = self.serving.await;
    }
}
