//! The layer and the service that count requests: [`InFlightLayer`], [`InFlightService`].

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::body::InFlightBody;
use super::counter::InFlight;
use super::future::InFlightFuture;

/// Counts the requests of a server, from the call to the last byte of the response, or
/// until its future or body is dropped. Put it outside all other layers.
///
/// The last byte is the last that the server has taken from the body. A body of one piece
/// is taken at once: it no longer counts while hyper sends it to a slow client; a stream
/// does.
///
/// An upgraded connection counts until its response head is sent; use [`InFlight::begin`]
/// for what follows.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{InFlight, InFlightLayer};
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let in_flight = InFlight::new();
/// let service = ServiceBuilder::new()
///     .layer(InFlightLayer::new(&in_flight))
///     .service(service_fn(|_: Request<()>| async {
///         Ok::<_, std::io::Error>(Response::new(Full::new(bytes::Bytes::from("hello"))))
///     }));
/// let response = service.oneshot(Request::new(())).await?;
/// assert_eq!(in_flight.count(), 1);
/// response.into_body().collect().await?;
/// assert_eq!(in_flight.count(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct InFlightLayer {
    in_flight: InFlight,
}

impl InFlightLayer {
    /// Creates a layer that uses the counter `in_flight`.
    #[must_use]
    pub fn new(in_flight: &InFlight) -> Self {
        Self {
            in_flight: in_flight.clone(),
        }
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlightService<S>;

    fn layer(&self, inner: S) -> InFlightService<S> {
        InFlightService {
            inner,
            in_flight: self.in_flight.clone(),
        }
    }
}

/// A service whose requests are counted; created by [`InFlightLayer`].
#[derive(Clone, Debug)]
pub struct InFlightService<S> {
    inner: S,
    in_flight: InFlight,
}

impl<S, R, B> Service<Request<R>> for InFlightService<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: http_body::Body,
{
    type Response = Response<InFlightBody<B>>;
    type Error = S::Error;
    type Future = InFlightFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let guard = self.in_flight.begin();
        InFlightFuture::new(self.inner.call(request), guard)
    }
}
