//! A client that is bound to one target: [`WithTarget`], for members that are services.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{RequestError, Target};
use crate::service::BoxError;

/// A client that sends all its requests to one [`Target`]: a member with a connection pool,
/// limits or middleware of its own, for
/// [`BalanceService::over`](crate::service::BalanceService::over).
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::{WithTarget, BalanceService};
/// use http::Uri;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower::limit::ConcurrencyLimit;
///
/// let member = |uri| {
///     let client = Client::builder(TokioExecutor::new()).build_http();
///     WithTarget::new(Uri::from_static(uri), ConcurrencyLimit::new(client, 100))
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
pub struct WithTarget<T, S> {
    target: T,
    inner: S,
}

impl<T, S> WithTarget<T, S> {
    /// Binds a client to a target.
    pub const fn new(target: T, inner: S) -> Self {
        Self { target, inner }
    }
}

impl<T, S, B> Service<Request<B>> for WithTarget<T, S>
where
    T: Target,
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = WithTargetFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let aimed = match self.target.rewrite(&mut head) {
            Ok(()) => TargetState::Sent {
                inner: self.inner.call(Request::from_parts(head, body)),
            },
            Err(error) => TargetState::Refused { error: Some(error) },
        };
        WithTargetFuture { aimed }
    }
}

pin_project! {
    /// The future of one request through [`WithTarget`]; it fails with a [`RequestError`]
    /// if the target cannot take the request.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WithTargetFuture<F> {
        #[pin]
        aimed: TargetState<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = CourseProjected]
    enum TargetState<F> {
        Refused { error: Option<RequestError> },
        Sent { #[pin] inner: F },
    }
}

impl<F, R, E> Future for WithTargetFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().aimed.project() {
            CourseProjected::Sent { inner } => inner.poll(context).map_err(Into::into),
            CourseProjected::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                None => panic!("a future was polled after it had completed"),
            },
        }
    }
}
