//! The future of a routed request: [`RouterFuture`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::service::ResponseBody;

pin_project! {
    /// The response future of [`Router`](super::Router), for a request of type `R`.
    ///
    /// # Panics
    ///
    /// If it is polled again after it was ready.
    ///
    /// # Examples
    ///
    /// A service of your own can name it:
    ///
    /// ```
    /// use equipoise::proxy::{Router, RouterFuture};
    /// use http::{Request, Response};
    /// use tower_service::Service;
    ///
    /// fn call<S>(router: &mut Router<S>, request: Request<()>) -> RouterFuture<S, Request<()>>
    /// where
    ///     S: Service<Request<()>, Response = Response<String>> + Clone,
    /// {
    ///     router.call(request)
    /// }
    /// # let _ = call::<tower::util::BoxCloneSyncService<_, _, std::convert::Infallible>>;
    /// ```
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct RouterFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: RoutedCall<S, R, S::Future>,
    }
}

pin_project! {
    #[project = RoutedCallProjected]
    enum RoutedCall<S, R, F> {
        // `None` once it has been returned.
        Responded { response: Option<Response<Bytes>> },
        // Not ready yet. The request is `None` once the service has it.
        Chosen { service: S, request: Option<R> },
        Called { #[pin] future: F },
    }
}

impl<S, R> RouterFuture<S, R>
where
    S: Service<R>,
{
    pub(super) fn responded(response: Response<Bytes>) -> Self {
        let response = Some(response);
        let state = RoutedCall::Responded { response };
        Self { state }
    }

    pub(super) fn chosen(service: S, request: R) -> Self {
        let request = Some(request);
        let state = RoutedCall::Chosen { service, request };
        Self { state }
    }
}

impl<S, R, B> Future for RouterFuture<S, R>
where
    S: Service<R, Response = Response<B>>,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "a router's future was polled after it was ready";
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                RoutedCallProjected::Responded { response } => match response.take() {
                    Some(response) => return Poll::Ready(Ok(response.map(ResponseBody::text))),
                    None => panic!("{AGAIN}"),
                },
                RoutedCallProjected::Called { future } => {
                    let response = ready!(future.poll(context));
                    return Poll::Ready(response.map(|response| response.map(ResponseBody::inner)));
                }
                RoutedCallProjected::Chosen { service, request } => {
                    // A service whose `poll_ready` failed is not polled again.
                    let Some(asked) = request.take() else {
                        panic!("{AGAIN}");
                    };
                    match service.poll_ready(context) {
                        Poll::Pending => {
                            *request = Some(asked);
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) => service.call(asked),
                    }
                }
            };
            state.set(RoutedCall::Called { future });
        }
    }
}

impl<S, R> fmt::Debug for RouterFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            RoutedCall::Responded { .. } => "responded",
            RoutedCall::Called { .. } => "called",
            RoutedCall::Chosen { .. } => "chosen",
        };
        f.debug_struct("RouterFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
