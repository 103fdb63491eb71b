//! The server that is tested, on a task of its own, until it is told to stop.

use std::net::SocketAddr;

use bytes::Bytes;
use equipoise::net::{Listener, Stopped};
use equipoise::proxy::{ClientBody, Server};
use equipoise::service::BoxError;
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::Service;

/// A server that dies when it is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Stopped>,
}

impl Front {
    pub(crate) fn start<S, B>(server: Server, service: S) -> Self
    where
        S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError> + Send,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self::on(listener, server, service)
    }

    pub(crate) fn on<S, B>(listener: Listener, server: Server, service: S) -> Self
    where
        S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError> + Send,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = listener.local_addr().unwrap_or(nowhere);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.serve(listener, service, stopped).await
        });
        Self {
            address,
            stop: Some(stop),
            serving,
        }
    }

    pub(crate) fn begin_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops it, and waits for the end.
    pub(crate) async fn stop(mut self) -> Stopped {
        self.begin_to_stop();
        (&mut self.serving).await.unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
