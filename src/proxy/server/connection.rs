//! A client's connection, from its first byte to its end.
//!
//! Not here: its bytes (`client_stream`) and its requests (`request`).

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use tokio::task::unconstrained;
use tokio::time::Instant;
use tower_service::Service;

use super::ClientBody;
use super::client_stream::ClientStream;
use super::connection_state::{ConnectionDue, ConnectionState};
use super::facts_beside::finds_facts_beside;
use super::first_bytes::first_bytes;
use super::held_heads::HeadBudget;
use super::options::Options;
use super::request::RequestService;
use super::streams::StreamTasks;
use crate::net::{
    Accepted, Arrived, ConnectionPermit, Evictable, IdleConnections, LAST_CALL, Stopping, Stream,
    TlsSession,
};
use crate::proxy::fields::MOST_LINES;
use crate::proxy::forwarding::ForwardedClient;
use crate::proxy::{ClientAddr, ConnectionFacts, ServerAddr};
use crate::service::BoxError;
use crate::timer::Deadline;

/// An accepted connection, with what is needed to serve it.
pub(super) struct ClientConnection<S> {
    pub(super) arrived: Arrived,
    pub(super) service: S,
    pub(super) options: Arc<Options>,
}

/// The number of bytes of an HTTP/2 response that are buffered while the socket is full.
const MOST_UNSENT: usize = 64 * 1024;

impl<S, B> ClientConnection<S>
where
    S: Service<http::Request<ClientBody>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Serves the connection until it ends. Errors end it, and are not reported.
    pub(super) async fn serve(self) {
        let Self {
            arrived,
            service,
            options,
        } = self;
        let Arrived {
            accepted,
            place,
            stopping,
            idle,
        } = arrived;
        let state = || {
            let (requests, discard) = (options.max_requests, options.max_discard);
            Arc::new(ConnectionState::new(options.patience, requests, discard))
        };
        // The time limit for a head starts here, or at the end of the handshake.
        let early = state();
        let opened = {
            // Pinned here: each future that contains another by value has room for it twice.
            let opening = pin!(OpenedConnection::open(accepted, &options));
            stopping.opened_in(options.patience.head, opening).await
        };
        if let Some(Ok(opened)) = opened {
            let late = opened.secured.is_some();
            let state = if late { state() } else { early };
            let speaking = HttpConnection {
                service,
                options: options.clone(),
                place,
                stopping,
                idle,
                state,
            };
            speaking.speak(opened).await;
        }
    }
}

/// A connection on which HTTP begins.
struct HttpConnection<S> {
    service: S,
    options: Arc<Options>,
    place: ConnectionPermit,
    stopping: Stopping,
    idle: IdleConnections,
    state: Arc<ConnectionState>,
}

impl<S, B> HttpConnection<S>
where
    S: Service<http::Request<ClientBody>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn speak(self, opened: OpenedConnection) {
        if opened.is_two {
            // Boxed, so that connections over HTTP/1, which are much smaller, take no room for it.
            Box::pin(self.speak_http2(opened)).await;
        } else {
            self.speak_http1(opened).await;
        }
    }

    async fn speak_http1(self, opened: OpenedConnection) {
        let (stopping, idle, state) =
            (self.stopping.clone(), self.idle.clone(), self.state.clone());
        let mut http1 = http1::Builder::new();
        http1
            .max_header_size(self.options.max_head)
            .half_close(true);
        if let Some(lines) = self.options.max_headers {
            http1.max_headers(lines.min(MOST_LINES));
        }
        let (bytes, requests) = self.parts(opened);
        let connection = pin!(http1.serve_connection(bytes, requests).with_upgrades());
        let watch = ConnectionDeadline::new(&state, &idle, stopping, true);
        watch
            .over(connection, http1::UpgradeableConnection::graceful_shutdown)
            .await;
    }

    async fn speak_http2(self, opened: OpenedConnection) {
        let (stopping, idle, state) =
            (self.stopping.clone(), self.idle.clone(), self.state.clone());
        let options = self.options.clone();
        let streams = StreamTasks {
            limit: options.patience.reading,
        };
        let (bytes, requests) = self.parts(opened);
        let connection = http2::Builder::new(streams)
            .timer(TokioTimer::new())
            .max_header_list_size(options.http2_header_list())
            .max_concurrent_streams(options.http2_streams)
            .initial_stream_window_size(options.http2_stream_window())
            .initial_connection_window_size(options.http2_connection_window())
            .max_send_buf_size(MOST_UNSENT)
            // Detects a dead client while a response is owed.
            .keep_alive_interval(Some(options.patience.idle))
            .keep_alive_timeout(options.patience.head)
            .serve_connection(bytes, requests);
        let watch = ConnectionDeadline::new(&state, &idle, stopping, false);
        watch
            .over(pin!(connection), http2::Connection::graceful_shutdown)
            .await;
    }

    /// Makes the I/O of the connection, and the service for its requests.
    fn parts(self, opened: OpenedConnection) -> (ClientStream, RequestService<S>) {
        let Self {
            service,
            options,
            place,
            stopping,
            state,
            ..
        } = self;
        let facts = ConnectionFacts {
            to_forward: opened.client.map(|it| ForwardedClient::new(it.0.ip())),
            client: opened.client,
            here: opened.here,
            tls: opened.secured,
            cut: stopping.cut(),
        };
        let heads = opened
            .is_two
            .then(|| HeadBudget::new(options.head_limits, options.heads.clone()));
        let bytes = ClientStream::new(
            opened.stream,
            opened.first,
            state.clone(),
            !opened.is_two,
            options.linger,
            place,
        );
        let requests = RequestService {
            service: RefCell::new(service),
            connection: state,
            beside: options.facts_beside || finds_facts_beside::<S>(),
            options,
            facts: Arc::new(facts),
            heads,
        };
        (bytes, requests)
    }
}

/// A connection before its first request.
struct OpenedConnection {
    stream: Stream,
    client: Option<ClientAddr>,
    here: Option<ServerAddr>,
    secured: Option<TlsSession>,
    /// Bytes that were read already.
    first: Bytes,
    is_two: bool,
}

impl OpenedConnection {
    /// Finds out the client's address, and the HTTP version.
    async fn open(accepted: Accepted, options: &Options) -> io::Result<Self> {
        let accepted = options.opening.open(accepted).await?;
        let (mut stream, client, secured) = accepted.into_parts();
        let here = options.server_addr.then(|| stream.local_addr()).flatten();
        let agreed = stream.alpn().map(|protocol| protocol == b"h2");
        let (first, is_two) = match agreed {
            Some(is_two) => (Bytes::new(), is_two),
            None => first_bytes(&mut stream).await?,
        };
        Ok(Self {
            stream,
            client: client.map(ClientAddr),
            here: here.map(ServerAddr),
            secured,
            first,
            is_two,
        })
    }
}

/// Ends a connection when a time limit is exceeded.
struct ConnectionDeadline<'l> {
    state: &'l Arc<ConnectionState>,
    idle: &'l IdleConnections,
    stopping: Stopping,
    /// The time in which a client may send one more request when the server stops.
    grace: Duration,
    /// Whether each response announces that it is the last, so the connection is told
    /// to end only when it is idle. HTTP/2 announces the end by itself.
    says_so: bool,
}

impl<'l> ConnectionDeadline<'l> {
    fn new(
        state: &'l Arc<ConnectionState>,
        idle: &'l IdleConnections,
        stopping: Stopping,
        says_so: bool,
    ) -> Self {
        Self {
            state,
            idle,
            grace: stopping.grace(),
            stopping,
            says_so,
        }
    }

    /// Polls a connection to its end; `end` starts a graceful end.
    async fn over<C>(self, mut connection: Pin<&mut C>, end: impl Fn(Pin<&mut C>))
    where
        C: Future,
    {
        let Self {
            state,
            idle,
            stopping,
            grace,
            says_so,
        } = self;
        let mut alarm = ConnectionAlarm::new(state);
        let mut listening = stopping.clone();
        // Without the task's budget: if it is used up, the signal would go unnoticed.
        let mut draining = pin!(unconstrained(listening.draining()));
        let (mut ending, mut listened, mut told) = (false, false, false);
        let mut entry = None;
        std::future::poll_fn(|context| {
            // As below, a single waker is enough.
            entry.get_or_insert_with(|| idle.enter(state.clone(), context.waker()));
            loop {
                if connection.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                if state.unread.is_discarded()
                    && state
                        .unread
                        .poll_discard(state.is_busy(), context)
                        .is_ready()
                {
                    state.note_idle();
                    continue;
                }
                if state.is_evicted() {
                    if state.idle_since().is_none() {
                        state.cancel_eviction();
                    } else if ending {
                        // All pending bytes have been written.
                        return Poll::Ready(());
                    } else {
                        ending = true;
                        end(connection.as_mut());
                        alarm.set(Instant::now() + LAST_CALL);
                        continue;
                    }
                }
                // This task has only one waker: registering it once is enough until it is
                // woken.
                told = told
                    || (!listened || stopping.has_begun())
                        && draining.as_mut().poll(context).is_ready();
                listened = true;
                if says_so {
                    if told && !state.is_closing() {
                        state.close_after_response(grace);
                        alarm.set(Instant::now() + grace);
                    }
                } else if !ending && (told || state.has_max_requests()) {
                    ending = true;
                    end(connection.as_mut());
                    alarm.set(Instant::now() + LAST_CALL);
                    continue;
                }
                match ready!(alarm.poll(state, ending, context)) {
                    ConnectionDue::Close if !ending => {
                        ending = true;
                        end(connection.as_mut());
                        alarm.set(Instant::now() + LAST_CALL);
                    }
                    // A connection that has not ended gracefully by now will not.
                    ConnectionDue::Close | ConnectionDue::Cut | ConnectionDue::Nothing { .. } => {
                        return Poll::Ready(());
                    }
                }
            }
        })
        .await;
    }
}

/// A timer that fires when a time limit may be exceeded.
struct ConnectionAlarm {
    sleep: Pin<Box<Deadline>>,
    /// The timer is set, and will wake the connection's task.
    set: bool,
}

impl ConnectionAlarm {
    fn new(state: &ConnectionState) -> Self {
        let first = match state.due(false) {
            ConnectionDue::Nothing { until } => until,
            ConnectionDue::Close | ConnectionDue::Cut => Instant::now(),
        };
        Self {
            sleep: Box::pin(Deadline::at(first)),
            set: false,
        }
    }

    fn set(&mut self, to: Instant) {
        self.sleep.as_mut().reset(to);
        self.set = false;
    }

    /// Resolves once a time limit is exceeded.
    fn poll(
        &mut self,
        state: &ConnectionState,
        ending: bool,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionDue> {
        loop {
            // Once it is set, checking it is enough, and cheaper than a poll.
            if self.set && !self.sleep.is_elapsed() {
                return Poll::Pending;
            }
            if self.sleep.as_mut().poll(context).is_pending() {
                self.set = true;
                return Poll::Pending;
            }
            match state.due(ending) {
                ConnectionDue::Nothing { until } => self.set(until),
                due => return Poll::Ready(due),
            }
        }
    }
}

#[cfg(all(test, feature = "forward"))]
mod tests {
    use super::ClientConnection;
    use crate::net::{Arrived, Stream};
    use crate::proxy::Server;
    use http_body_util::Empty;
    use std::convert::Infallible;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let service = tower::service_fn(async |_| {
            Ok::<_, Infallible>(http::Response::new(Empty::<bytes::Bytes>::new()))
        });
        let connection = ClientConnection {
            arrived: Arrived::alone(Stream::from(stream)).unwrap(),
            service,
            options: Arc::new(Server::new().options),
        };
        let bytes = size_of_val(&connection.serve());
        assert!(bytes < 4_096, "{bytes}");
    }
}
