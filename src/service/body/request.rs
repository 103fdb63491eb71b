//! How request bodies are kept for another attempt: [`RequestBody`], [`Counted`] and
//! [`PassThrough`].
//!
//! Not here: bodies that are buffered while they are sent (`replay`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::balancer::SentMeter;
use crate::service::{BoxError, RequestError, cause};
use crate::sync::Mutex;

/// The policy that passes request bodies to members.
///
/// | policy | members receive | another attempt gets the body |
/// |---|---|---|
/// | [`Counted`] | [`CountedBody`] | if it is empty, no attempt has begun to read it, or the member gave it back |
/// | [`PassThrough`] | the body itself | if it is empty |
/// | [`BufferUpTo`](crate::service::BufferUpTo) | [`ReplayBody`](crate::service::ReplayBody) | if everything that was read of it fits into the buffer |
///
/// # Examples
///
/// A policy of your own, for bodies that are cheap to clone:
///
/// ```
/// use equipoise::balancer::SentMeter;
/// use equipoise::service::{BalanceLayer, KeptBody, RequestBody};
/// use http_body_util::Full;
/// use bytes::Bytes;
///
/// #[derive(Clone, Copy, Debug)]
/// struct InMemory;
/// struct Kept(Full<Bytes>);
///
/// impl RequestBody<Full<Bytes>> for InMemory {
///     type Body = Full<Bytes>;
///     type Kept = Kept;
///
///     fn keep(&self, body: Full<Bytes>, _may_retry: bool) -> Kept {
///         Kept(body)
///     }
/// }
///
/// impl KeptBody for Kept {
///     type Body = Full<Bytes>;
///
///     fn is_available(&self) -> bool {
///         true
///     }
///
///     fn is_shareable(&self) -> bool {
///         true
///     }
///
///     fn next(&mut self, meter: impl FnOnce() -> SentMeter) -> Option<Full<Bytes>> {
///         use http_body::Body;
///         meter().record(self.0.size_hint().lower());
///         Some(self.0.clone())
///     }
/// }
/// # let balancer = equipoise::Balancer::<http::Uri>::builder().build()?;
/// let layer = BalanceLayer::new(balancer).request_body(InMemory);
/// # let _ = layer;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy for request bodies of type `{B}`",
    note = "use `Counted`, `PassThrough` or `BufferUpTo`, and bodies that implement `http_body::Body`"
)]
pub trait RequestBody<B>: Clone {
    /// The type of body that members receive.
    type Body;
    /// What is kept for another attempt.
    type Kept: KeptBody<Body = Self::Body>;

    /// Takes the body of a request. `may_retry` tells whether another attempt may send the
    /// request after some of the body was read.
    fn keep(&self, body: B, may_retry: bool) -> Self::Kept;
}

/// The body of one request, as long as another attempt is possible.
pub trait KeptBody {
    /// The type of body that members receive.
    type Body;

    /// Returns whether [`next`](Self::next) would return a body now.
    fn is_available(&self) -> bool;

    /// Returns whether two attempts may read the body at the same time.
    fn is_shareable(&self) -> bool;

    /// Returns the whole body for the next attempt, whose bytes the meter counts; `None` if
    /// it is not available any more. Creating the meter allocates.
    fn next(&mut self, meter: impl FnOnce() -> SentMeter) -> Option<Self::Body>;
}

/// Passes bodies on as they arrive, and counts their bytes; this is the default.
///
/// A body that no attempt has begun to read is passed to the next attempt, so any request
/// can be sent to another member after a refused connection. Nothing is buffered.
///
/// A member that speaks HTTP/2 may report that it did not process a request (RFC 9113, 8.7).
/// If the request came through `proxy::Server` to a `proxy::ReverseProxy`, its body is given
/// back, and another member gets it, unless more than 128 KiB of it were sent or it has
/// trailers. In other cases, only [`BufferUpTo`](crate::service::BufferUpTo) makes this
/// possible.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::{BalanceLayer, Counted};
///
/// let balancer = Balancer::<http::Uri>::builder().build()?;
/// let layer: BalanceLayer<http::Uri, Counted> = BalanceLayer::new(balancer);
/// # let _ = layer;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    _private: (),
}

impl<B> RequestBody<B> for Counted
where
    B: Body,
{
    type Body = CountedBody<B>;
    type Kept = KeptUntilRead<B>;

    fn keep(&self, body: B, _may_retry: bool) -> KeptUntilRead<B> {
        if body.is_end_stream() {
            return KeptUntilRead { unread: None };
        }
        let unread = UnreadContent {
            size: body.size_hint(),
            slot: Arc::new(Mutex::new(Some(body))),
            is_new: true,
        };
        KeptUntilRead {
            unread: Some(unread),
        }
    }
}

/// A body for the next attempt, as long as no attempt has begun to read it.
///
/// # Examples
///
/// ```
/// use equipoise::service::{Counted, KeptBody, RequestBody};
///
/// let kept = Counted::default().keep(http_body_util::Empty::<&[u8]>::new(), false);
/// assert!(kept.is_available() && kept.is_shareable(), "an empty one always");
/// ```
pub struct KeptUntilRead<B> {
    /// `None` if the body is empty.
    unread: Option<UnreadContent<B>>,
}

struct UnreadContent<B> {
    size: SizeHint,
    slot: BodySlot<B>,
    /// No attempt has received the slot.
    is_new: bool,
}

/// The first attempt that reads takes the body out.
type BodySlot<B> = Arc<Mutex<Option<B>>>;

impl<B> KeptBody for KeptUntilRead<B> {
    type Body = CountedBody<B>;

    fn is_available(&self) -> bool {
        let unread = self.unread.as_ref();
        unread.is_none_or(|unread| unread.slot.lock().is_some())
    }

    fn is_shareable(&self) -> bool {
        self.unread.is_none()
    }

    fn next(&mut self, meter: impl FnOnce() -> SentMeter) -> Option<CountedBody<B>> {
        let Some(unread) = &mut self.unread else {
            return Some(CountedBody {
                state: CountState::Empty,
                meter: None,
            });
        };
        if !std::mem::take(&mut unread.is_new) {
            let body = unread.slot.lock().take()?;
            // A new slot: the one that an earlier attempt still holds is empty.
            unread.slot = Arc::new(Mutex::new(Some(body)));
        }
        let state = CountState::Unread {
            size: unread.size,
            body: unread.slot.clone(),
        };
        Some(CountedBody {
            state,
            meter: Some(meter()),
        })
    }
}

impl<B> fmt::Debug for KeptUntilRead<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptUntilRead")
            .field("empty", &self.unread.is_none())
            .field("left", &self.is_available())
            .finish()
    }
}

/// Returns the status of the response to a request whose body failed with this error.
pub(super) fn status_of(error: &BoxError) -> u16 {
    let said = cause::<RequestError>(&**error).map(RequestError::status);
    said.unwrap_or(StatusCode::BAD_REQUEST).as_u16()
}

/// Records that a client has broken off its body, if the end of the body does not show
/// this.
pub(super) fn note_failed(meter: &SentMeter, status: StatusCode) {
    let failed = Poll::Ready(Some(Err::<(), StatusCode>(status)));
    meter.upload_polled(&failed, StatusCode::as_u16);
}

pin_project! {
    /// A request body whose bytes are counted as they are read; [`Counted`] creates it.
    ///
    /// # Examples
    ///
    /// For members that require another type of body, convert it:
    ///
    /// ```
    /// use equipoise::service::CountedBody;
    /// use http::Request;
    /// use tower::ServiceExt;
    ///
    /// # fn adapt(router: axum::Router) {
    /// let member = router.map_request(|request: Request<CountedBody<axum::body::Body>>| {
    ///     request.map(axum::body::Body::new)
    /// });
    /// # drop(member);
    /// # }
    /// ```
    pub struct CountedBody<B> {
        #[pin]
        state: CountState<B>,
        meter: Option<SentMeter>,
    }
}

pin_project! {
    #[project = StateProjected]
    enum CountState<B> {
        Empty,
        Unread { size: SizeHint, body: BodySlot<B> },
        Reading { #[pin] body: B, slot: BodySlot<B> },
        // Another attempt has the body.
        Superseded,
    }
}

impl<B> Body for CountedBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.project();
        if let StateProjected::Unread { body, .. } = this.state.as_mut().project() {
            let slot = body.clone();
            let taken = slot.lock().take();
            this.state.set(match taken {
                Some(body) => CountState::Reading { body, slot },
                None => CountState::Superseded,
            });
        }
        let body = match this.state.project() {
            StateProjected::Reading { body, .. } => body,
            StateProjected::Superseded => return Poll::Ready(Some(Err(Superseded.into()))),
            StateProjected::Empty | StateProjected::Unread { .. } => return Poll::Ready(None),
        };
        let frame = body.poll_frame(context).map_err(Into::into);
        if let Some(meter) = this.meter {
            meter.upload_polled(&frame, status_of);
            if let Poll::Ready(Some(Ok(frame))) = &frame {
                if let Some(data) = frame.data_ref() {
                    meter.record(data.remaining() as u64);
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            CountState::Empty => true,
            CountState::Reading { body, .. } => body.is_end_stream(),
            CountState::Unread { .. } | CountState::Superseded => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            CountState::Empty => SizeHint::with_exact(0),
            CountState::Reading { body, .. } => body.size_hint(),
            CountState::Unread { size, .. } => *size,
            CountState::Superseded => SizeHint::default(),
        }
    }
}

#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "endpoints find out, and read ahead")
)]
impl<B> CountedBody<B> {
    /// Records that the client has broken off its body; `status` is the status of the
    /// response to it.
    pub(crate) fn note_failed(&self, status: StatusCode) {
        if let Some(meter) = &self.meter {
            note_failed(meter, status);
        }
    }

    /// Looks at a body that no attempt has begun to read, which it remains. `None` if it is
    /// read already, or empty.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&mut B) -> T) -> Option<T> {
        let CountState::Unread { body: slot, .. } = &self.state else {
            return None;
        };
        // Not under the lock. The attempts of a request with a body follow one another, so
        // that none misses it meanwhile.
        let mut body = slot.lock().take()?;
        let found = at(&mut body);
        *slot.lock() = Some(body);
        Some(found)
    }

    /// Returns where the body can be put back after it was read; `None` if it is empty.
    pub(crate) fn origin(&self) -> Option<BodyOrigin<B>> {
        match &self.state {
            CountState::Unread { body: slot, .. } | CountState::Reading { slot, .. } => {
                Some(BodyOrigin(slot.clone()))
            }
            CountState::Empty | CountState::Superseded => None,
        }
    }

    /// Returns the body if it is being read.
    pub(crate) fn into_read(self) -> Option<B> {
        match self.state {
            CountState::Reading { body, .. } => Some(body),
            _ => None,
        }
    }
}

/// Where another attempt finds a request body.
#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "endpoints give bodies back")
)]
pub(crate) struct BodyOrigin<B>(BodySlot<B>);

#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "endpoints give bodies back")
)]
impl<B> BodyOrigin<B> {
    /// Puts the whole body back, for a member that has not processed what it received.
    pub(crate) fn put_back(self, body: B) {
        *self.0.lock() = Some(body);
    }
}

impl<B> fmt::Debug for BodyOrigin<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyOrigin").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for CountedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            CountState::Empty => "empty",
            CountState::Unread { .. } => "unread",
            CountState::Reading { .. } => "reading",
            CountState::Superseded => "superseded",
        };
        f.debug_struct("CountedBody")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

/// The error that an abandoned attempt reads from its body.
#[derive(Debug, thiserror::Error)]
#[error("another attempt has taken over the request body")]
pub(in crate::service) struct Superseded;

/// Passes bodies on unchanged, of the same type and without counting. Only an empty body
/// can be sent again.
///
/// For an inner service that requires a certain type of body; see [`CountedBody`] for an
/// alternative.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::{BalanceLayer, PassThrough};
///
/// let balancer = Balancer::<http::Uri>::builder().build()?;
/// let layer = BalanceLayer::new(balancer).request_body(PassThrough::default());
/// # let _ = layer;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough {
    _private: (),
}

impl<B> RequestBody<B> for PassThrough
where
    B: Body + Default,
{
    type Body = B;
    type Kept = KeptIfEmpty<B>;

    fn keep(&self, body: B, _may_retry: bool) -> KeptIfEmpty<B> {
        KeptIfEmpty {
            empty: body.is_end_stream(),
            body: Some(body),
        }
    }
}

/// A body for the next attempt, if it is empty.
///
/// # Examples
///
/// ```
/// use equipoise::service::{KeptBody, PassThrough, RequestBody};
///
/// let kept = PassThrough::default().keep(http_body_util::Empty::<&[u8]>::new(), false);
/// assert!(kept.is_shareable());
/// ```
#[derive(Debug)]
pub struct KeptIfEmpty<B> {
    empty: bool,
    body: Option<B>,
}

impl<B> KeptBody for KeptIfEmpty<B>
where
    B: Default,
{
    type Body = B;

    fn is_available(&self) -> bool {
        self.empty || self.body.is_some()
    }

    fn is_shareable(&self) -> bool {
        self.empty
    }

    fn next(&mut self, _: impl FnOnce() -> SentMeter) -> Option<B> {
        match self.body.take() {
            None if self.empty => Some(B::default()),
            body => body,
        }
    }
}
