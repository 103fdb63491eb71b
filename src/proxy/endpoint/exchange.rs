//! Sends one request and waits for the head of the response: [`begin`].
//!
//! Not here: the rest of the response (`body`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::header::UPGRADE;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::body::{BodyTimeouts, EndpointBody};
use super::error::{EndpointError, TimeoutStage, is_unprocessed};
use super::member_connection::{
    Http2Connection, HyperResponse, HyperResult, MemberConnection, for_http_1, for_http_2,
};
use super::outgoing::Outgoing;
use super::pool::ConnectionChoice;
use super::progress::{ExchangeAlarm, Progress};
use super::request_copy::RequestCopy;
use super::shared::SharedEndpoint;
use crate::net::ConnectError;
use crate::service::FreshConnection;

pub(super) type ExchangeFuture = Pin<Box<dyn Future<Output = ExchangeResult> + Send>>;

type ExchangeResult = Result<Response<EndpointBody>, EndpointError>;

/// Sends a request to the member, on an open connection or a new one. On an open
/// connection, nothing is allocated.
pub(super) fn begin(
    endpoint: &Arc<SharedEndpoint>,
    mut request: Request<Outgoing>,
) -> impl Future<Output = ExchangeResult> + Send + use<> {
    let times = ExchangeTimes::new(endpoint);
    if let Err(source) = endpoint.address_to_member(&mut request) {
        let refused = EndpointError::Request { source };
        return SentRequest::later(times, Box::pin(std::future::ready(Err(refused))));
    }
    let endpoint = endpoint.clone();
    if endpoint.may_be_http2() && request.headers().contains_key(UPGRADE) {
        return SentRequest::later(times.clone(), Box::pin(switch(endpoint, request, times)));
    }
    let fresh = request.extensions().get::<FreshConnection>().is_some();
    let connection = if fresh { None } else { endpoint.pool.take() };
    match connection {
        Some(connection) => send(endpoint, connection, request, times, SendAttempt::First),
        None => SentRequest::later(times.clone(), open(endpoint, request, times)),
    }
}

/// On which kind of connection a request is sent, after earlier ones turned out to be
/// closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SendAttempt {
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

    /// Returns where to send a request that was not processed on an HTTP/2 connection: once
    /// to another connection; if that one ended after it had served others, to a connection
    /// of its own.
    fn after(self, connection: &Http2Connection) -> Option<(ConnectionChoice, Self)> {
        match self {
            Self::First | Self::Second | Self::Fresh => {
                Some((ConnectionChoice::After(connection.number()), Self::Younger))
            }
            Self::Younger if connection.has_served() => Some((ConnectionChoice::Own, Self::Alone)),
            Self::Younger | Self::Alone => None,
        }
    }
}

async fn open_and_send(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    mut times: ExchangeTimes,
    choice: ConnectionChoice,
    attempt: SendAttempt,
) -> ExchangeResult {
    let connection = endpoint.open(choice, times.limits.whole).await?;
    times.now = Instant::now();
    if matches!(connection, MemberConnection::Http2(_)) {
        endpoint.pool.start_reaper();
    }
    send(endpoint, connection, request, times, attempt).await
}

async fn switch(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    mut times: ExchangeTimes,
) -> ExchangeResult {
    let connection = endpoint.open_for_upgrade(times.limits.whole).await?;
    times.now = Instant::now();
    send(endpoint, connection, request, times, SendAttempt::Fresh).await
}

/// Sends a request of which nothing was sent on another connection.
fn again(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    times: ExchangeTimes,
    attempt: SendAttempt,
) -> ExchangeFuture {
    if attempt == SendAttempt::First {
        // A member that closed one connection may have closed all: they are not tried one
        // by one.
        endpoint.pool.remove_closed();
        if let Some(connection) = endpoint.pool.take() {
            let second = SendAttempt::Second;
            return Box::pin(send(endpoint, connection, request, times, second));
        }
    }
    open(endpoint, request, times)
}

/// Sends a request on a new connection, or on one that was opened meanwhile.
fn open(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    times: ExchangeTimes,
) -> ExchangeFuture {
    Box::pin(open_and_send(
        endpoint,
        request,
        times,
        ConnectionChoice::Any,
        SendAttempt::Fresh,
    ))
}

fn send(
    endpoint: Arc<SharedEndpoint>,
    mut connection: MemberConnection,
    mut request: Request<Outgoing>,
    mut times: ExchangeTimes,
    attempt: SendAttempt,
) -> SentRequest<impl Future<Output = HyperResult> + Send + use<>> {
    let alarm = connection.take_alarm();
    let mut copy = None;
    let sent = match &mut connection {
        MemberConnection::Http1(one) => {
            times.sent(request.body_mut().progress_over_http_1());
            for_http_1(&mut request);
            request.body_mut().hold(None);
            if times.upload.is_watched() {
                one.move_to_task();
            }
            one.interim.restart();
            let sent = one.sender.try_send_request(request);
            Some(HyperResponse::Http1 { sent })
        }
        MemberConnection::Http2(two) => {
            times.sent(request.body_mut().progress());
            for_http_2(&mut request, &endpoint.authority, &endpoint.scheme);
            copy = (attempt != SendAttempt::Alone).then(|| Box::new(RequestCopy::of(&mut request)));
            request.body_mut().hold(two.stream());
            let sent = two.send(request);
            sent.map(|sent| HyperResponse::Http2 { sent })
        }
    };
    SentRequest {
        sent,
        on: Some(ActiveConnection {
            endpoint,
            connection,
        }),
        alarm,
        times,
        attempt,
        copy,
        again: None,
    }
}

/// Returns hyper's error if the connection, of HTTP/1.1, is closed.
fn closed(on: &mut Option<ActiveConnection>, context: &mut Context<'_>) -> Option<hyper::Error> {
    let Some(ActiveConnection {
        connection: MemberConnection::Http1(one),
        ..
    }) = on
    else {
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

/// The time limits and deadlines of an exchange.
#[derive(Clone)]
struct ExchangeTimes {
    limits: BodyTimeouts,
    head: Option<Duration>,
    upload: Progress,
    /// The upload's progress when `head_due` was set.
    seen: u32,
    head_due: Option<Instant>,
    /// The last known time: reading the clock is not free.
    now: Instant,
}

impl ExchangeTimes {
    fn new(endpoint: &SharedEndpoint) -> Self {
        let now = Instant::now();
        Self {
            limits: BodyTimeouts {
                frame: endpoint.frame,
                whole: endpoint.whole.map(|whole| now + whole),
            },
            head: endpoint.head,
            seen: 0,
            head_due: None,
            upload: Progress::None,
            now,
        }
    }

    /// Starts the wait for the response.
    fn sent(&mut self, upload: Progress) {
        self.seen = upload.seen();
        self.upload = upload;
        self.head_due = self.head.map(|head| self.now + head);
    }

    /// Returns the stage that has exceeded its time limit, if any.
    fn poll_late(
        &mut self,
        alarm: &mut ExchangeAlarm,
        context: &mut Context<'_>,
    ) -> Poll<TimeoutStage> {
        loop {
            let seen = self.upload.seen();
            if seen != self.seen {
                // While the upload makes progress, the limit for the head starts anew.
                self.seen = seen;
                self.head_due = self.head.map(|head| Instant::now() + head);
            }
            let dues = self.head_due.into_iter().chain(self.limits.whole);
            let Some(due) = dues.min() else {
                return Poll::Pending;
            };
            ready!(alarm.poll(due, context));
            if self.limits.whole == Some(due) {
                return Poll::Ready(TimeoutStage::Whole);
            }
            if self.upload.seen() == self.seen {
                return Poll::Ready(TimeoutStage::Head);
            }
        }
    }
}

pin_project! {
    /// A request on a connection. `F` is hyper's future, whose type has no name.
    struct SentRequest<F> {
        // `None` while `again` is polled, which happens at most twice.
        #[pin]
        sent: Option<F>,
        // `None` once the head of the response has arrived.
        on: Option<ActiveConnection>,
        alarm: ExchangeAlarm,
        times: ExchangeTimes,
        attempt: SendAttempt,
        // The request to send again if the member has not processed it.
        copy: Option<Box<RequestCopy>>,
        // The request on another connection, because there was none, or it turned out to be
        // closed.
        again: Option<ExchangeFuture>,
    }
}

/// The connection that a request is on, and its endpoint.
struct ActiveConnection {
    endpoint: Arc<SharedEndpoint>,
    connection: MemberConnection,
}

impl<F> SentRequest<F> {
    /// A request for which there is no open connection.
    fn later(times: ExchangeTimes, sent: ExchangeFuture) -> Self {
        Self {
            sent: None,
            on: None,
            alarm: ExchangeAlarm::default(),
            times,
            attempt: SendAttempt::Fresh,
            copy: None,
            again: Some(sent),
        }
    }
}

impl<F> Future for SentRequest<F>
where
    F: Future<Output = HyperResult>,
{
    type Output = ExchangeResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<ExchangeResult> {
        let mut this = self.project();
        if let Some(again) = this.again {
            return again.as_mut().poll(context);
        }
        let Some(mut sent) = this.sent.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let here = match this.on {
            Some(ActiveConnection {
                connection: MemberConnection::Http1(one),
                ..
            }) if one.is_polled_here() => {
                one.poll_connection(context);
                true
            }
            _ => false,
        };
        let mut answered = if here {
            // A wake-up for work that was just done would cause a poll for nothing. Without a
            // budget, because a used-up budget would not wake the task either.
            let mut no_waker = Context::from_waker(Waker::noop());
            std::pin::pin!(unconstrained(sent.as_mut())).poll(&mut no_waker)
        } else {
            sent.as_mut().poll(context)
        };
        let waits = answered.is_pending() && !here;
        if let Some(closed) = waits.then(|| closed(this.on, context)).flatten() {
            // A response that arrived before is available now.
            answered = sent.as_mut().poll(context);
            let lost = answered.is_pending().then(|| this.on.take()).flatten();
            if let Some(ActiveConnection {
                endpoint,
                connection,
            }) = lost
            {
                // The connection's task has ended while hyper handed the request over. The
                // request is in their channel, which wakes nothing. It is returned when the
                // sender is dropped.
                drop(connection);
                let unsent = match sent.poll(context) {
                    Poll::Ready(Err(mut unanswered)) => unanswered.take_message(),
                    Poll::Ready(Ok(_)) | Poll::Pending => None,
                };
                this.sent.set(None);
                let fresh = *this.attempt == SendAttempt::Fresh;
                return match unsent {
                    Some(unsent) if !fresh => {
                        let again = again(endpoint, unsent, this.times.clone(), *this.attempt);
                        this.again.insert(again).as_mut().poll(context)
                    }
                    Some(_) => Poll::Ready(Err(endpoint.unreachable(closed.into()))),
                    None => Poll::Ready(Err(EndpointError::broken_off(closed, fresh))),
                };
            }
        }
        let Poll::Ready(answered) = answered else {
            let stage = ready!(this.times.poll_late(this.alarm, context));
            // The connection is closed, or the stream reset.
            this.sent.set(None);
            *this.on = None;
            return Poll::Ready(Err(EndpointError::timed_out(stage)));
        };
        let Some(ActiveConnection {
            endpoint,
            mut connection,
        }) = this.on.take()
        else {
            return Poll::Pending;
        };
        if let Some(error) = connection.too_many_interim() {
            return Poll::Ready(Err(error));
        }
        let (alarm, times) = (std::mem::take(this.alarm), this.times);
        match answered {
            Ok(response) => {
                *this.copy = None;
                let (head, inner) = response.into_parts();
                // hyper checks the header lines of HTTP/1.1.
                let limit = endpoint.opener.max_headers.unwrap_or(usize::MAX);
                if head.headers.len() > limit {
                    return Poll::Ready(Err(EndpointError::TooManyHeaders { limit }));
                }
                if let (StatusCode::SWITCHING_PROTOCOLS, MemberConnection::Http1(one)) =
                    (head.status, &mut connection)
                {
                    one.release_to_tunnel();
                }
                let (limits, upload) = (times.limits, times.upload.clone());
                let body = EndpointBody::new(inner, endpoint, connection, alarm, limits, upload);
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
            Err(mut unanswered) => {
                let unsent = unanswered.take_message();
                let was_unsent = unsent.is_some();
                let again = match (&connection, unsent) {
                    (MemberConnection::Http1(_), unsent) => {
                        match unsent.filter(|_| this.attempt.is_pooled()) {
                            Some(unsent) => {
                                Ok(again(endpoint, unsent, times.clone(), *this.attempt))
                            }
                            None => Err(endpoint),
                        }
                    }
                    (MemberConnection::Http2(two), unsent) => {
                        let copy = this.copy.take();
                        let unprocessed = is_unprocessed(unanswered.error());
                        let copied = || copy.filter(|_| unprocessed)?.request();
                        match (unsent.or_else(copied), this.attempt.after(two)) {
                            (Some(request), Some((choice, attempt))) => {
                                let times = times.clone();
                                let sent = open_and_send(endpoint, request, times, choice, attempt);
                                Ok(Box::pin(sent) as ExchangeFuture)
                            }
                            _ => Err(endpoint),
                        }
                    }
                };
                match again {
                    Ok(again) => {
                        this.sent.set(None);
                        this.again.insert(again).as_mut().poll(context)
                    }
                    Err(endpoint) => Poll::Ready(Err(failed(
                        &endpoint,
                        unanswered.into_error(),
                        was_unsent,
                        *this.attempt,
                    ))),
                }
            }
        }
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
