//! One connection to a member, from the side that sends: [`Line`].

use std::sync::Arc;

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Uri, Version};
use hyper::client::conn::TrySendError;
use hyper::client::conn::{http1, http2};
use tokio::task::AbortHandle;

use super::outgoing::Outgoing;
use super::progress::Alarm;
use crate::service::join_cookies;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// A connection that takes requests.
#[derive(Debug)]
pub(super) enum Line {
    /// One at a time.
    Http1(Http1Line),
    /// Many at a time; it is shared.
    Http2(Http2Line),
}

/// Clones are the same connection.
#[derive(Clone, Debug)]
pub(super) struct Http2Line {
    pub(super) sender: http2::SendRequest<Outgoing>,
    /// As many as there are clones.
    users: Arc<()>,
}

impl Http2Line {
    pub(super) fn new(sender: http2::SendRequest<Outgoing>) -> Self {
        let users = Arc::new(());
        Self { sender, users }
    }

    /// Whether there is any clone but this.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.users) > 1
    }
}

#[derive(Debug)]
pub(super) struct Http1Line {
    pub(super) sender: http1::SendRequest<Outgoing>,
    pub(super) alarm: Alarm,
    carried: Carried,
}

impl Http1Line {
    pub(super) fn new(sender: http1::SendRequest<Outgoing>, carrying: AbortHandle) -> Self {
        Self {
            sender,
            alarm: Alarm::default(),
            carried: Carried(Some(carrying)),
        }
    }

    /// Leaves the connection to whoever has switched it to another protocol.
    pub(super) fn leave(&mut self) {
        self.carried.0 = None;
    }
}

/// Ends the connection with the line: hyper would first wait until a member has taken all
/// that was written, and one that reads nothing never has.
#[derive(Debug)]
struct Carried(Option<AbortHandle>);

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(carrying) = &self.0 {
            carrying.abort();
        }
    }
}

/// A request that was not sent, or why there is no answer.
pub(super) type Unanswered = TrySendError<Request<Outgoing>>;

impl Line {
    /// Takes its alarm along; one that is shared has none.
    pub(super) fn take_alarm(&mut self) -> Alarm {
        match self {
            Self::Http1(line) => std::mem::take(&mut line.alarm),
            Self::Http2(_) => Alarm::default(),
        }
    }
}

/// The target in origin form, and what HTTP/2 leaves out. Doing that again does no harm,
/// nor does it for the other form.
pub(super) fn for_http_1(request: &mut Request<Outgoing>) {
    if request.version() == Version::HTTP_2 {
        join_cookies(request.headers_mut());
    }
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
    if request.headers().contains_key(TE) {
        // RFC 9110, 10.1.4.
        let te = HeaderValue::from_static("te");
        request.headers_mut().append(CONNECTION, te);
    }
}

/// The whole target, and no word about the connection (RFC 9113, 8.2.2).
pub(super) fn for_http_2(request: &mut Request<Outgoing>, authority: &Authority, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    // What `Host` says goes into the authority.
    let host = headers.remove(HOST);
    let other = host.filter(|host| host.as_bytes() != authority.as_str().as_bytes());
    let host = other.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(host.unwrap_or_else(|| authority.clone()));
    parts.path_and_query = request.uri().path_and_query().cloned();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}
