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
        state: RoutedCall<S, R, S::Future, S::Error>,
    }
}

pin_project! {
    #[project = RoutedCallProjected]
    enum RoutedCall<S, R, F, E> {
        // Boxed, because most requests are called at once. `None` once it has been taken.
        Responded { response: Option<Box<Response<Bytes>>> },
        Failed { error: Option<Box<E>> },
        // Not ready yet.
        Chosen { waiting: Option<Box<(S, R)>> },
        Called { #[pin] future: F },
    }
}

impl<S, R> RouterFuture<S, R>
where
    S: Service<R>,
{
    pub(super) fn responded(response: Response<Bytes>) -> Self {
        let response = Some(Box::new(response));
        let state = RoutedCall::Responded { response };
        Self { state }
    }

    pub(super) fn chosen(service: S, request: R) -> Self {
        let waiting = Some(Box::new((service, request)));
        let state = RoutedCall::Chosen { waiting };
        Self { state }
    }

    pub(super) fn failed(error: S::Error) -> Self {
        let error = Some(Box::new(error));
        let state = RoutedCall::Failed { error };
        Self { state }
    }

    pub(super) fn called(future: S::Future) -> Self {
        let state = RoutedCall::Called { future };
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
                    Some(response) => return Poll::Ready(Ok((*response).map(ResponseBody::text))),
                    None => panic!("{AGAIN}"),
                },
                RoutedCallProjected::Failed { error } => match error.take() {
                    Some(error) => return Poll::Ready(Err(*error)),
                    None => panic!("{AGAIN}"),
                },
                RoutedCallProjected::Called { future } => {
                    let response = ready!(future.poll(context));
                    return Poll::Ready(response.map(|response| response.map(ResponseBody::inner)));
                }
                RoutedCallProjected::Chosen { waiting } => {
                    // A service whose `poll_ready` failed is not polled again.
                    let Some(mut chosen) = waiting.take() else {
                        panic!("{AGAIN}");
                    };
                    match chosen.0.poll_ready(context) {
                        Poll::Pending => {
                            *waiting = Some(chosen);
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) => {
                            let (mut service, asked) = *chosen;
                            service.call(asked)
                        }
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
            RoutedCall::Failed { .. } => "failed",
            RoutedCall::Called { .. } => "called",
            RoutedCall::Chosen { .. } => "chosen",
        };
        f.debug_struct("RouterFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
