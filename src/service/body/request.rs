//! What becomes of a request's body, so that another attempt may have it:
//! [`RequestBody`], [`Counted`] and [`PassThrough`].
//!
//! What does not live here: bodies that are kept while they are sent (`replay`).

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

/// How the bodies of requests are handed to members.
///
/// | policy | members receive | another attempt gets the body |
/// |---|---|---|
/// | [`Counted`] | [`CountedBody`] | if it is empty, or nobody has begun to read it |
/// | [`PassThrough`] | the body as it came | if it is empty |
/// | [`BufferUpTo`](crate::service::BufferUpTo) | [`ReplayBody`](crate::service::ReplayBody) | as long as what was read of it fits into the buffer |
///
/// # Examples
///
/// One of your own, for bodies that are cheap to clone:
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
///     fn keep(&self, body: Full<Bytes>, _repeatable: bool) -> Kept {
///         Kept(body)
///     }
/// }
///
/// impl KeptBody for Kept {
///     type Body = Full<Bytes>;
///
///     fn is_left(&self) -> bool {
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
pub trait RequestBody<B>: Clone {
    /// What members receive.
    type Body;
    /// What stays behind for another attempt.
    type Kept: KeptBody<Body = Self::Body>;

    /// Takes the body of a request into keeping; `repeatable` says whether the request
    /// may go to another member once some of it was read.
    fn keep(&self, body: B, repeatable: bool) -> Self::Kept;
}

/// The body of one request, while there may be another attempt.
pub trait KeptBody {
    /// What members receive.
    type Body;

    /// Returns whether [`next`](Self::next) would give a body now.
    fn is_left(&self) -> bool;

    /// Returns whether two attempts may read it at the same time.
    fn is_shareable(&self) -> bool;

    /// The whole body for the next attempt, its bytes counted by the meter; `None` if it
    /// is not to be had any more. Making the meter allocates.
    fn next(&mut self, meter: impl FnOnce() -> SentMeter) -> Option<Self::Body>;
}

/// Hands bodies on as they come, and counts their bytes; the default.
///
/// A body that nobody has begun to read goes to the next attempt whole, so that any
/// request can go on after a refused connection. Nothing is buffered.
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

    fn keep(&self, body: B, _repeatable: bool) -> KeptUntilRead<B> {
        if body.is_end_stream() {
            return KeptUntilRead { unread: None };
        }
        let size = body.size_hint();
        let unread = UnreadContent {
            size,
            body: BodyLocation::Here(body),
        };
        KeptUntilRead {
            unread: Some(unread),
        }
    }
}

/// A body that the next attempt gets if nobody has begun to read it.
///
/// # Examples
///
/// ```
/// use equipoise::service::{Counted, KeptBody, RequestBody};
///
/// let kept = Counted::default().keep(http_body_util::Empty::<&[u8]>::new(), false);
/// assert!(kept.is_left() && kept.is_shareable(), "an empty one always");
/// ```
pub struct KeptUntilRead<B> {
    /// `None` if it is empty.
    unread: Option<UnreadContent<B>>,
}

struct UnreadContent<B> {
    size: SizeHint,
    body: BodyLocation<B>,
}

/// Where the body is.
enum BodyLocation<B> {
    /// No attempt has had it.
    Here(B),
    /// In a slot, which is emptied by whoever reads first.
    There(BodySlot<B>),
    Gone,
}

type BodySlot<B> = Arc<Mutex<Option<B>>>;

impl<B> KeptBody for KeptUntilRead<B> {
    type Body = CountedBody<B>;

    fn is_left(&self) -> bool {
        match self.unread.as_ref().map(|unread| &unread.body) {
            None | Some(BodyLocation::Here(_)) => true,
            Some(BodyLocation::There(slot)) => slot.lock().is_some(),
            Some(BodyLocation::Gone) => false,
        }
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
        let body = match std::mem::replace(&mut unread.body, BodyLocation::Gone) {
            BodyLocation::Here(body) => body,
            BodyLocation::There(slot) => slot.lock().take()?,
            BodyLocation::Gone => return None,
        };
        // A slot of its own: what an earlier attempt still holds leads nowhere.
        let slot = Arc::new(Mutex::new(Some(body)));
        unread.body = BodyLocation::There(slot.clone());
        let state = CountState::Unread {
            size: unread.size,
            body: slot,
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
            .field("left", &self.is_left())
            .finish()
    }
}

/// With what status a request is answered whose body failed so.
pub(super) fn status_of(error: &BoxError) -> u16 {
    let said = cause::<RequestError>(&**error).map(RequestError::status);
    said.unwrap_or(StatusCode::BAD_REQUEST).as_u16()
}

/// Notes that a client has broken its body off, which its end has not shown.
pub(super) fn note_failed(meter: &SentMeter, status: StatusCode) {
    let failed = Poll::Ready(Some(Err::<(), StatusCode>(status)));
    meter.upload_polled(&failed, StatusCode::as_u16);
}

pin_project! {
    /// A request body whose bytes are counted as they are read; made by [`Counted`].
    ///
    /// # Examples
    ///
    /// Members that want a type of their own get it by a map:
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
        Reading { #[pin] body: B },
        // Another attempt has it.
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
            let taken = body.lock().take();
            this.state.set(match taken {
                Some(body) => CountState::Reading { body },
                None => CountState::Superseded,
            });
        }
        let body = match this.state.project() {
            StateProjected::Reading { body } => body,
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
            CountState::Reading { body } => body.is_end_stream(),
            CountState::Unread { .. } | CountState::Superseded => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            CountState::Empty => SizeHint::with_exact(0),
            CountState::Reading { body } => body.size_hint(),
            CountState::Unread { size, .. } => *size,
            CountState::Superseded => SizeHint::default(),
        }
    }
}

impl<B> CountedBody<B> {
    /// Notes that the client has broken its body off; `status` is what it is told.
    #[cfg_attr(
        not(feature = "proxy"),
        allow(dead_code, reason = "endpoints find out")
    )]
    pub(crate) fn note_failed(&self, status: StatusCode) {
        if let Some(meter) = &self.meter {
            note_failed(meter, status);
        }
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

/// What the reader of an attempt that was given up is told.
#[derive(Debug, thiserror::Error)]
#[error("the request went on to another member, and its body with it")]
pub(in crate::service) struct Superseded;

/// Hands bodies on as they are, of the same type, without counting; an empty one can be
/// had again.
///
/// Choose it where the inner service insists on a type of body, and see [`CountedBody`]
/// for the other way out.
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

    fn keep(&self, body: B, _repeatable: bool) -> KeptIfEmpty<B> {
        KeptIfEmpty {
            empty: body.is_end_stream(),
            body: Some(body),
        }
    }
}

/// A body that the next attempt gets if it is empty.
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

    fn is_left(&self) -> bool {
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
