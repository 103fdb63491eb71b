//! The client's address behind any server: [`ClientAddrLayer`].
//!
//! Not here: the code that uses the address (`forwarding`, `router`).

use std::fmt;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::{Extensions, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::ClientAddr;

/// Adds the client's address behind a server that is not a [`Server`](super::Server).
///
/// A closure reads the address from the extensions that the server has set. The layer puts
/// it into the extensions of the request as a [`ClientAddr`]. Without it, members get no
/// `X-Forwarded-For`, no peer is trusted, and [`Rule::client_in`](super::Rule::client_in)
/// matches no request. A request in whose extensions the closure finds no address is passed
/// on unchanged.
///
/// # Examples
///
/// In axum, which must be served with `into_make_service_with_connect_info`:
///
/// ```no_run
/// use axum::{Router, extract::ConnectInfo};
/// use equipoise::Balancer;
/// use equipoise::proxy::{ClientAddrLayer, Endpoint, ReverseProxy};
/// use std::net::SocketAddr;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let balancer = Balancer::new([("a", Endpoint::new("http://10.0.0.1:8080".parse()?)?)])?;
/// let client = ClientAddrLayer::new(|extensions| {
///     let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
///     Some(peer.0)
/// });
/// let app: Router = Router::new()
///     .fallback_service(ReverseProxy::new(balancer))
///     .layer(client);
/// let listener = tokio::net::TcpListener::bind("[::]:8080").await?;
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientAddrLayer<F> {
    find: F,
}

impl<F> ClientAddrLayer<F>
where
    F: Fn(&Extensions) -> Option<SocketAddr>,
{
    /// Creates a layer that reads the address from the extensions of each request with
    /// `find`.
    pub fn new(find: F) -> Self {
        Self { find }
    }
}

impl<S, F: Clone> Layer<S> for ClientAddrLayer<F> {
    type Service = ClientAddrService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        let find = self.find.clone();
        ClientAddrService { find, inner }
    }
}

impl<F> fmt::Debug for ClientAddrLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddrLayer").finish_non_exhaustive()
    }
}

/// The service that [`ClientAddrLayer`] creates.
#[derive(Clone)]
pub struct ClientAddrService<S, F> {
    find: F,
    inner: S,
}

impl<S, F, B> Service<Request<B>> for ClientAddrService<S, F>
where
    S: Service<Request<B>>,
    F: Fn(&Extensions) -> Option<SocketAddr>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(peer) = (self.find)(request.extensions()) {
            request.extensions_mut().insert(ClientAddr(peer));
        }
        self.inner.call(request)
    }
}

impl<S: fmt::Debug, F> fmt::Debug for ClientAddrService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddrService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
