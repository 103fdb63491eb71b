//! Everything that can be said of a member before its first request: [`EndpointBuilder`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};

use super::connect::{HttpVersions, Opener, Windows};
use super::pool::Pool;
use super::shared::SharedEndpoint;
use super::{Endpoint, EndpointUriError};
use crate::net::{Connector, Secure};
use crate::proxy::system_tls;
use crate::service::{host_of, without_user};
use crate::sync::AtomicU32;

/// Without user and password: members are not told them, and `Debug` and errors show the rest.
fn unnamed(uri: Uri) -> Uri {
    let Some(Ok(bare)) = uri.authority().map(without_user) else {
        return uri;
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(bare);
    Uri::from_parts(parts).unwrap_or(uri)
}

impl Endpoint {
    /// Creates a member of `http://host[:port][/prefix]` or `https://…`, with the default
    /// limits. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// If it is no such URI; for `https`, also if the feature `tls` is off or the system
    /// has no root certificates.
    pub fn new(uri: Uri) -> Result<Self, EndpointUriError> {
        Self::builder(uri).build()
    }

    /// Begins a member with limits of its own.
    pub fn builder(uri: Uri) -> EndpointBuilder {
        EndpointBuilder::new(uri)
    }
}

/// Creates an [`Endpoint`].
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
    windows: Windows,
}

impl EndpointBuilder {
    pub(super) fn new(uri: Uri) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            uri: unnamed(uri),
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
            windows: Windows {
                streams: 100,
                stream: 256 * 1024,
            },
        }
    }

    /// Connects to a unix socket; the URI still says the scheme, `Host` and the prefix.
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

    /// Connects to an address, instead of asking what the name in the URI stands for.
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

    /// Says which HTTP the member is spoken to in.
    pub fn versions(mut self, versions: HttpVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Leaves the client's `Host` as it is (Apache: `ProxyPreserveHost On`); over HTTP/2,
    /// the authority.
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

    /// Sets how long it may take until a new connection is there: the member's name, the
    /// connection itself, and TLS. Who exceeds it has got nothing, so that the request
    /// goes to another member.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect = bounded(limit);
        self
    }

    /// Sets how long the head of an answer may take, counted anew with each piece of the
    /// request's body that is sent; `None` for as long as it likes.
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

    /// Sets how long may pass between two pieces of an answer's body; `None` for as long
    /// as it likes.
    pub fn frame_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.frame = limit.into().map(bounded);
        self
    }

    /// Sets how long an exchange may take as a whole, to the last byte of the answer.
    /// Time that the client takes over either body counts.
    pub fn request_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.whole = limit.into().map(bounded);
        self
    }

    /// Sets how many bytes the head of an answer may have; more is an error.
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

    /// Sets how many header lines an answer may have; more is an error. By default these are
    /// 100 over HTTP/1.1, while over HTTP/2 only [`max_head`](Self::max_head) counts. To set
    /// it costs an allocation for each answer over HTTP/1.1, of 64 bytes for each line
    /// that is allowed. There, more than 24 576 count as that.
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

    /// Sets how many interim answers (1xx) a member may send to one request over HTTP/1.1;
    /// 32 by default. With one more, the exchange fails
    /// ([`EndpointError::TooManyInterim`](super::EndpointError::TooManyInterim)), and the
    /// client gets 502. Over HTTP/2 only the time limits bound them.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// // It says `102 Processing` every second for up to two minutes.
    /// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:8080"))
    ///     .max_interim_responses(120)
    ///     .build()?;
    /// # let _ = member;
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    pub fn max_interim_responses(mut self, answers: u32) -> Self {
        self.max_interim = answers;
        self
    }

    /// Sets how many connections stay open while nobody needs them; with 0, each request
    /// has its own. Of HTTP/2, one is enough.
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

    /// Sets for how long a connection stays open while nobody needs it, give or take a
    /// half.
    pub fn idle_lifetime(mut self, life: Duration) -> Self {
        self.idle_life = bounded(life);
        self
    }

    /// Sets how many connections of HTTP/2 there are at most, 8 by default; at least one. A
    /// new one is opened when the others have as many streams as the member allows, or as
    /// [`http2_max_concurrent_streams`](Self::http2_max_concurrent_streams) does; those beyond need are closed when they
    /// have been idle for [`idle_lifetime`](Self::idle_lifetime). When all are full, the
    /// member is at its capacity ([`EndpointError::AtCapacity`]).
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

    /// Sets how many requests share one connection of HTTP/2 at the same time, 100 by
    /// default; at least one, and never more than the member allows.
    pub fn http2_max_concurrent_streams(mut self, streams: u32) -> Self {
        self.windows.streams = streams.max(1);
        self
    }

    /// Sets how many bytes of one answer a member may send by HTTP/2 before its client has
    /// read them: 256 KiB by default, and no more than 2 GiB for a whole connection.
    ///
    /// The window of a connection is this times [`http2_max_concurrent_streams`](Self::http2_max_concurrent_streams), so
    /// that clients that do not read never hold up the answers to others. Clients that
    /// read nothing can make the proxy hold as much: 25 MiB a connection by default, and
    /// 200 MiB a member with all of its connections. A small window limits how fast one
    /// answer can arrive, to a window each round trip: over 1 ms, 256 KiB are 256 MB/s.
    pub fn http2_initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.windows.stream = bytes;
        self
    }

    /// Creates the endpoint. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// If the URI has no host, or another scheme than `http` and `https`; for `https`
    /// without settings of its own, also if the feature `tls` is off or the system has no
    /// root certificates.
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
                    source: "it has settings for TLS: take https://".into(),
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
            opener: Opener {
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

/// As names and addresses are resolved, and as certificates are for them.
fn bare_host(authority: &Authority) -> &str {
    let host = authority.host();
    host.trim_start_matches('[').trim_end_matches(']')
}

fn port(scheme: &Scheme, authority: &Authority) -> u16 {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority.port_u16().unwrap_or(usual)
}

/// A year is as good as without limit, and no time overflows.
fn bounded(limit: Duration) -> Duration {
    limit.min(Duration::from_secs(365 * 24 * 60 * 60))
}
