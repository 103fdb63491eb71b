//! The response body that holds its member's lease until the last byte: [`LeasedBody`]; and
//! [`UpgradeLease`] for upgraded connections.
//!
//! | how it ends | outcome |
//! |---|---|
//! | the end of the stream, trailers, the last byte of a known length | as the status of the response was classified |
//! | an error | failure; cancelled if the client broke off its own body |
//! | it is dropped before its end | cancelled |

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::balancer::{Guard, Upload};
use crate::member::{Cause, Outcome};
use crate::sync::Mutex;

pin_project! {
    /// A response body that keeps the request in flight at its member.
    ///
    /// It counts the bytes, and ends the lease as soon as no more data can follow, even if
    /// a server that knows the length never polls for the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceService;
    /// use http::{Request, Response};
    /// use http_body_util::{BodyExt, Empty, Full};
    /// use tower::ServiceExt;
    ///
    /// let member = tower::service_fn(|_| async {
    ///     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("hello"))))
    /// });
    /// let balancer = Balancer::new([("a", member)])?;
    /// let service = BalanceService::over(balancer.clone());
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let response = service.oneshot(Request::new(Empty::<Bytes>::new())).await.unwrap();
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 1);
    ///
    /// let body = response.into_body().collect().await.unwrap();
    /// assert_eq!(body.to_bytes(), "hello");
    /// let member = balancer.member("a").unwrap();
    /// assert_eq!((member.in_flight(), member.bytes_received()), (0, 5));
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a body that is dropped at once ends the request as cancelled"]
    pub struct LeasedBody<B> {
        #[pin]
        inner: B,
        // `None` if the request has ended, or if an upgrade holds the guard.
        guard: Option<Guard>,
        // Bytes that are still to come, if the length is known.
        remaining: Option<u64>,
        // The outcome if the body ends without an error.
        outcome: Outcome,
        // The status of the response: the cause if the outcome is a failure.
        status: u16,
        // The inner body has ended and is not polled again.
        done: bool,
    }
}

impl<B> LeasedBody<B>
where
    B: Body,
{
    /// `outcome` is the outcome, by the status, if the body ends without an error. `over`
    /// means that no data can follow, whatever the body contains.
    pub(in crate::service) fn new(
        inner: B,
        guard: Option<Guard>,
        (outcome, status): (Outcome, u16),
        over: bool,
    ) -> Self {
        let remaining = inner.size_hint().exact();
        let over = over || inner.is_end_stream() || remaining == Some(0);
        let guard = match guard {
            Some(guard) if over => {
                end(guard, (outcome, status));
                None
            }
            guard => guard,
        };
        Self {
            inner,
            guard,
            remaining,
            outcome,
            status,
            done: false,
        }
    }
}

/// How a body ended.
enum BodyEnd {
    BrokenOff,
    /// The client broke off its own body.
    Cancelled,
    /// The body is complete: the status decides.
    Judged,
}

/// Ends a request whose response is complete.
fn end(guard: Guard, (outcome, status): (Outcome, u16)) {
    match outcome {
        Outcome::Failure => guard.fail(Cause::Status(status)),
        _ => guard.finish(outcome),
    }
}

impl<B> Body for LeasedBody<B>
where
    B: Body,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(this.inner.as_mut().poll_frame(context));
        let ended = match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let length = data.remaining() as u64;
                    if let Some(guard) = this.guard {
                        guard.record_received(length);
                    }
                    let remaining = this.remaining.map(|left| left.saturating_sub(length));
                    *this.remaining = remaining;
                }
                // A consumer that knows the length never polls for the final `None`.
                let last =
                    frame.is_trailers() || *this.remaining == Some(0) || this.inner.is_end_stream();
                last.then_some(BodyEnd::Judged)
            }
            Some(Err(_)) => {
                *this.done = true;
                let guard = this.guard.as_ref();
                // A response also breaks off if the client breaks off its request.
                let client = guard.is_some_and(|guard| matches!(guard.upload(), Upload::Failed(_)));
                Some(if client {
                    BodyEnd::Cancelled
                } else {
                    BodyEnd::BrokenOff
                })
            }
            None => {
                *this.done = true;
                Some(BodyEnd::Judged)
            }
        };
        if let Some(ended) = ended {
            if let Some(guard) = this.guard.take() {
                match ended {
                    BodyEnd::BrokenOff => guard.fail(Cause::BrokenBody),
                    BodyEnd::Cancelled => guard.finish(Outcome::Cancelled),
                    BodyEnd::Judged => end(guard, (*this.outcome, *this.status)),
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.done {
            SizeHint::with_exact(0)
        } else {
            self.inner.size_hint()
        }
    }
}

impl<B> fmt::Debug for LeasedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedBody")
            .field("guard", &self.guard)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

/// The lease of an upgraded connection, in the extensions of the response: the code that
/// runs the tunnel takes it. Clones share the lease.
///
/// If it is not taken, the request ends as a success when the response is dropped.
///
/// # Examples
///
/// ```
/// use equipoise::Guard;
/// use equipoise::service::UpgradeLease;
///
/// /// Call it with the response, before the tunnel is set up, and keep the guard for as
/// /// long as bytes go to and fro.
/// fn guard_of<B>(response: &http::Response<B>) -> Option<Guard> {
///     response.extensions().get::<UpgradeLease>()?.take()
/// }
/// # assert!(guard_of(&http::Response::new(())).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct UpgradeLease {
    shared: Arc<TunnelLease>,
}

#[derive(Debug)]
struct TunnelLease(Mutex<Option<Guard>>);

impl UpgradeLease {
    pub(in crate::service) fn new(guard: Guard) -> Self {
        Self {
            shared: Arc::new(TunnelLease(Mutex::new(Some(guard)))),
        }
    }

    /// Takes the lease, if it is still there. The request is in flight while the guard is
    /// alive.
    #[must_use = "a guard that is dropped at once counts nothing"]
    pub fn take(&self) -> Option<Guard> {
        self.shared.0.lock().take()
    }
}

impl Drop for TunnelLease {
    fn drop(&mut self) {
        let guard = self.0.lock().take();
        if let Some(guard) = guard {
            guard.finish(Outcome::Success);
        }
    }
}
