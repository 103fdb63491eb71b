//! The settings of an endpoint: [`EndpointBuilder`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};

use super::connect::{ConnectionOpener, FlowLimits, HttpVersions};
use super::pool::Pool;
use super::shared::SharedEndpoint;
use super::{Endpoint, EndpointUriError};
use crate::net::{Connector, Secure};
use crate::proxy::system_tls;
use crate::service::{host_of, without_user};
use crate::sync::AtomicU32;

/// Removes user and password: members do not get them, and `Debug` and errors show the
/// rest.
fn without_credentials(uri: Uri) -> Uri {
    let Some(Ok(bare)) = uri.authority().map(without_user) else {
        return uri;
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(bare);
    Uri::from_parts(parts).unwrap_or(uri)
}

impl Endpoint {
    /// Creates a member from `http://host[:port][/prefix]` or `https://…`, with the default
    /// limits. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// If `uri` has another form; for `https`, also if the feature `tls` is off or the
    /// system has no root certificates.
    pub fn new(uri: Uri) -> Result<Self, EndpointUriError> {
        Self::builder(uri).build()
    }

    /// Returns a builder, for a member with other limits.
    pub fn builder(uri: Uri) -> EndpointBuilder {
        EndpointBuilder::new(uri)
    }
}

/// Builds an [`Endpoint`].
#[derive(Clone, Debug)]
#[must_use]
pub struct EndpointBuilder {
    uri: Uri,
    socket: Option<PathBuf>,
    address: Option<SocketAddr>,
    pub(super) secure: Option<Arc<dyn Secure>>,
    versions: HttpVersions,
    preserve_host: bool,
    connect: Duration,
    head: Option<Duration>,
    frame: Option<Duration>,
    whole: Option<Duration>,
    max_head: usize,
    max_headers: Option<usize>,
    max_interim: u32,
    max_idle: usize,
    idle_life: Duration,
    connections: usize,
    windows: FlowLimits,
}

impl EndpointBuilder {
    pub(super) fn new(uri: Uri) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            uri: without_credentials(uri),
            socket: None,
            address: None,
            secure: None,
            versions: HttpVersions::Any,
            preserve_host: false,
            connect: Duration::from_secs(5),
            head: Some(minute),
            frame: Some(minute),
            whole: None,
            max_head: 64 * 1024,
            max_headers: None,
            max_interim: 32,
            max_idle: 256,
            idle_life: Duration::from_secs(15),
            connections: 8,
            windows: FlowLimits {
                streams: 100,
                stream: 256 * 1024,
            },
        }
    }

    /// Connects to a unix socket. The URI still sets the scheme, `Host` and the prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://app.internal"))
    ///     .unix_socket("/run/app.sock")
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    #[cfg(unix)]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// Connects to this address instead of resolving the name in the URI.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// let member = Endpoint::builder(Uri::from_static("https://app.internal"))
    ///     .address(([10, 0, 0, 1], 8443).into())
    ///     .build();
    /// # let _ = member;
    /// ```
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets which versions of HTTP are used with the member.
    pub fn versions(mut self, versions: HttpVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Keeps the client's `Host` (Apache: `ProxyPreserveHost On`); over HTTP/2, the
    /// client's authority.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .preserve_host()
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn preserve_host(mut self) -> Self {
        self.preserve_host = true;
        self
    }

    /// Sets the time limit for opening a connection: name resolution, connecting, and TLS.
    /// If it is exceeded, nothing was sent, so the request goes to another member.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect = bounded(limit);
        self
    }

    /// Sets the time limit for the head of a response; `None` for no limit. It starts anew
    /// with each frame of the request's body that is sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    /// use std::time::Duration;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .head_timeout(Duration::from_secs(10))
    ///     .frame_timeout(None) // events come when they come
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn head_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.head = limit.into().map(bounded);
        self
    }

    /// Sets the time limit between two frames of a response's body; `None` for no limit.
    pub fn frame_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.frame = limit.into().map(bounded);
        self
    }

    /// Sets the time limit for a whole exchange, to the last byte of the response; `None`
    /// for no limit. Time that the client takes over either body counts.
    pub fn request_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.whole = limit.into().map(bounded);
        self
    }

    /// Sets the maximum size of a response head in bytes. A larger head is an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .max_head(8 * 1024)
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// Sets the maximum number of header lines in a response. More lines are an error.
    ///
    /// The default is 100 over HTTP/1.1; over HTTP/2 only [`max_head`](Self::max_head)
    /// applies. Over HTTP/1.1, setting it costs an allocation of 64 bytes per allowed line
    /// for each response, and the maximum is 24 576.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .max_headers(500)
    ///     .max_head(256 * 1024)
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn max_headers(mut self, lines: usize) -> Self {
        self.max_headers = Some(lines);
        self
    }

    /// Sets how many interim responses (1xx) a member may send to one request over
    /// HTTP/1.1; 32 by default.
    ///
    /// With one more, the exchange fails
    /// ([`EndpointError::TooManyInterim`](super::EndpointError::TooManyInterim)), and the
    /// client gets 502. Over HTTP/2, only the time limits bound them.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// // It sends `102 Processing` every second for up to two minutes.
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .max_interim_responses(120)
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn max_interim_responses(mut self, responses: u32) -> Self {
        self.max_interim = responses;
        self
    }

    /// Sets the maximum number of idle connections that stay open. With 0, each request
    /// opens a connection of its own. This does not limit HTTP/2 connections, which are
    /// shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    /// use std::time::Duration;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .max_idle(16)
    ///     // Shorter than the member's own, which would close one that is being used.
    ///     .idle_lifetime(Duration::from_secs(4))
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Sets how long an idle connection stays open. The actual time differs by up to a
    /// half.
    pub fn idle_lifetime(mut self, life: Duration) -> Self {
        self.idle_life = bounded(life);
        self
    }

    /// Sets the maximum number of HTTP/2 connections; 8 by default, at least 1.
    ///
    /// A connection is opened when all others have as many streams as the member or
    /// [`http2_max_concurrent_streams`](Self::http2_max_concurrent_streams) allows. Surplus
    /// connections are closed when they have been idle for
    /// [`idle_lifetime`](Self::idle_lifetime). When all are full, the member is at its
    /// capacity ([`EndpointError::AtCapacity`]).
    ///
    /// [`EndpointError::AtCapacity`]: super::EndpointError::AtCapacity
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{Endpoint, HttpVersions};
    /// use http::Uri;
    ///
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:50051"))
    ///     .versions(HttpVersions::Http2)
    ///     .http2_max_connections(4)
    ///     .http2_max_concurrent_streams(50)
    ///     // At most 4 x 50 x 1 MiB are held for clients that do not read.
    ///     .http2_initial_stream_window_size(1024 * 1024)
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn http2_max_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how many requests share one HTTP/2 connection at the same time; 100 by default,
    /// at least 1. The member's own limit applies as well.
    pub fn http2_max_concurrent_streams(mut self, streams: u32) -> Self {
        self.windows.streams = streams.max(1);
        self
    }

    /// Sets how many bytes of one response a member may send over HTTP/2 before the client
    /// has read them; 256 KiB by default. All windows of one connection together are
    /// limited to 2 GiB.
    ///
    /// The window of a connection is this value times
    /// [`http2_max_concurrent_streams`](Self::http2_max_concurrent_streams), so clients
    /// that do not read never delay the responses to others. Clients that read nothing can
    /// make the proxy hold that much memory: 25 MiB per connection by default, and 200 MiB
    /// per member with all of its connections. A small window limits the throughput of one
    /// response to one window per round trip: with 1 ms, 256 KiB allow 256 MB/s.
    pub fn http2_initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.windows.stream = bytes;
        self
    }

    /// Creates the endpoint. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// If the URI has no host, or a scheme other than `http` and `https`; for `https`
    /// without TLS settings, also if the feature `tls` is off or the system has no root
    /// certificates.
    pub fn build(self) -> Result<Endpoint, EndpointUriError> {
        let not_http = || EndpointUriError::NotHttp {
            uri: self.uri.to_string(),
        };
        let (Some(scheme), Some(authority)) = (self.uri.scheme(), self.uri.authority()) else {
            return Err(not_http());
        };
        let secure = match self.secure {
            None if *scheme == Scheme::HTTP => None,
            Some(_) if *scheme == Scheme::HTTP => {
                return Err(EndpointUriError::Tls {
                    uri: self.uri.to_string(),
                    source: "it has TLS settings: use https://".into(),
                });
            }
            _ if *scheme != Scheme::HTTPS => return Err(not_http()),
            Some(secure) => Some(secure),
            None => {
                let tls = system_tls::member();
                Some(tls.map_err(|source| EndpointUriError::Tls {
                    uri: self.uri.to_string(),
                    source,
                })?)
            }
        };
        let authority = without_user(authority).map_err(|_| not_http())?;
        let to: Arc<str> = match &self.socket {
            Some(path) => path.display().to_string().into(),
            None => authority.as_str().into(),
        };
        let bare = bare_host(&authority);
        let connector = match (self.socket, self.address) {
            #[cfg(unix)]
            (Some(path), _) => Connector::unix(path),
            (_, Some(address)) => Connector::tcp(address),
            _ => Connector::host(bare, port(scheme, &authority)),
        };
        let mut connector = connector.timeout(self.connect);
        if let Some(secure) = &secure {
            connector = connector.secured_by(secure.clone(), bare.into());
        }
        let speaks = match self.versions {
            HttpVersions::Any if secure.is_some() => None,
            versions => Some(versions == HttpVersions::Http2),
        };
        let host = host_of(&authority).filter(|_| !self.preserve_host);
        let pool = Pool::new(self.max_idle, self.connections, speaks, self.idle_life);
        let changed = pool.changed();
        let shared = SharedEndpoint {
            pool: Arc::new(pool),
            scheme: scheme.clone(),
            to,
            authority,
            host,
            opener: ConnectionOpener {
                uri: self.uri,
                connector,
                versions: self.versions,
                max_head: self.max_head,
                max_headers: self.max_headers,
                windows: self.windows.fitting(),
                opened: AtomicU32::new(0),
                changed,
                max_interim: self.max_interim,
            },
            connect: self.connect,
            head: self.head,
            frame: self.frame,
            whole: self.whole,
        };
        Ok(Endpoint {
            shared: Arc::new(shared),
        })
    }
}

/// Returns the host in the form that is resolved and that certificates are checked for.
fn bare_host(authority: &Authority) -> &str {
    let host = authority.host();
    host.trim_start_matches('[').trim_end_matches(']')
}

fn port(scheme: &Scheme, authority: &Authority) -> u16 {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority.port_u16().unwrap_or(usual)
}

/// Limits a duration to a year, so that adding it to a time cannot overflow.
fn bounded(limit: Duration) -> Duration {
    limit.min(Duration::from_secs(365 * 24 * 60 * 60))
}
