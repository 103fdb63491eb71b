//! A client that is bound to one target: [`Aimed`], for members that are services.

use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use super::Target;

/// A client that sends whatever it gets to one [`Target`]: a member with a connection
/// pool, limits or middleware of its own, for
/// [`BalanceService::over`](crate::service::BalanceService::over).
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::{Aimed, BalanceService};
/// use http::Uri;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower::limit::ConcurrencyLimit;
///
/// let member = |uri| {
///     let client = Client::builder(TokioExecutor::new()).build_http();
///     Aimed::new(Uri::from_static(uri), ConcurrencyLimit::new(client, 100))
/// };
/// let balancer = Balancer::new([
///     ("a", member("http://10.0.0.1:8080")),
///     ("b", member("http://10.0.0.2:8080")),
/// ])?;
/// let service = BalanceService::over(balancer);
/// # fn hold<S: tower_service::Service<http::Request<axum::body::Body>>>(_: S) {}
/// # hold(service);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Aimed<T, S> {
    target: T,
    inner: S,
}

impl<T, S> Aimed<T, S> {
    /// Binds a client to a target.
    ///
    /// # Examples
    ///
    /// See [`Aimed`].
    pub const fn new(target: T, inner: S) -> Self {
        Self { target, inner }
    }
}

impl<T, S, B> Service<Request<B>> for Aimed<T, S>
where
    T: Target,
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut head, body) = request.into_parts();
        self.target.aim(&mut head);
        self.inner.call(Request::from_parts(head, body))
    }
}
