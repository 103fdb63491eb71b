//! A probe that sends an HTTP request and checks the response: [`HttpProbe`].
//!
//! Not here: the request's path (`path`), which responses are good
//! (`conditions`), and the connection (`connection`).

mod builder;
mod conditions;
mod connection;
mod exchange;
mod path;
mod response;
mod stream;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;

pub use builder::{HttpProbeBuilder, HttpProbeError};
pub(super) use connection::CheckConnection;
pub(super) use exchange::{Manner, exchange};
pub use response::CheckResponse;

use super::{Probe, ProbeError, ProbeTarget, Probing};
use conditions::ResponseConditions;
use path::CheckPath;

/// Sends an HTTP request, and checks the response.
///
/// By default, a response is good if its status is from 200 to 399; redirects are not
/// followed. The request uses HTTP/1.1. Its path is the member's base path and the probe's
/// path, joined by exactly one slash. It has a `Host` field and no others.
///
/// The first 64 KiB of a response body are read. Of a longer body, only these are checked,
/// and the connection is closed. A body that ends early within them is a failure. The
/// bodies of responses to `HEAD` and `OPTIONS` are not read.
///
/// A response of far more bytes than its head and the read part of its body is refused,
/// such as one after thousands of interim responses. A response may arrive before the
/// request, as from a script behind xinetd.
///
/// Each check uses a new connection, unless [`keep_alive`](HttpProbeBuilder::keep_alive) is
/// set.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, HttpProbe};
///
/// let probe = HttpProbe::get("/status?deep=1")
///     .host("shop.example.org")
///     .header("Authorization", "Bearer let-me-see")
///     .status(200..=299)
///     .expect_body("ready")
///     .build()?;
/// let check = Check::builder(probe).build()?;
/// # let _ = check;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpProbe {
    settings: Arc<Settings>,
}

struct Settings {
    /// The method and the path.
    name: String,
    method: Method,
    path: CheckPath,
    version: Version,
    host: Option<HeaderValue>,
    headers: HeaderMap,
    expected: ResponseConditions,
    manner: Manner,
}

impl Settings {
    async fn run(&self, target: &ProbeTarget) -> Result<(), ProbeError> {
        let request = self.request_to(target)?;
        let response = exchange(target, request, self.manner).await;
        let response = response.map_err(|error| error.during(&self.name))?;
        self.expected.hold(&self.name, &response)
    }

    fn request_to(&self, target: &ProbeTarget) -> Result<Request<Full<Bytes>>, ProbeError> {
        let wrong = || ProbeError::from(format!("{}: the path or the host is invalid", self.name));
        let path = self.path.below(target.path()).ok_or_else(wrong)?;
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::try_from(target.host()).map_err(|_| wrong())?,
        };
        let mut request = Request::new(Full::default());
        *request.method_mut() = self.method.clone();
        *request.version_mut() = self.version;
        if self.manner.by_2 {
            let mut parts = Uri::from(path).into_parts();
            let authority = host.as_bytes().try_into();
            parts.authority = Some(authority.map_err(|_| wrong())?);
            parts.scheme = Some(scheme(target));
            *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
        } else {
            *request.uri_mut() = Uri::from(path);
            // First, as most clients send it.
            request.headers_mut().insert(HOST, host);
        }
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

/// The scheme of a request over HTTP/2.
pub(super) fn scheme(target: &ProbeTarget) -> Scheme {
    if target.connector().is_secured() {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    }
}

impl Probe for HttpProbe {
    fn probe(&self, target: ProbeTarget) -> Probing {
        let settings = self.settings.clone();
        Box::pin(async move { settings.run(&target).await })
    }

    fn name(&self) -> &str {
        &self.settings.name
    }
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        // Header values may be secrets.
        let headers: Vec<_> = settings.headers.keys().collect();
        f.debug_struct("HttpProbe")
            .field("request", &settings.name)
            .field("version", &settings.version)
            .field("host", &settings.host)
            .field("headers", &headers)
            .field("expected", &settings.expected)
            .field("manner", &settings.manner)
            .finish()
    }
}
