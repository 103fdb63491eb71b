//! The balanced HTTP service: [`BalanceService`] and its future.
//!
//! Not here: how it is created (`layer`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::attempt::{HttpExchange, HttpSettings, HttpShared, RequestAttempts};
use super::{
    BalanceError, BoxError, BoxResponseBody, Counted, Dispatch, ErrorPageService, LeasedBody,
    PerMember, RequestBody,
};
use crate::balancer::Balancer;

/// A tower service that sends each request to a member that the balancer picks, and to
/// another member if that one fails (see [`Failover`](super::Failover)).
///
/// The member is picked in `call`. The request is in flight from then until the last byte
/// of the response, or until the future or the response body is dropped. Clones share
/// everything and may be called from any number of tasks: there is no queue and no
/// background task.
///
/// Responses carry [`ServedBy`](super::ServedBy) in their extensions, and
/// [`UpgradeLease`](super::UpgradeLease) if the connection is upgraded. Hop-by-hop headers
/// are not changed. `CONNECT` is passed on like any other method: reject it if you do not
/// support tunnels.
///
/// # Cancel safety
///
/// Dropping the future cancels the attempt and ends its lease. The member may already have
/// processed the request.
pub struct BalanceService<W, D = PerMember, P = Counted> {
    shared: Arc<HttpShared<W>>,
    dispatch: D,
    bodies: P,
}

impl<W, D, P> BalanceService<W, D, P> {
    pub(super) fn new(
        balancer: Balancer<W>,
        settings: HttpSettings,
        dispatch: D,
        bodies: P,
    ) -> Self {
        Self {
            shared: Arc::new(HttpShared { balancer, settings }),
            dispatch,
            bodies,
        }
    }

    /// Returns the balancer, to change its members while the service runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag};
    /// use equipoise::service::BalanceService;
    ///
    /// let service = BalanceService::over(Balancer::new([("a", 1)])?);
    /// service.balancer().set_flag("a", Flag::Draining)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn balancer(&self) -> &Balancer<W> {
        &self.shared.balancer
    }

    /// Turns errors into responses, so that the service never fails, as an axum router
    /// requires.
    pub fn into_infallible(self) -> ErrorPageService<Self> {
        ErrorPageService::new(self)
    }

    /// Converts the bodies of responses to another type, such as axum's `Body`.
    pub fn box_response_body<F>(self, boxed: F) -> BoxResponseBody<Self, F> {
        BoxResponseBody::new(self, boxed)
    }
}

impl<W, D, P> BalanceService<W, D, P> {
    /// Returns whether functions read the extensions of requests.
    #[cfg(feature = "proxy")]
    pub(crate) fn reads_extensions(&self) -> bool {
        self.shared.settings.affinity.reads_extensions()
    }

    /// Sends a request with what [`Dispatch::hold`] returned. If it `announces` its member,
    /// the response has a [`ServedBy`](super::ServedBy) in its extensions.
    #[inline]
    pub(crate) fn send<B, RB, E>(
        &self,
        request: Request<B>,
        held: D::Held,
        announces: bool,
    ) -> BalanceFuture<W, D, P, B>
    where
        P: RequestBody<B>,
        D: Dispatch<W, Request<P::Body>>,
        D::Service: Service<Request<P::Body>, Response = Response<RB>, Error = E>,
        RB: Body,
        E: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let common = &self.shared.settings.common;
        let again = common.failover.max_attempts > 1 || common.reconnects;
        let kept = self.bodies.keep(body, again);
        let exchange = HttpExchange::new(self.shared.clone(), head, kept, announces);
        BalanceFuture {
            attempts: RequestAttempts::start(exchange, held),
        }
    }
}

impl<W, D, P, B, RB, E> Service<Request<B>> for BalanceService<W, D, P>
where
    P: RequestBody<B>,
    D: Dispatch<W, Request<P::Body>>,
    D::Service: Service<Request<P::Body>, Response = Response<RB>, Error = E>,
    RB: Body,
    E: Into<BoxError>,
{
    type Response = Response<LeasedBody<RB>>;
    type Error = BalanceError;
    type Future = BalanceFuture<W, D, P, B>;

    /// Waits until the inner service that all members share is ready. Members that are
    /// services are made ready after they are picked. Fails only if the shared service
    /// fails.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BalanceError>> {
        self.dispatch
            .poll_ready(context)
            .map_err(|error| BalanceError::NotReady {
                source: error.into(),
            })
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let held = self.dispatch.hold();
        self.send(request, held, true)
    }
}

impl<W, D: Clone, P: Clone> Clone for BalanceService<W, D, P> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            dispatch: self.dispatch.clone(),
            bodies: self.bodies.clone(),
        }
    }
}

impl<W, D, P: fmt::Debug> fmt::Debug for BalanceService<W, D, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceService")
            .field("balancer", &self.shared.balancer)
            .field("settings", &self.shared.settings)
            .field("bodies", &self.bodies)
            .finish_non_exhaustive()
    }
}

/// The attempts of an HTTP request.
type HttpAttempts<W, D, P, B> = RequestAttempts<
    W,
    HttpExchange<W, D, <P as RequestBody<B>>::Kept>,
    <D as Dispatch<W, Request<<P as RequestBody<B>>::Body>>>::Service,
    <<D as Dispatch<W, Request<<P as RequestBody<B>>::Body>>>::Service as Service<
        Request<<P as RequestBody<B>>::Body>,
    >>::Future,
    <D as Dispatch<W, Request<<P as RequestBody<B>>::Body>>>::Held,
>;

pin_project! {
    /// The future of one request through a [`BalanceService`].
    ///
    /// # Panics
    ///
    /// If it is polled again after it has completed.
    ///
    /// # Examples
    ///
    /// A service of your own can name it:
    ///
    /// ```
    /// use equipoise::service::{BalanceFuture, BalanceService, Counted, PerMember};
    /// use http::Request;
    /// use tower_service::Service;
    ///
    /// fn call<W, R>(
    ///     service: &mut BalanceService<W>,
    ///     request: Request<String>,
    /// ) -> BalanceFuture<W, PerMember, Counted, String>
    /// where
    ///     W: Service<Request<equipoise::service::CountedBody<String>>, Response = http::Response<R>>
    ///         + Clone,
    ///     W::Error: Into<equipoise::service::BoxError>,
    ///     R: http_body::Body,
    /// {
    ///     service.call(request)
    /// }
    /// # let _ = call::<tower::util::BoxCloneService<_, http::Response<String>, std::convert::Infallible>, String>;
    /// ```
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct BalanceFuture<W, D, P, B>
    where
        P: RequestBody<B>,
        D: Dispatch<W, Request<P::Body>>,
    {
        #[pin]
        attempts: HttpAttempts<W, D, P, B>,
    }
}

impl<W, D, P, B, RB, E> Future for BalanceFuture<W, D, P, B>
where
    P: RequestBody<B>,
    D: Dispatch<W, Request<P::Body>>,
    D::Service: Service<Request<P::Body>, Response = Response<RB>, Error = E>,
    RB: Body,
    E: Into<BoxError>,
{
    type Output = Result<Response<LeasedBody<RB>>, BalanceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().attempts.poll_response(context)
    }
}

impl<W, D, P, B> fmt::Debug for BalanceFuture<W, D, P, B>
where
    P: RequestBody<B>,
    D: Dispatch<W, Request<P::Body>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceFuture")
            .field("attempts", &self.attempts)
            .finish()
    }
}
