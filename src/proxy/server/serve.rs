//! The life of a server: it accepts, serves, and stops. [`Server::serve`].
//!
//! What does not live here: accepting and stopping themselves (`net`).

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
    /// Serves connections until `stop` resolves; then it takes what waits in the system's
    /// queue, closes the listener, lets requests that have begun end, and cuts what still
    /// goes on after the [`drain_timeout`](Self::drain_timeout).
    ///
    /// A client over HTTP/1 cannot know yet that the server stops. For one second, or a quarter
    /// of the `drain_timeout` if that is less, a connection without a request may send one more,
    /// which is answered with `ClientConnection: close`. Over HTTP/2, the end is announced (`GOAWAY`).
    ///
    /// It serves one listener; for several, join it with clones.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cuts all of its connections at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
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
        // It owns what it clones, so that a service need not be `Sync`.
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
