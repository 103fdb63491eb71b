//! One request on one connection, until the head of the response: [`Exchange`].
//!
//! Not here: which connection (`sending`), and the rest of the response (`body`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::error::{EndpointError, TimeoutStage, is_unprocessed};
use super::member_connection::{
    Http2Connection, HyperResult, MemberConnection, SendFailure, for_http_1, for_http_2,
};
use super::outgoing::Outgoing;
use super::pool::ConnectionChoice;
use super::progress::{ExchangeAlarm, Progress};
use super::request_copy::RequestCopy;
use super::shared::SharedEndpoint;
use crate::net::ConnectError;

/// The only allocation of an exchange on an open connection: the response's body keeps it.
pub(super) type BoxedRequest = Pin<Box<SentRequest<dyn Future<Output = HyperResult> + Send>>>;

/// On which kind of connection a request is sent, after earlier ones turned out to be
/// closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SendAttempt {
    /// On one that was idle, or that is shared.
    First,
    /// On one that was idle, or that is shared, after all closed connections were removed.
    Second,
    /// On a new one.
    Fresh,
    /// On one that is younger than the one on which it was not processed.
    Younger,
    /// On one that was opened for it, as its first request.
    Alone,
}

impl SendAttempt {
    /// Returns whether the connection came from the pool.
    fn is_pooled(self) -> bool {
        matches!(self, Self::First | Self::Second)
    }

    /// Returns what follows on a connection of HTTP/1.1 that turned out to be closed.
    fn after_closed(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second | Self::Fresh | Self::Younger | Self::Alone => Self::Fresh,
        }
    }

    /// Returns where to send a request that was not processed on an HTTP/2 connection: once
    /// to another connection; if that one ended after it had served others, to a connection
    /// of its own. If the connection was opened for the request, the member refuses the
    /// request itself, and is not asked again.
    fn after(self, connection: &Http2Connection) -> Option<(ConnectionChoice, Self)> {
        let younger = (ConnectionChoice::After(connection.number()), Self::Younger);
        match self {
            Self::First | Self::Second => Some(younger),
            // Others have used it meanwhile.
            Self::Fresh if connection.has_served() => Some(younger),
            Self::Younger if connection.has_served() => Some((ConnectionChoice::Own, Self::Alone)),
            Self::Fresh | Self::Younger | Self::Alone => None,
        }
    }
}

/// A request on a connection, and its response.
pub(super) struct Exchange {
    pub(super) endpoint: Arc<SharedEndpoint>,
    /// `None` once it has been closed, or returned to the pool.
    pub(super) connection: Option<MemberConnection>,
    pub(super) alarm: ExchangeAlarm,
    pub(super) upload: Progress,
    /// The deadline of the whole exchange.
    pub(super) whole: Option<Instant>,
    /// The upload's progress when the wait for the head or a frame began, and the deadline
    /// of that wait.
    pub(super) waiting: Option<(u32, Instant)>,
    /// The body of the response, once there is a head.
    pub(super) incoming: Option<Incoming>,
    pub(super) end: IncomingEnd,
    attempt: SendAttempt,
    /// The request to send again if the member has not processed it.
    copy: Option<Box<RequestCopy>>,
}

pin_project! {
    /// An exchange, and the response that is awaited from hyper. `F` has no name.
    pub(super) struct SentRequest<F: ?Sized> {
        pub(super) exchange: Exchange,
        #[pin]
        sent: F,
    }
}

/// Whether a body has ended.
#[derive(Debug, Default)]
pub(super) enum IncomingEnd {
    #[default]
    NotYet,
    /// The error is yet to be returned.
    Broken(Box<EndpointError>),
    Over,
}

/// What became of a request.
pub(super) enum Answer {
    Head(Parts),
    /// It is to be sent on another connection: the member got nothing of it, or has not
    /// processed it.
    Again(Box<Request<Outgoing>>, ConnectionChoice, SendAttempt),
}

impl Exchange {
    pub(super) fn new(
        endpoint: Arc<SharedEndpoint>,
        mut connection: MemberConnection,
        attempt: SendAttempt,
        whole: Option<Instant>,
    ) -> Self {
        Self {
            endpoint,
            alarm: connection.take_alarm(),
            connection: Some(connection),
            upload: Progress::None,
            whole,
            waiting: None,
            incoming: None,
            end: IncomingEnd::NotYet,
            attempt,
            copy: None,
        }
    }

    /// Sends the request. The wait for the response begins `now`.
    pub(super) fn send(
        mut self,
        mut request: Request<Outgoing>,
        now: Instant,
    ) -> Result<BoxedRequest, EndpointError> {
        match &mut self.connection {
            Some(MemberConnection::Http1(one)) => {
                for_http_1(&mut request);
                self.upload = request.body_mut().progress_over_http_1();
                request.body_mut().hold(None);
                request.body_mut().keep_no_more();
                if self.upload.is_watched() {
                    one.move_to_task();
                }
                one.interim.restart();
                let sent = one.sender.try_send_request(request);
                Ok(self.sent(sent, now))
            }
            Some(MemberConnection::Http2(two)) => {
                self.upload = request.body_mut().progress();
                for_http_2(
                    &mut request,
                    &self.endpoint.authority,
                    &self.endpoint.scheme,
                );
                self.copy = Some(Box::new(RequestCopy::of(&mut request)));
                request.body_mut().hold(two.stream());
                match two.send(request) {
                    Some(sent) => Ok(self.sent(sent, now)),
                    None => Err(self.endpoint.unconnected()),
                }
            }
            None => Err(self.endpoint.unconnected()),
        }
    }

    pub(super) fn sent<F>(mut self, sent: F, now: Instant) -> BoxedRequest
    where
        F: Future<Output = HyperResult> + Send + 'static,
    {
        let due = self.endpoint.head.map(|head| now + head);
        self.waiting = due.map(|due| (self.upload.seen(), due));
        Box::pin(SentRequest {
            exchange: self,
            sent,
        })
    }

    /// Polls the connection, unless a task does; returns whether it did.
    pub(super) fn poll_connection(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.connection {
            Some(MemberConnection::Http1(one)) if one.is_polled_here() => {
                one.poll_connection(context);
                true
            }
            _ => false,
        }
    }

    /// Returns hyper's error if the connection, of HTTP/1.1, is closed.
    fn closed(&mut self, context: &mut Context<'_>) -> Option<hyper::Error> {
        let Some(MemberConnection::Http1(one)) = &mut self.connection else {
            return None;
        };
        if !one.sender.is_closed() {
            return None;
        }
        match one.sender.poll_ready(context) {
            Poll::Ready(Err(closed)) => Some(closed),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// Returns the stage that has exceeded its time limit, if any: `stage`, which may last
    /// for `limit`, or the whole exchange.
    pub(super) fn poll_late(
        &mut self,
        stage: TimeoutStage,
        limit: Option<Duration>,
        context: &mut Context<'_>,
    ) -> Poll<TimeoutStage> {
        loop {
            let seen = self.upload.seen();
            let due = match self.waiting {
                Some((before, due)) if before == seen => Some(due),
                // While the upload makes progress, the limit starts anew.
                _ => limit.map(|limit| Instant::now() + limit),
            };
            self.waiting = due.map(|due| (seen, due));
            let Some(next) = due.into_iter().chain(self.whole).min() else {
                return Poll::Pending;
            };
            ready!(self.alarm.poll(next, context));
            if self.whole == Some(next) {
                return Poll::Ready(TimeoutStage::Whole);
            }
            if self.upload.seen() == seen {
                return Poll::Ready(stage);
            }
        }
    }

    /// Takes the head of the response.
    fn answered(&mut self, response: Response<Incoming>) -> Result<Parts, EndpointError> {
        self.copy = None;
        self.waiting = None;
        let (head, incoming) = response.into_parts();
        // hyper checks the header lines of HTTP/1.1.
        let limit = self.endpoint.opener.max_headers.unwrap_or(usize::MAX);
        if head.headers.len() > limit {
            return Err(EndpointError::TooManyHeaders { limit });
        }
        if let Some(MemberConnection::Http1(one)) = &mut self.connection {
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                one.release_to_tunnel();
            }
            // The member may mean the length. Then its next response would begin elsewhere.
            one.is_last = head.headers.contains_key(TRANSFER_ENCODING)
                && head.headers.contains_key(CONTENT_LENGTH);
        }
        self.incoming = Some(incoming);
        Ok(head)
    }

    /// Returns the request if it is to be sent again; otherwise, why there is no response.
    fn unanswered(&mut self, mut failure: SendFailure) -> Result<Answer, EndpointError> {
        let unsent = failure.take_message();
        let was_unsent = unsent.is_some();
        let again = match self.connection.take() {
            Some(MemberConnection::Http2(two)) => {
                let unprocessed = was_unsent || is_unprocessed(failure.error());
                let copy = self.copy.take().filter(|_| unprocessed);
                match (copy, self.attempt.after(&two)) {
                    (Some(copy), Some(after)) => copy.request().zip(Some(after)),
                    (Some(copy), None) => {
                        // What hyper has of it is dropped first.
                        drop(unsent);
                        copy.give_back();
                        None
                    }
                    (None, _) => None,
                }
            }
            _ => {
                let pooled = self.attempt.is_pooled();
                let after = (ConnectionChoice::Any, self.attempt.after_closed());
                unsent.filter(|_| pooled).map(|unsent| (unsent, after))
            }
        };
        match again {
            Some((request, (choice, attempt))) => {
                Ok(Answer::Again(Box::new(request), choice, attempt))
            }
            None => {
                let error = failure.into_error();
                Err(failed(&self.endpoint, error, was_unsent, self.attempt))
            }
        }
    }
}

impl SentRequest<dyn Future<Output = HyperResult> + Send> {
    /// Polls until the head of the response has arrived.
    pub(super) fn poll_head(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Answer, EndpointError>> {
        let this = self.project();
        let (exchange, mut sent) = (this.exchange, this.sent);
        let here = exchange.poll_connection(context);
        let mut answered = if here {
            // A wake-up for work that was just done would cause a poll for nothing. Without a
            // budget, because a used-up budget would not wake the task either.
            let mut no_waker = Context::from_waker(Waker::noop());
            std::pin::pin!(unconstrained(sent.as_mut())).poll(&mut no_waker)
        } else {
            sent.as_mut().poll(context)
        };
        let waits = answered.is_pending() && !here;
        if let Some(closed) = waits.then(|| exchange.closed(context)).flatten() {
            // A response that arrived before is available now.
            answered = sent.as_mut().poll(context);
            if answered.is_pending() {
                // The connection's task has ended while hyper handed the request over. The
                // request is in their channel, which wakes nothing. It is returned when the
                // sender is dropped.
                exchange.connection = None;
                let unsent = match sent.poll(context) {
                    Poll::Ready(Err(mut unanswered)) => unanswered.take_message(),
                    Poll::Ready(Ok(_)) | Poll::Pending => None,
                };
                let attempt = exchange.attempt;
                let fresh = attempt == SendAttempt::Fresh;
                return Poll::Ready(match unsent {
                    Some(unsent) if !fresh => {
                        let (choice, attempt) = (ConnectionChoice::Any, attempt.after_closed());
                        Ok(Answer::Again(Box::new(unsent), choice, attempt))
                    }
                    Some(_) => Err(exchange.endpoint.unreachable(closed.into())),
                    None => Err(EndpointError::broken_off(closed, fresh)),
                });
            }
        }
        let Poll::Ready(answered) = answered else {
            let limit = exchange.endpoint.head;
            let late = exchange.poll_late(TimeoutStage::Head, limit, context);
            return late.map(|stage| Err(EndpointError::timed_out(stage)));
        };
        let connection = exchange.connection.as_ref();
        if let Some(error) = connection.and_then(MemberConnection::too_many_interim) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(match answered {
            Ok(response) => exchange.answered(response).map(Answer::Head),
            Err(failure) => exchange.unanswered(failure),
        })
    }
}

/// Returns why there is no response.
fn failed(
    endpoint: &SharedEndpoint,
    error: hyper::Error,
    unsent: bool,
    attempt: SendAttempt,
) -> EndpointError {
    if unsent {
        return endpoint.unreachable(error.into());
    }
    if attempt.is_pooled() {
        // A member that closed one connection may have closed all.
        endpoint.pool.remove_closed();
    } else if endpoint.is_refusal(&error) {
        let source = io::Error::other(error);
        return endpoint.unreachable(ConnectError::Tls { source }.into());
    }
    EndpointError::broken_off(error, !attempt.is_pooled())
}
