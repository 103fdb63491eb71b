//! One request and its answer, up to the head: [`begin`].
//!
//! What does not live here: the rest of the answer (`body`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::header::UPGRADE;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::body::{BodyTimeouts, EndpointBody};
use super::copied::Copied;
use super::error::{EndpointError, TimeoutStage, is_unprocessed};
use super::line::{Http2Line, MemberConnection, Unanswered, for_http_1, for_http_2};
use super::outgoing::Outgoing;
use super::pool::For;
use super::progress::{ExchangeAlarm, Progress};
use super::shared::SharedEndpoint;
use crate::net::ConnectError;
use crate::service::FreshConnection;

pub(super) type ExchangeFuture = Pin<Box<dyn Future<Output = ExchangeResult> + Send>>;

type ExchangeResult = Result<Response<EndpointBody>, EndpointError>;

/// Sends a request that is pointed at the member, on a connection that is open or on a new
/// one. On the way that most requests take, this is one allocation.
pub(super) fn begin(endpoint: Arc<SharedEndpoint>, request: Request<Outgoing>) -> ExchangeFuture {
    let times = Times::new(&endpoint, request.body().progress().clone());
    if endpoint.may_speak_2() && request.headers().contains_key(UPGRADE) {
        return Box::pin(switch(endpoint, request, times));
    }
    let fresh = request.extensions().get::<FreshConnection>().is_some();
    let line = if fresh { None } else { endpoint.pool.take() };
    match line {
        Some(line) => send(endpoint, line, request, times, Turn::First),
        None => open(endpoint, request, times),
    }
}

/// How often a request has found that its connection was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// It is on one that had been idle, or that is shared.
    First,
    /// The same, after all that were closed have been sorted out.
    Second,
    /// It is on a new one.
    Fresh,
    /// It is on one that is younger than the one on which it was not processed.
    Younger,
    /// It is the first on one that was opened for it.
    Alone,
}

impl Turn {
    /// Whether it is on one that was in the pool before.
    fn is_pooled(self) -> bool {
        matches!(self, Self::First | Self::Second)
    }

    /// Where a request goes that was not processed on a connection of HTTP/2: once to another
    /// connection; and if that ended after it had served others, to one of its own.
    fn after(self, line: &Http2Line) -> Option<(For, Self)> {
        match self {
            Self::First | Self::Second | Self::Fresh => {
                Some((For::After(line.number()), Self::Younger))
            }
            Self::Younger if line.has_served() => Some((For::Itself, Self::Alone)),
            Self::Younger | Self::Alone => None,
        }
    }
}

async fn open_and_send(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    mut times: Times,
    whom: For,
    turn: Turn,
) -> ExchangeResult {
    let line = endpoint.open(whom, times.limits.whole).await?;
    times.now = Instant::now();
    if matches!(line, MemberConnection::Http2(_)) {
        endpoint.pool.see_to();
    }
    send(endpoint, line, request, times, turn).await
}

async fn switch(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    mut times: Times,
) -> ExchangeResult {
    let line = endpoint.open_for_upgrade(times.limits.whole).await?;
    times.now = Instant::now();
    send(endpoint, line, request, times, Turn::Fresh).await
}

/// Sends what was not sent, on another connection.
fn again(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    times: Times,
    turn: Turn,
) -> ExchangeFuture {
    if turn == Turn::First {
        // A member that closed one may have closed all: they are not tried in turn.
        endpoint.pool.sort_out();
        if let Some(line) = endpoint.pool.take() {
            return send(endpoint, line, request, times, Turn::Second);
        }
    }
    open(endpoint, request, times)
}

/// Sends a request on a connection that is opened, or was opened meanwhile.
fn open(endpoint: Arc<SharedEndpoint>, request: Request<Outgoing>, times: Times) -> ExchangeFuture {
    Box::pin(open_and_send(
        endpoint,
        request,
        times,
        For::Any,
        Turn::Fresh,
    ))
}

fn send(
    endpoint: Arc<SharedEndpoint>,
    mut line: MemberConnection,
    mut request: Request<Outgoing>,
    mut times: Times,
    turn: Turn,
) -> ExchangeFuture {
    times.sent();
    let alarm = line.take_alarm();
    match &mut line {
        MemberConnection::Http1(one) => {
            for_http_1(&mut request);
            request.body_mut().hold(None);
            if times.upload.is_watched() {
                one.leave_to_task();
            }
            one.interim.watch(&mut request);
            let sent = one.sender.try_send_request(request);
            let on = On { endpoint, line };
            Box::pin(SentRequest::new(sent, on, None, alarm, times, turn))
        }
        MemberConnection::Http2(two) => {
            for_http_2(&mut request, &endpoint.authority, &endpoint.scheme);
            let copy = (turn != Turn::Alone).then(|| Box::new(Copied::of(&mut request)));
            request.body_mut().hold(two.stream());
            let sent = two.send(request);
            let on = On { endpoint, line };
            Box::pin(SentRequest::new(sent, on, copy, alarm, times, turn))
        }
    }
}

/// How a connection of HTTP/1.1 says that it is closed, if it is.
fn closed(on: &mut Option<On>, context: &mut Context<'_>) -> Option<hyper::Error> {
    let Some(On {
        line: MemberConnection::Http1(one),
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

/// How long things may take.
#[derive(Clone)]
struct Times {
    limits: BodyTimeouts,
    head: Option<Duration>,
    upload: Progress,
    /// How far the upload was when `head_due` was set.
    seen: u32,
    head_due: Option<Instant>,
    /// The last that is known: reading the clock is not for nothing.
    now: Instant,
}

impl Times {
    fn new(endpoint: &SharedEndpoint, upload: Progress) -> Self {
        let now = Instant::now();
        Self {
            limits: BodyTimeouts {
                frame: endpoint.frame,
                whole: endpoint.whole.map(|whole| now + whole),
            },
            head: endpoint.head,
            seen: upload.seen(),
            head_due: None,
            upload,
            now,
        }
    }

    /// The same, for a request that is sent again.
    fn for_another(&self, body: &Outgoing) -> Self {
        let upload = body.progress().clone();
        Self {
            seen: upload.seen(),
            head_due: None,
            upload,
            ..*self
        }
    }

    /// From here on, the answer is waited for.
    fn sent(&mut self) {
        self.head_due = self.head.map(|head| self.now + head);
    }

    /// Tells what has taken too long, if anything has.
    fn poll_late(
        &mut self,
        alarm: &mut ExchangeAlarm,
        context: &mut Context<'_>,
    ) -> Poll<TimeoutStage> {
        loop {
            let seen = self.upload.seen();
            if seen != self.seen {
                // As long as the request goes on, nobody waits for its answer.
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
    /// A request on a connection; `F` is hyper's future, which has no name.
    struct SentRequest<F> {
        // `None` while `again` is polled, which is so at most twice.
        #[pin]
        sent: Option<F>,
        // `None` once it is answered.
        on: Option<On>,
        alarm: ExchangeAlarm,
        times: Times,
        turn: Turn,
        // What to send if the member has not processed it.
        copy: Option<Box<Copied>>,
        // On another connection, as this one turned out to be closed.
        again: Option<ExchangeFuture>,
    }
}

/// Where a request is, and whose.
struct On {
    endpoint: Arc<SharedEndpoint>,
    line: MemberConnection,
}

impl<F> SentRequest<F> {
    fn new(
        sent: F,
        on: On,
        copy: Option<Box<Copied>>,
        alarm: ExchangeAlarm,
        times: Times,
        turn: Turn,
    ) -> Self {
        Self {
            sent: Some(sent),
            on: Some(on),
            alarm,
            times,
            turn,
            copy,
            again: None,
        }
    }
}

impl<F> Future for SentRequest<F>
where
    F: Future<Output = Result<Response<Incoming>, Unanswered>>,
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
            Some(On {
                line: MemberConnection::Http1(one),
                ..
            }) if one.is_carried_here() => {
                one.carry(context);
                true
            }
            _ => false,
        };
        let mut answered = if here {
            // To be woken by what was just done would mean to be polled once more for nothing.
            // Nor is anybody woken if the budget of the task is used up.
            let mut nobody = Context::from_waker(Waker::noop());
            std::pin::pin!(unconstrained(sent.as_mut())).poll(&mut nobody)
        } else {
            sent.as_mut().poll(context)
        };
        let waits = answered.is_pending() && !here;
        if let Some(closed) = waits.then(|| closed(this.on, context)).flatten() {
            // What was answered before that is there now.
            answered = sent.as_mut().poll(context);
            let lost = answered.is_pending().then(|| this.on.take()).flatten();
            if let Some(On { endpoint, line }) = lost {
                // Its task has ended while hyper handed the request over. It lies in their
                // channel, which nothing wakes, and comes back when the sender is gone.
                drop(line);
                let unsent = match sent.poll(context) {
                    Poll::Ready(Err(mut unanswered)) => unanswered.take_message(),
                    Poll::Ready(Ok(_)) | Poll::Pending => None,
                };
                this.sent.set(None);
                let fresh = *this.turn == Turn::Fresh;
                return match unsent {
                    Some(unsent) if !fresh => {
                        let again = again(endpoint, unsent, this.times.clone(), *this.turn);
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
        let Some(On { endpoint, mut line }) = this.on.take() else {
            return Poll::Pending;
        };
        if let Some(error) = line.too_many_interim() {
            return Poll::Ready(Err(error));
        }
        let (alarm, times) = (std::mem::take(this.alarm), this.times);
        match answered {
            Ok(response) => {
                *this.copy = None;
                let (head, inner) = response.into_parts();
                // hyper looks after those of HTTP/1.1.
                let limit = endpoint.opener.max_headers.unwrap_or(usize::MAX);
                if head.headers.len() > limit {
                    return Poll::Ready(Err(EndpointError::TooManyHeaders { limit }));
                }
                if let (StatusCode::SWITCHING_PROTOCOLS, MemberConnection::Http1(one)) =
                    (head.status, &mut line)
                {
                    one.leave_to_tunnel();
                }
                let (limits, upload) = (times.limits, times.upload.clone());
                let body = EndpointBody::new(inner, endpoint, line, alarm, limits, upload);
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
            Err(mut unanswered) => {
                let unsent = unanswered.take_message();
                let was_unsent = unsent.is_some();
                let again = match (&line, unsent) {
                    (MemberConnection::Http1(_), unsent) => {
                        match unsent.filter(|_| this.turn.is_pooled()) {
                            Some(unsent) => Ok(again(endpoint, unsent, times.clone(), *this.turn)),
                            None => Err(endpoint),
                        }
                    }
                    (MemberConnection::Http2(two), unsent) => {
                        let copy = this.copy.take();
                        let unprocessed = is_unprocessed(unanswered.error());
                        let copied = || copy.filter(|_| unprocessed)?.request();
                        match (unsent.or_else(copied), this.turn.after(two)) {
                            (Some(request), Some((whom, turn))) => {
                                let times = times.for_another(request.body());
                                let sent = open_and_send(endpoint, request, times, whom, turn);
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
                        *this.turn,
                    ))),
                }
            }
        }
    }
}

/// Why there is no answer.
fn failed(
    endpoint: &SharedEndpoint,
    error: hyper::Error,
    unsent: bool,
    turn: Turn,
) -> EndpointError {
    if unsent {
        return endpoint.unreachable(error.into());
    }
    if turn.is_pooled() {
        // A member that closed one may have closed all.
        endpoint.pool.sort_out();
    } else if endpoint.is_refusal(&error) {
        let source = io::Error::other(error);
        return endpoint.unreachable(ConnectError::Tls { source }.into());
    }
    EndpointError::broken_off(error, !turn.is_pooled())
}
