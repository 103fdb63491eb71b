//! State that the clones of an endpoint share: [`SharedEndpoint`]. It addresses requests to
//! the member, and provides connections.
//!
//! Not here: opening connections (`connect`), keeping them (`pool`), and the
//! exchange itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, StatusCode, Uri};
use http_body::Body;
use tokio::time::Instant;

use super::connect::{ConnectionOpener, HttpVersions};
use super::error::EndpointError;
use super::member_connection::MemberConnection;
use super::outgoing::Outgoing;
use super::pool::{ConnectionChoice, NoConnection, Pool};
use crate::service::{BoxError, HostKept, RequestError, causes, host_of, under};
use crate::timer::timeout_at;

/// State that clones share.
#[derive(Debug)]
pub(super) struct SharedEndpoint {
    pub(super) opener: ConnectionOpener,
    pub(super) pool: Arc<Pool>,
    pub(super) scheme: Scheme,
    /// The member's name in errors: its authority, or the path of its socket.
    pub(super) to: Arc<str>,
    pub(super) authority: Authority,
    /// `None` if the client's `Host` is kept.
    pub(super) host: Option<HeaderValue>,
    pub(super) connect: Duration,
    pub(super) head: Option<Duration>,
    pub(super) frame: Option<Duration>,
    pub(super) whole: Option<Duration>,
}

impl SharedEndpoint {
    /// Addresses a request to the member. The connection brings it into the form of its
    /// HTTP version.
    pub(super) fn address_to_member(
        &self,
        request: &mut Request<Outgoing>,
    ) -> Result<(), RequestError> {
        let exact = request.body().size_hint().exact();
        length_of_the_body(request.headers_mut(), exact)?;
        let kept = || request.extensions().get::<HostKept>().is_some();
        let host = match &self.host {
            Some(host) if !kept() => Some(host.clone()),
            // RFC 9112, 3.2.2: a host in the request line takes precedence over the header.
            _ => request.uri().authority().and_then(host_of),
        };
        // A client of HTTP/1.0 may omit `Host`; a proxy may not.
        let silent = || !request.headers().contains_key(HOST);
        let host = host.or_else(|| silent().then(|| host_of(&self.authority))?);
        if let Some(path) = self.path(request.uri())? {
            *request.uri_mut() = Uri::from(path);
        }
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host);
        }
        Ok(())
    }

    /// Returns the target of the request at the member; `None` if it is this one.
    fn path(&self, uri: &Uri) -> Result<Option<PathAndQuery>, RequestError> {
        let prefix = self.opener.uri.path();
        match uri.path_and_query() {
            Some(path) if prefix == "/" || path.path() == "*" => {
                let relative = uri.scheme().is_none() && uri.authority().is_none();
                Ok((!relative).then(|| path.clone()))
            }
            Some(path) => under(prefix, path).map(Some),
            None => Ok(Some(PathAndQuery::from_static("/"))),
        }
    }

    /// Returns whether a new connection may turn out to be HTTP/2, unless HTTP/1.1 is
    /// requested.
    pub(super) fn may_be_http2(&self) -> bool {
        self.opener.connector.is_secured() && self.opener.versions == HttpVersions::Any
    }

    /// Opens a connection within the time limit.
    pub(super) async fn open(
        &self,
        choice: ConnectionChoice,
        until: Option<Instant>,
    ) -> Result<MemberConnection, EndpointError> {
        let connect = self.opener.connect(self.opener.versions);
        // The wait for a connection that is being opened counts, too: otherwise the times
        // would add up.
        self.in_time(self.pool.open(connect, choice), until).await
    }

    /// Opens an HTTP/1.1 connection for a request to switch protocols, which HTTP/2 cannot.
    pub(super) async fn open_for_upgrade(
        &self,
        until: Option<Instant>,
    ) -> Result<MemberConnection, EndpointError> {
        let connect = async {
            let connected = self.opener.connect(HttpVersions::Http1).await;
            connected.map_err(NoConnection::Failed)
        };
        self.in_time(connect, until).await
    }

    async fn in_time(
        &self,
        opening: impl Future<Output = Result<MemberConnection, NoConnection>>,
        until: Option<Instant>,
    ) -> Result<MemberConnection, EndpointError> {
        let limit = Instant::now() + self.connect;
        let limit = until.map_or(limit, |until| limit.min(until));
        match timeout_at(limit, opening).await {
            Ok(opened) => opened.map_err(|none| match none {
                NoConnection::Failed(source) => self.unreachable(source),
                NoConnection::Full(limit) => EndpointError::AtCapacity {
                    limit,
                    source: self.pool.capacity.exceeded(limit).into(),
                },
            }),
            Err(_) => {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                Err(self.unreachable(late.into()))
            }
        }
    }

    pub(super) fn is_refusal(&self, error: &hyper::Error) -> bool {
        causes(error).any(|cause| self.opener.connector.is_refusal(cause))
    }

    /// The error for a request without a connection.
    pub(super) fn unconnected(&self) -> EndpointError {
        self.unreachable(io::Error::from(io::ErrorKind::NotConnected).into())
    }

    pub(super) fn unreachable(&self, source: BoxError) -> EndpointError {
        EndpointError::Connect {
            to: self.to.clone(),
            source,
        }
    }
}

/// Checks that the declared length is that of the body. Otherwise the bytes that follow on
/// the connection would become part of the body, or the body part of what follows.
fn length_of_the_body(headers: &mut HeaderMap, exact: Option<u64>) -> Result<(), RequestError> {
    let Some(said) = headers.get(CONTENT_LENGTH) else {
        return Ok(());
    };
    let said: Option<u64> = said.to_str().ok().and_then(|said| said.parse().ok());
    match exact {
        Some(0) if said != Some(0) => {
            // The body was removed before the request arrived here.
            headers.remove(CONTENT_LENGTH);
            Ok(())
        }
        Some(exact) if said != Some(exact) => {
            let wrong = "its length differs from that of its body";
            Err(RequestError::new(StatusCode::BAD_REQUEST, wrong))
        }
        _ => Ok(()),
    }
}
