//! What a client sends, within limits: [`ClientBody`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::request::Busy;
use crate::proxy::empty_frames::poll_filled;
use crate::service::RequestError;
use crate::timer::Deadline;

/// The body of a request that a [`Server`](super::Server) accepted. It fails with 413 if
/// it has more bytes than are allowed, with 408 if the next do not come in time, and with
/// 400 if it breaks off.
///
/// # Examples
///
/// A service for a [`Server`](super::Server) that is not a proxy:
///
/// ```
/// use equipoise::proxy::ClientBody;
/// use http::{Request, Response};
/// use http_body_util::BodyExt;
/// use std::convert::Infallible;
///
/// let count = tower::service_fn(async |request: Request<ClientBody>| {
///     let text = match request.into_body().collect().await {
///         Ok(body) => format!("{} bytes\n", body.to_bytes().len()),
///         Err(error) => format!("{error}\n"),
///     };
///     Ok::<_, Infallible>(Response::new(text))
/// });
/// # let _ = count;
/// ```
pub struct ClientBody {
    inner: Incoming,
    /// How many bytes may still come.
    left: u64,
    patience: Duration,
    alarm: Option<Pin<Box<Deadline>>>,
    waiting: bool,
    /// As long as it is there, the connection is not idle, whatever was answered.
    _busy: Option<Busy>,
}

impl ClientBody {
    pub(super) fn new(inner: Incoming, most: u64, patience: Duration, busy: Option<Busy>) -> Self {
        Self {
            inner,
            left: most,
            patience,
            alarm: None,
            waiting: false,
            _busy: busy,
        }
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(Deadline::after(patience)));
        if !self.waiting {
            self.waiting = true;
            alarm.as_mut().reset(Instant::now() + patience);
        }
        alarm.as_mut().poll(context)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let this = &mut *self;
        let inner = &mut this.inner;
        let frame = poll_filled(context, |context| Pin::new(&mut *inner).poll_frame(context));
        let Poll::Ready(frame) = frame else {
            return this.poll_late(context).map(|()| {
                let late = "the next of the body did not come in time";
                Some(Err(RequestError::new(StatusCode::REQUEST_TIMEOUT, late)))
            });
        };
        this.waiting = false;
        let Some(Ok(frame)) = frame else {
            let broken = |error| RequestError::new(StatusCode::BAD_REQUEST, error);
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match this.left.checked_sub(length) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Some(Err(too_large()))),
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn too_large() -> RequestError {
    let most = "the body has more bytes than are allowed";
    RequestError::new(StatusCode::PAYLOAD_TOO_LARGE, most)
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody")
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
