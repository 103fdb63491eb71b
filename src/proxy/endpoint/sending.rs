//! How a request gets to a connection to the member: [`begin`].
//!
//! ```text
//! begin ─► an open connection, or a new one ─► SentRequest ─► the head, and EndpointBody
//!                         ▲                         │
//!                         └───────── again ─────────┘
//! ```
//!
//! Not here: what happens on the connection (`exchange`, `body`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::UPGRADE;
use http::{Request, Response};
use tokio::time::Instant;

use super::body::EndpointBody;
use super::error::EndpointError;
use super::exchange::{Answer, BoxedRequest, Exchange, SendAttempt};
use super::member_connection::MemberConnection;
use super::outgoing::Outgoing;
use super::pool::ConnectionChoice;
use super::shared::SharedEndpoint;
use crate::service::FreshConnection;

/// How far a request is. It is small, because futures that contain it are moved.
pub(super) enum ExchangeStage {
    /// There was no open connection for it.
    Opening(OpeningFuture),
    Sent(BoxedRequest),
    /// There was a response, or an error.
    Over,
}

/// Resolves once the request is sent on a connection that was opened for it.
type OpeningFuture = Pin<Box<dyn Future<Output = Result<BoxedRequest, EndpointError>> + Send>>;

/// Sends a request to the member, on an open connection or a new one.
pub(super) fn begin(
    endpoint: &Arc<SharedEndpoint>,
    mut request: Request<Outgoing>,
) -> ExchangeStage {
    let now = Instant::now();
    let whole = endpoint.whole.map(|whole| now + whole);
    if let Err(source) = endpoint.address_to_member(&mut request) {
        return ExchangeStage::sent(Err(EndpointError::Request { source }));
    }
    let endpoint = endpoint.clone();
    if endpoint.may_be_http2() && request.headers().contains_key(UPGRADE) {
        return ExchangeStage::Opening(Box::pin(switch(endpoint, request, whole)));
    }
    let fresh = request.extensions().get::<FreshConnection>().is_some();
    let connection = if fresh { None } else { endpoint.pool.take() };
    match connection {
        Some(connection) => {
            let exchange = Exchange::new(endpoint, connection, SendAttempt::First, whole);
            ExchangeStage::sent(exchange.send(request, now))
        }
        None => open(endpoint, request, whole),
    }
}

impl ExchangeStage {
    fn sent(sent: Result<BoxedRequest, EndpointError>) -> Self {
        match sent {
            Ok(sent) => Self::Sent(sent),
            Err(error) => Self::Opening(Box::pin(std::future::ready(Err(error)))),
        }
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<EndpointBody>, EndpointError>> {
        loop {
            let next = match self {
                Self::Opening(opening) => ready!(opening.as_mut().poll(context)).map(Self::Sent),
                Self::Sent(sent) => match ready!(sent.as_mut().poll_head(context)) {
                    Ok(Answer::Head(head)) => {
                        let Self::Sent(sent) = std::mem::replace(self, Self::Over) else {
                            continue;
                        };
                        let body = EndpointBody::new(sent);
                        return Poll::Ready(Ok(Response::from_parts(head, body)));
                    }
                    Ok(Answer::Again(request, choice, attempt)) => {
                        Ok(again(&sent.exchange, *request, choice, attempt))
                    }
                    Err(error) => Err(error),
                },
                Self::Over => panic!("a future was polled after it had completed"),
            };
            match next {
                Ok(next) => *self = next,
                Err(error) => {
                    // The connection is closed, or the stream reset.
                    *self = Self::Over;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

async fn open_and_send(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    whole: Option<Instant>,
    choice: ConnectionChoice,
    attempt: SendAttempt,
) -> Result<BoxedRequest, EndpointError> {
    let connection = endpoint.open(choice, whole).await?;
    if matches!(connection, MemberConnection::Http2(_)) {
        endpoint.pool.start_reaper();
    }
    Exchange::new(endpoint, connection, attempt, whole).send(request, Instant::now())
}

async fn switch(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    whole: Option<Instant>,
) -> Result<BoxedRequest, EndpointError> {
    let connection = endpoint.open_for_upgrade(whole).await?;
    Exchange::new(endpoint, connection, SendAttempt::Fresh, whole).send(request, Instant::now())
}

/// Sends the request of an exchange on another connection.
fn again(
    failed: &Exchange,
    request: Request<Outgoing>,
    choice: ConnectionChoice,
    attempt: SendAttempt,
) -> ExchangeStage {
    let (endpoint, whole) = (failed.endpoint.clone(), failed.whole);
    if attempt == SendAttempt::Second {
        // A member that closed one connection may have closed all: they are not tried one
        // by one.
        endpoint.pool.remove_closed();
        return match endpoint.pool.take() {
            Some(connection) => {
                let second = Exchange::new(endpoint, connection, attempt, whole);
                ExchangeStage::sent(second.send(request, Instant::now()))
            }
            None => open(endpoint, request, whole),
        };
    }
    let sent = open_and_send(endpoint, request, whole, choice, attempt);
    ExchangeStage::Opening(Box::pin(sent))
}

/// Sends a request on a new connection, or on one that was opened meanwhile.
fn open(
    endpoint: Arc<SharedEndpoint>,
    request: Request<Outgoing>,
    whole: Option<Instant>,
) -> ExchangeStage {
    ExchangeStage::Opening(Box::pin(open_and_send(
        endpoint,
        request,
        whole,
        ConnectionChoice::Any,
        SendAttempt::Fresh,
    )))
}
