//! The path of one request of a connection to the service and back. The server's facts are
//! added to it, and it counts as in flight until the last frame of the response is dropped.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::ClientBody;
use super::client_body::{BodyTransport, FactsBeside};
use super::connection_state::ConnectionState;
use super::held_heads::HeadBudget;
use super::in_flight::InFlightRequest;
use super::options::Options;
use super::streams::{PIECE, Pieces};
use crate::proxy::ConnectionFacts;
use crate::proxy::empty_frames::poll_filled;
use crate::service::{BoxError, ErrorPage, PreferredFormat, ResponseBody, cause};
use crate::timer::Deadline;

/// The service that hyper calls for each request of one connection.
pub(super) struct RequestService<S> {
    /// Services that find the facts beside their requests serve one request after the other,
    /// as far as they are ready. Each request to another service gets a clone.
    pub(super) service: RefCell<S>,
    pub(super) connection: Arc<ConnectionState>,
    pub(super) options: Arc<Options>,
    pub(super) facts: Arc<ConnectionFacts>,
    /// Whether the service finds the facts beside its requests.
    pub(super) beside: bool,
    /// For HTTP/2, where a connection has many heads at a time.
    pub(super) heads: Option<Arc<HeadBudget>>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for RequestService<S>
where
    S: Service<Request<ClientBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<InFlightResponseBody<B>>;
    type Error = BoxError;
    type Future = RequestFuture<S, S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let mut busy = InFlightRequest::new(&self.connection);
        let speaks = request.version();
        let method = MethodKind::by(request.method());
        if let Some(heads) = &self.heads {
            busy.head = heads.hold(&request);
            if busy.head.is_none() {
                return RequestFuture {
                    state: RequestStart::NoRoom,
                    busy: Some(busy),
                    speaks,
                    method,
                };
            }
        }
        let busy = Some(busy);
        let has_body = !request.body().is_end_stream();
        let transport = if speaks == Version::HTTP_2 {
            BodyTransport::Http2 {
                linger: self.options.linger,
            }
        } else {
            let length = request.body().size_hint().exact();
            let expects = has_body && request.headers().contains_key(EXPECT);
            let turn = self.connection.unread.begin(has_body, length, expects);
            // Clients with many requests on a connection need no look at the header.
            if self.connection.is_first() && is_last(&request) {
                self.connection.note_last_request();
            }
            BodyTransport::Http1 { turn, expects }
        };
        let in_flight = busy
            .as_ref()
            .filter(|_| has_body)
            .map(InFlightRequest::also);
        let (most, patience) = (self.options.max_body, self.options.body_timeout);
        if let Some((status, why)) = self.exceeded_limit(&request) {
            let wanted = PreferredFormat::by(request.method(), request.headers());
            let refusal = ErrorPage::new(status, why, wanted);
            let response = refusal.page(self.options.pages.as_ref());
            let state = RequestStart::Refused {
                response: Some(Box::new(response)),
            };
            // The unread body is handled as if the service had rejected the request.
            drop(request.map(|body| ClientBody::new(body, transport, most, patience, in_flight)));
            return RequestFuture {
                state,
                busy,
                speaks,
                method,
            };
        }
        let facts = self.beside.then(|| FactsBeside {
            facts: self.facts.clone(),
            first: self.connection.is_first(),
        });
        if facts.is_none() {
            let extensions = request.extensions_mut();
            let tunnel = extensions.get::<OnUpgrade>().is_some();
            self.facts.insert_into(extensions, tunnel);
        }
        let request = request.map(|body| {
            let body = ClientBody::new(body, transport, most, patience, in_flight);
            body.with_facts(facts)
        });
        let mut shared = self.service.borrow_mut();
        let mut own = None;
        let service = if self.beside {
            &mut *shared
        } else {
            own.insert(shared.clone())
        };
        // Most services are always ready. If this one is not, the future polls it again.
        let mut no_waker = Context::from_waker(Waker::noop());
        let state = match service.poll_ready(&mut no_waker) {
            Poll::Ready(Ok(())) => RequestStart::Called {
                future: service.call(request),
            },
            Poll::Ready(Err(_)) | Poll::Pending => {
                let another = service.clone();
                let service = std::mem::replace(service, another);
                RequestStart::Chosen {
                    waiting: Some(Box::new((service, request))),
                }
            }
        };
        RequestFuture {
            state,
            busy,
            speaks,
            method,
        }
    }
}

/// How the method of a request affects the end of its response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MethodKind {
    Head,
    Tunnel,
    Other,
}

impl MethodKind {
    fn by(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Tunnel,
            _ => Self::Other,
        }
    }
}

impl<S> RequestService<S> {
    /// Returns the exceeded limit of a request, as a status and a reason.
    fn exceeded_limit(&self, request: &Request<Incoming>) -> Option<(StatusCode, &'static str)> {
        // hyper checks the header lines of HTTP/1.1.
        let lines = self.options.max_headers.unwrap_or(usize::MAX);
        if request.headers().len() > lines {
            let why = "it has more header lines than allowed";
            return Some((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why));
        }
        let bytes = request.body().size_hint().lower();
        (bytes > self.options.max_body).then_some((
            StatusCode::PAYLOAD_TOO_LARGE,
            "its body has more bytes than allowed",
        ))
    }
}

pin_project! {
    /// A request for which a response is being created.
    #[project = RequestFutureProjected]
    pub(super) struct RequestFuture<S, F> {
        #[pin]
        state: RequestStart<S, F>,
        busy: Option<InFlightRequest>,
        speaks: Version,
        method: MethodKind,
    }
}

pin_project! {
    #[project = RequestStartProjected]
    enum RequestStart<S, F> {
        Called { #[pin] future: F },
        // Boxed, because most requests are called at once. `None` once it has been taken.
        //
        // Not ready yet, or failed; it will return the same error again.
        Chosen { waiting: Option<Box<(S, Request<ClientBody>)>> },
        Refused { response: Option<Box<Response<Bytes>>> },
        // There is no room for its head beside those that are held.
        NoRoom,
    }
}

impl<S, B> Future for RequestFuture<S, S::Future>
where
    S: Service<Request<ClientBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<InFlightResponseBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = loop {
            let future = match this.state.as_mut().project() {
                RequestStartProjected::Called { future } => {
                    break ready!(future.poll(context)).map_err(without_refusal)?;
                }
                RequestStartProjected::Chosen { waiting } => {
                    let Some(chosen) = waiting else {
                        return Poll::Pending;
                    };
                    ready!(chosen.0.poll_ready(context)).map_err(without_refusal)?;
                    match waiting.take().map(|chosen| *chosen) {
                        Some((mut service, request)) => service.call(request),
                        None => return Poll::Pending,
                    }
                }
                RequestStartProjected::Refused { response } => match response.take() {
                    Some(response) => {
                        let response = (*response).map(ResponseBody::text);
                        return Poll::Ready(Ok(this.finish(response, |body| body)));
                    }
                    None => return Poll::Pending,
                },
                RequestStartProjected::NoRoom => {
                    // The client may send it again once another request is complete.
                    let refused = h2::Error::from(h2::Reason::REFUSED_STREAM);
                    return Poll::Ready(Err(refused.into()));
                }
            };
            this.state.set(RequestStart::Called { future });
        };
        Poll::Ready(Ok(this.finish(response, ResponseBody::inner)))
    }
}

impl<S, F> RequestFutureProjected<'_, S, F> {
    /// Prepares a response for its connection.
    #[inline]
    fn finish<T, B>(
        self,
        mut response: Response<T>,
        content: impl FnOnce(T) -> ResponseBody<B>,
    ) -> Response<InFlightResponseBody<B>>
    where
        T: Body,
    {
        let (busy, speaks, method) = (self.busy.take(), *self.speaks, *self.method);
        let mut framing = ResponseFraming::Http1;
        if let Some(InFlightRequest { connection, .. }) =
            busy.as_ref().filter(|_| speaks != Version::HTTP_2)
        {
            let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS
                || method == MethodKind::Tunnel && response.status().is_success();
            if switches {
                connection.become_tunnel();
            } else {
                let unread = connection.unread.start_discard();
                let endless = speaks == Version::HTTP_10 && method != MethodKind::Head && {
                    ends_with_the_connection(&response)
                };
                if endless {
                    framing = ResponseFraming::UntilClose;
                }
                if unread || endless || connection.has_max_requests() || connection.is_closing() {
                    set_connection_close(&mut response, speaks);
                }
            }
        }
        if speaks == Version::HTTP_2 {
            framing = ResponseFraming::Http2;
            // Until the first frame of the body is polled, the head is the part that waits.
            Pieces::give();
        }
        response.map(|inner| InFlightResponseBody {
            inner: content(inner),
            rest: Bytes::new(),
            framing,
            broken: None,
            busy,
        })
    }
}

/// Returns whether the client announces that it sends no further request.
fn is_last<B>(request: &Request<B>) -> bool {
    let mut options = request.headers().get_all(CONNECTION).iter();
    let has = |option: &str, value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        value
            .split(',')
            .any(|it| it.trim().eq_ignore_ascii_case(option))
    };
    match request.version() {
        Version::HTTP_10 => !options.any(|value| has("keep-alive", value)),
        _ => options.any(|value| has("close", value)),
    }
}

/// Returns whether HTTP/1.0, which has no chunks, can mark the end of this response only by
/// closing the connection.
fn ends_with_the_connection<B: Body>(response: &Response<B>) -> bool {
    let without_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    let has_length = response.headers().contains_key(CONTENT_LENGTH);
    let has_end = response.body().is_end_stream() || response.body().size_hint().exact().is_some();
    !has_length && !has_end && !without_body.contains(&response.status())
}

/// Announces that the connection is closed after this response; hyper then closes it.
fn set_connection_close<B>(response: &mut Response<B>, speaks: Version) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    if speaks == Version::HTTP_10 {
        // Otherwise hyper adds `keep-alive` for a client that has sent it.
        *response.version_mut() = Version::HTTP_10;
    }
}

/// How the end of a response is marked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ResponseFraming {
    /// By a length or chunks. A client that reads nothing blocks the connection's writes,
    /// which are watched there.
    Http1,
    /// By a frame. It is sent in pieces, which are watched.
    Http2,
    /// By the end of the connection.
    UntilClose,
}

/// Why a response broke off, without its sources.
#[derive(Debug, thiserror::Error)]
#[error("the response broke off")]
struct BrokenResponse;

/// Hides a refusal of another server: hyper would send its code to the client, where it
/// promises that nothing was processed (RFC 9113, 8.7), so a `POST` might be sent again.
fn without_refusal(error: impl Into<BoxError>) -> BoxError {
    let error = error.into();
    let reason = cause::<h2::Error>(&*error).and_then(h2::Error::reason);
    if reason == Some(h2::Reason::REFUSED_STREAM) {
        return BrokenResponse.into();
    }
    error
}

/// How long the reset of an HTTP/2 stream is delayed after a response has broken off. A
/// reset discards what was not written yet, and the connection is written by another task.
const BEFORE_RESET: Duration = Duration::from_millis(10);

/// An error of a response, and when to return it.
struct DelayedError {
    error: Option<BoxError>,
    until: Pin<Box<Deadline>>,
}

pin_project! {
    /// The body of a response. Its request is in flight until the body is dropped.
    pub(super) struct InFlightResponseBody<B> {
        #[pin]
        inner: ResponseBody<B>,
        // The rest of a frame that was too large to be returned at once.
        rest: Bytes,
        framing: ResponseFraming,
        broken: Option<Box<DelayedError>>,
        busy: Option<InFlightRequest>,
    }
}

impl<B> Body for InFlightResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if *this.framing != ResponseFraming::Http2 {
            let frame = this.inner.poll_frame(context);
            let cut = *this.framing == ResponseFraming::UntilClose;
            if let (Poll::Ready(Some(Err(_))), true, Some(busy)) = (&frame, cut, &*this.busy) {
                busy.connection.note_cut_short();
            }
            return frame.map_err(Into::into);
        }
        Pieces::ask();
        if let Some(broken) = this.broken {
            ready!(broken.until.as_mut().poll(context));
            return Poll::Ready(broken.error.take().map(Err));
        }
        if this.rest.is_empty() {
            let frame = poll_filled(context, |context| this.inner.as_mut().poll_frame(context));
            let frame = match ready!(frame) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let mut until = Box::pin(Deadline::after(BEFORE_RESET));
                    // A new timer is pending, and wakes this task.
                    let over = until.as_mut().poll(context).is_ready();
                    let error = Some(without_refusal(error));
                    let broken = this.broken.insert(Box::new(DelayedError { error, until }));
                    return match over {
                        true => Poll::Ready(broken.error.take().map(Err)),
                        false => Poll::Pending,
                    };
                }
                None => return Poll::Ready(None),
            };
            match frame.into_data() {
                Ok(data) => *this.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Pieces::give();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, inner) = (self.rest.len() as u64, self.inner.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
