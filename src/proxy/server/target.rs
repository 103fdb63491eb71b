//! A server as the target of a connection router: [`Server::into_target`].
//!
//! Not here: how a connection is served (`connection`), which is the same.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::connection::ClientConnection;
use super::options::Options;
use super::{ClientBody, Server};
use crate::net::Arrived;
use crate::net::stream_target::{ServeArrived, Serving, StreamTarget};
use crate::service::BoxError;

impl Server {
    /// Creates a target for a [`StreamRouter`](crate::forward::StreamRouter): connections
    /// that are routed to it are served as by [`serve`](Self::serve), including TLS.
    ///
    /// The router limits the number of connections, and how long they may continue after
    /// the stop. If a client waits for a slot there, connections that are idle between two
    /// requests are closed. A PROXY header that the router has read is not read again.
    ///
    /// The service must be [`Sync`], as an axum `Router` or tower's `BoxCloneSyncService`
    /// is.
    ///
    /// # Examples
    ///
    /// Connections for one name are passed to a member; TLS for all other names is
    /// terminated here:
    ///
    /// ```no_run
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, NameRoutes, StreamRouter, StreamRule, StreamTarget};
    /// use equipoise::net::{Identity, Listener, ServerTls, shutdown_signal};
    /// use equipoise::proxy::Server;
    /// use http::Response;
    /// use std::convert::Infallible;
    ///
    /// # #[cfg(feature = "tls")]
    /// # async fn run(identity: Identity) -> Result<(), Box<dyn std::error::Error>> {
    /// let hello = tower::service_fn(async |_| {
    ///     Ok::<_, Infallible>(Response::new("hello\n".to_owned()))
    /// });
    /// let site = Server::new().tls(&ServerTls::new([identity])?).into_target(hello);
    /// let database = Balancer::new([("db", Address::host("db.internal", Some(5432)))])?;
    ///
    /// let names = NameRoutes::new().name("db.example.org", database.into())?.fallback(site);
    /// let router = StreamRouter::new().route_by_name(StreamRule::new(), names);
    /// router.serve(Listener::bind("[::]:443".parse()?)?, shutdown_signal()?).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_target<S, B>(self, service: S) -> StreamTarget
    where
        S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        StreamTarget::new(ServerTarget {
            options: Arc::new(self.options),
            service,
        })
    }
}

/// A server with the service that it runs.
struct ServerTarget<S> {
    options: Arc<Options>,
    service: S,
}

impl<S, B> ServeArrived for ServerTarget<S>
where
    S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn serve(self: Arc<Self>, arrived: Arrived) -> Serving {
        let connection = ClientConnection {
            arrived,
            service: self.service.clone(),
            options: self.options.clone(),
        };
        Box::pin(connection.serve())
    }
}

/// By hand, because most services are not `Debug`.
impl<S> fmt::Debug for ServerTarget<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTarget")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
