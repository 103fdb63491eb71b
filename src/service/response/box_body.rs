//! Responses with bodies of another type: [`BoxResponseBody`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

/// A service that converts the bodies of its responses with a function.
///
/// # Examples
///
/// ```
/// use axum::body::Body;
/// use equipoise::Balancer;
/// use equipoise::service::BalanceLayer;
/// use http::{Request, Response, Uri};
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use std::convert::Infallible;
/// use tower::util::BoxCloneSyncService;
/// use tower_layer::Layer;
///
/// let balancer = Balancer::new([("a", Uri::from_static("http://10.0.0.1:8080"))])?;
/// let client = Client::builder(TokioExecutor::new()).build_http();
/// let backends = BalanceLayer::new(balancer)
///     .layer(client)
///     .into_infallible()
///     .box_response_body(Body::new);
/// // Now the type can be written down.
/// let backends: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> =
///     BoxCloneSyncService::new(backends);
/// # let _ = backends;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone)]
pub struct BoxResponseBody<S, F> {
    inner: S,
    boxed: F,
}

impl<S, F> BoxResponseBody<S, F> {
    pub(in crate::service) fn new(inner: S, boxed: F) -> Self {
        Self { inner, boxed }
    }
}

impl<S, F, R, B, B2> Service<R> for BoxResponseBody<S, F>
where
    S: Service<R, Response = Response<B>>,
    F: Fn(B) -> B2 + Clone,
{
    type Response = Response<B2>;
    type Error = S::Error;
    type Future = BoxResponseBodyFuture<S::Future, F>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        BoxResponseBodyFuture {
            inner: self.inner.call(request),
            boxed: self.boxed.clone(),
        }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for BoxResponseBody<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxResponseBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of one request through [`BoxResponseBody`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct BoxResponseBodyFuture<F, M> {
        #[pin]
        inner: F,
        boxed: M,
    }
}

impl<F, M, B, B2, E> Future for BoxResponseBodyFuture<F, M>
where
    F: Future<Output = Result<Response<B>, E>>,
    M: Fn(B) -> B2,
{
    type Output = Result<Response<B2>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(context));
        Poll::Ready(result.map(|response| response.map(&*this.boxed)))
    }
}

impl<F: fmt::Debug, M> fmt::Debug for BoxResponseBodyFuture<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxResponseBodyFuture")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
