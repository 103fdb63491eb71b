//! The sending side of one connection to a member: [`MemberConnection`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::{http1, http2};
use tokio::task::AbortHandle;

use super::error::EndpointError;
use super::interim::InterimLimit;
use super::outgoing::Outgoing;
use super::peer::Peer;
use super::permit::{Http2ConnectionState, StreamPermit};
use super::progress::ExchangeAlarm;
use crate::service::{host_of, join_cookies};
use crate::sync::{AtomicU32, Mutex, Relaxed};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HOP_BY_HOP: [HeaderName; 4] = [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING];

/// A connection that accepts requests.
#[derive(Debug)]
pub(super) enum MemberConnection {
    /// One at a time.
    Http1(Http1Connection),
    /// Many at a time, shared by requests.
    Http2(Http2Connection),
}

/// A handle to a connection: the pool's, or that of a request, which has a stream.
#[derive(Debug)]
pub(super) struct Http2Connection {
    /// `None` once it has sent a request. hyper may queue a request for a connection that
    /// is just ending. It returns such a request when the last sender is dropped, and not
    /// before. Therefore only the pool keeps a sender, until it is notified that the
    /// connection is gone.
    sender: Option<http2::SendRequest<Outgoing>>,
    shared: Arc<Http2ConnectionState>,
    /// `None` in the pool.
    stream: Option<Arc<StreamPermit>>,
}

impl Http2Connection {
    pub(super) fn new(
        sender: http2::SendRequest<Outgoing>,
        peer: Peer,
        most: u32,
        number: u32,
    ) -> Self {
        let shared = Http2ConnectionState {
            peer,
            most,
            number,
            streams: AtomicU32::new(0),
            alarms: Mutex::default(),
        };
        Self {
            sender: Some(sender),
            shared: Arc::new(shared),
            stream: None,
        }
    }

    /// Reserves a stream for a request.
    pub(super) fn with_stream(&self) -> Self {
        self.shared.streams.fetch_add(1, Relaxed);
        Self {
            sender: self.sender.clone(),
            shared: self.shared.clone(),
            stream: Some(Arc::new(StreamPermit(self.shared.clone()))),
        }
    }

    /// Sends the request that this handle was created for; `None` if it was sent already.
    pub(super) fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Option<impl Future<Output = HyperResult> + Send + use<>> {
        let mut sender = self.sender.take()?;
        Some(sender.try_send_request(request))
    }

    /// Shares the stream with an upload, which may last longer than the response.
    pub(super) fn stream(&self) -> Option<Arc<StreamPermit>> {
        self.stream.clone()
    }

    /// Keeps the alarm of an exchange that has ended for another one.
    pub(super) fn return_alarm(&self, alarm: ExchangeAlarm) {
        if alarm.is_set() {
            self.shared.alarms.lock().push(alarm);
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.shared.number
    }

    pub(super) fn is_younger_than(&self, number: u32) -> bool {
        // The numbers may wrap around.
        let older_by = self.shared.number.wrapping_sub(number);
        (1..u32::MAX / 2).contains(&older_by)
    }

    /// Returns how many streams are in use.
    pub(super) fn streams(&self) -> u32 {
        self.shared.streams.load(Relaxed)
    }

    /// Returns how many streams may be in use; `None` before the member's first SETTINGS.
    pub(super) fn allowed(&self) -> Option<u32> {
        let allowed = self.shared.peer.state().allowed?;
        Some(allowed.min(self.shared.most))
    }

    /// Returns whether new requests may be sent on it.
    pub(super) fn takes_requests(&self) -> bool {
        let state = self.shared.peer.state();
        let open = self.sender.as_ref().is_some_and(|it| !it.is_closed());
        open && state.last.is_none() && !state.gone
    }

    /// Returns whether the member has processed requests on it, and then announced that it
    /// closes it.
    pub(super) fn has_served(&self) -> bool {
        self.shared.peer.state().last.is_some_and(|last| last > 0)
    }

    /// Returns what the member has announced about it.
    pub(super) fn peer(&self) -> Peer {
        self.shared.peer.clone()
    }
}

#[derive(Debug)]
pub(super) struct Http1Connection {
    pub(super) sender: http1::SendRequest<Outgoing>,
    pub(super) alarm: ExchangeAlarm,
    pub(super) interim: InterimLimit,
    /// The connection takes no further request.
    pub(super) is_last: bool,
    driver: ConnectionDriver,
}

/// hyper's connection, which must be polled for anything to move.
pub(super) type HyperConnection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the connection is polled. It is dropped together with the handle: hyper would
/// first wait until the member has read everything that was written, and a member may never
/// read.
enum ConnectionDriver {
    /// It has ended.
    Gone,
    /// The task that waits for the response, so that no other task needs to be woken.
    Here(HyperConnection),
    /// A task of its own, so that an upload continues whatever its client waits for.
    Task(AbortOnDrop),
}

impl Http1Connection {
    pub(super) fn new(
        sender: http1::SendRequest<Outgoing>,
        connection: HyperConnection,
        interim: InterimLimit,
    ) -> Self {
        Self {
            sender,
            alarm: ExchangeAlarm::default(),
            interim,
            is_last: false,
            driver: ConnectionDriver::Here(connection),
        }
    }

    /// Moves the connection to a task of its own.
    pub(super) fn move_to_task(&mut self) {
        self.driver = match std::mem::replace(&mut self.driver, ConnectionDriver::Gone) {
            ConnectionDriver::Here(connection) => {
                let task = tokio::spawn(connection);
                ConnectionDriver::Task(AbortOnDrop(Some(task.abort_handle())))
            }
            driver => driver,
        };
    }

    /// Leaves the connection to the tunnel that it was switched to.
    pub(super) fn release_to_tunnel(&mut self) {
        if let ConnectionDriver::Task(task) = &mut self.driver {
            task.0 = None;
        }
    }

    /// Polls the connection, unless a task does.
    pub(super) fn poll_connection(&mut self, context: &mut Context<'_>) {
        if let ConnectionDriver::Here(connection) = &mut self.driver {
            if connection.as_mut().poll(context).is_ready() {
                self.driver = ConnectionDriver::Gone;
            }
        }
    }

    /// Returns whether the exchange advances by
    /// [`poll_connection`](Self::poll_connection) only, so that no other task needs to wake
    /// the one that waits for it.
    pub(super) fn is_polled_here(&self) -> bool {
        matches!(self.driver, ConnectionDriver::Here(_))
    }

    /// Returns whether the connection is still open, as far as the system knows.
    pub(super) fn is_alive(&mut self) -> bool {
        self.poll_connection(&mut Context::from_waker(Waker::noop()));
        !self.sender.is_closed()
    }
}

/// Aborts the task when dropped, unless it was released.
struct AbortOnDrop(Option<AbortHandle>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl fmt::Debug for ConnectionDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "Gone",
            Self::Here(_) => "Here",
            Self::Task(_) => "Task",
        })
    }
}

/// A request that was not sent, or why there is no response.
pub(super) type SendFailure = TrySendError<Request<Outgoing>>;

/// What hyper returns for a request.
pub(super) type HyperResult = Result<Response<Incoming>, SendFailure>;

impl MemberConnection {
    /// Takes an alarm that an earlier exchange has set, if there is one.
    pub(super) fn take_alarm(&mut self) -> ExchangeAlarm {
        match self {
            Self::Http1(connection) => std::mem::take(&mut connection.alarm),
            Self::Http2(connection) => {
                let alarm = connection.shared.alarms.lock().pop();
                alarm.unwrap_or_default()
            }
        }
    }

    /// Returns why the connection broke off, if it was too many interim responses.
    pub(super) fn too_many_interim(&self) -> Option<EndpointError> {
        match self {
            Self::Http1(connection) => connection.interim.error(),
            Self::Http2(_) => None,
        }
    }
}

/// Puts the target into origin form, and adds the fields that HTTP/2 omits. It is
/// idempotent, and may follow [`for_http_2`].
pub(super) fn for_http_1(request: &mut Request<Outgoing>) {
    if request.version() == Version::HTTP_2 {
        join_cookies(request.headers_mut());
    }
    *request.version_mut() = Version::HTTP_11;
    if let Some(authority) = request.uri().authority() {
        let host = host_of(authority).filter(|_| !request.headers().contains_key(HOST));
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host);
        }
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
    if request.headers().contains_key(TE) {
        // RFC 9110, 10.1.4.
        let te = HeaderValue::from_static("te");
        request.headers_mut().append(CONNECTION, te);
    }
}

/// Puts the target into absolute form, and removes hop-by-hop fields (RFC 9113, 8.2.2).
pub(super) fn for_http_2(request: &mut Request<Outgoing>, authority: &Authority, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    // Most requests have none of them.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in HOP_BY_HOP {
            headers.remove(name);
        }
    }
    // The value of `Host` goes into the authority.
    let host = headers.remove(HOST);
    let other = host.filter(|host| host.as_bytes() != authority.as_str().as_bytes());
    let host = other.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // A request that is sent again has its host in the authority already.
    let host = host.or_else(|| request.uri().authority().cloned());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(host.unwrap_or_else(|| authority.clone()));
    parts.path_and_query = request.uri().path_and_query().cloned();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use http::header::HOST;
    use http::uri::{Authority, Scheme};
    use http::{Request, Version};
    use http_body_util::Empty;

    use super::super::outgoing::Outgoing;
    use super::{for_http_1, for_http_2};

    #[test]
    fn a_request_that_is_sent_again_keeps_its_host_by_either_version() {
        let body = || Outgoing::new(Empty::new(), Version::HTTP_11);
        let mut request = Request::new(body());
        *request.uri_mut() = "/path?x".parse().unwrap();
        request
            .headers_mut()
            .insert(HOST, "a.example".parse().unwrap());
        let authority = Authority::from_static("10.0.0.1:80");
        for _ in 0..2 {
            for_http_2(&mut request, &authority, &Scheme::HTTP);
            assert_eq!(request.uri(), "http://a.example/path?x");
        }
        for _ in 0..2 {
            for_http_1(&mut request);
            assert_eq!(request.uri(), "/path?x");
            assert_eq!(request.headers()[HOST], "a.example");
        }
    }
}
