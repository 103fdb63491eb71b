//! Responses of the balancer itself, if no member gave one: [`ErrorPageService`], and the
//! adapter for bodies of another type ([`BoxResponseBody`]).

mod body;
mod box_body;
mod error_page;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

pub use body::ResponseBody;
pub use box_body::{BoxResponseBody, BoxResponseBodyFuture};
pub use error_page::ErrorPage;
pub(crate) use error_page::{Pages, PreferredFormat};

use crate::service::BalanceError;

/// A service that turns errors into responses. A response has the error's
/// [`status`](BalanceError::status), `Retry-After` if a delay is known, and one line of
/// text or, for clients that prefer it, JSON; see [`ErrorPage`]. The error is in the
/// extensions of the response, as `Arc<BalanceError>`, for your log; it is not sent to the
/// client.
///
/// [`BalanceService::into_infallible`](crate::service::BalanceService::into_infallible)
/// creates it.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use equipoise::Balancer;
/// use equipoise::service::BalanceLayer;
/// use http::Uri;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower_layer::Layer;
///
/// let balancer = Balancer::new([("a", Uri::from_static("http://10.0.0.1:8080"))])?;
/// let client = Client::builder(TokioExecutor::new()).build_http();
/// let backends = BalanceLayer::new(balancer).layer(client).into_infallible();
/// let app: Router = Router::new()
///     .route("/health", get(async || "fine"))
///     .fallback_service(backends);
/// # let _ = app;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
pub struct ErrorPageService<S> {
    inner: S,
    pages: Option<Pages>,
    /// The error of the inner service, which is not called any more.
    broken: Option<BalanceError>,
}

impl<S> ErrorPageService<S> {
    pub(in crate::service) fn new(inner: S) -> Self {
        Self {
            inner,
            pages: None,
            broken: None,
        }
    }

    /// Creates error responses with a function. The status always remains that of the
    /// error.
    #[must_use]
    pub fn error_page(
        mut self,
        page: impl Fn(&ErrorPage<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.pages = Some(Pages::new(page));
        self
    }

    /// Converts the bodies of responses to another type, such as axum's `Body`.
    pub fn box_response_body<F>(self, boxed: F) -> BoxResponseBody<Self, F> {
        BoxResponseBody::new(self, boxed)
    }
}

impl<S, R, B> Service<Request<R>> for ErrorPageService<S>
where
    S: Service<Request<R>, Response = Response<B>, Error = BalanceError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = ErrorPageFuture<S::Future>;

    /// Waits for the inner service. If that has failed, this is ready, and responds to each
    /// request with the error.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match ready!(self.inner.poll_ready(context)) {
            Ok(()) => {}
            Err(error) => self.broken = Some(error),
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let wanted = PreferredFormat::by(request.method(), request.headers());
        let asked = match self.broken.take() {
            Some(error) => RequestedFormat::Broken { error: Some(error) },
            None => RequestedFormat::Inner {
                inner: self.inner.call(request),
            },
        };
        ErrorPageFuture {
            asked,
            wanted,
            pages: self.pages.clone(),
        }
    }
}

/// A clone polls the inner service itself.
impl<S: Clone> Clone for ErrorPageService<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            pages: self.pages.clone(),
            broken: None,
        }
    }
}

pin_project! {
    /// The future of one request through [`ErrorPageService`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct ErrorPageFuture<F> {
        #[pin]
        asked: RequestedFormat<F>,
        wanted: PreferredFormat,
        pages: Option<Pages>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = AskedProjected]
    enum RequestedFormat<F> {
        Inner { #[pin] inner: F },
        Broken { error: Option<BalanceError> },
    }
}

impl<F, B> Future for ErrorPageFuture<F>
where
    F: Future<Output = Result<Response<B>, BalanceError>>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.asked.project() {
            AskedProjected::Inner { inner } => ready!(inner.poll(context)),
            AskedProjected::Broken { error } => match error.take() {
                Some(error) => Err(error),
                None => panic!("a future was polled after it had completed"),
            },
        };
        Poll::Ready(Ok(match result {
            Ok(response) => response.map(ResponseBody::inner),
            Err(error) => ErrorPage::answer_of(error, *this.wanted, this.pages.as_ref()),
        }))
    }
}
