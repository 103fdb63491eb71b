//! Runs a server until it stops: [`Server::serve`].
//!
//! Not here: the accept loop and the shutdown themselves (`net`).

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::connection::ClientConnection;
use super::{ClientBody, Server};
use crate::net::{Accepting, Arrived, Listener, Stopped, default_connections};
use crate::service::BoxError;

impl Server {
    /// Serves connections until `stop` resolves. It then accepts what waits in the system's
    /// queue, closes the listener, lets running requests end, and cuts off those that still
    /// run after the [`drain_timeout`](Self::drain_timeout).
    ///
    /// A client over HTTP/1 does not know yet that the server stops. For one second, or a
    /// quarter of the `drain_timeout` if that is less, a connection without a request may
    /// send one more, whose response contains `Connection: close`. Over HTTP/2, the end is
    /// announced (`GOAWAY`).
    ///
    /// This serves one listener. For several, call it on clones and join the futures.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cuts off all of its connections at once.
    ///
    /// # Panics
    ///
    /// If it runs outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn serve<S, B>(
        self,
        listener: Listener,
        service: S,
        stop: impl Future<Output = ()>,
    ) -> Stopped
    where
        S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let accepting = Accepting {
            most: self
                .options
                .max_connections
                .unwrap_or_else(default_connections),
            drain: self.options.drain,
        };
        let options = Arc::new(self.options);
        // It owns its clones, so that a service need not be `Sync`.
        let serve = move |arrived: Arrived| {
            let connection = ClientConnection {
                arrived,
                service: service.clone(),
                options: options.clone(),
            };
            connection.serve()
        };
        accepting.serve(listener, serve, stop).await
    }
}
