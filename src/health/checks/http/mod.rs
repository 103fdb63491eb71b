//! Does it answer to an HTTP request, as it should? [`HttpProbe`].
//!
//! What does not live here: the request's path (`path`), which answers are good ones
//! (`conditions`), and the connection (`line`).

mod answer;
mod builder;
mod conditions;
mod exchange;
mod line;
mod paced;
mod path;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;

pub use answer::CheckAnswer;
pub use builder::{HttpProbeBuilder, HttpProbeError};
pub(super) use exchange::{Manner, exchange};
pub(super) use line::CheckConnection;

use super::{Probe, ProbeError, ProbeTarget, Probing};
use conditions::ResponseConditions;
use path::CheckPath;

/// Sends an HTTP request, and looks at the answer.
///
/// Without further ado, the answer is good if its status is from 200 to 399; redirects are not
/// followed. The request is in HTTP/1.1, to the member's own path joined with the probe's by
/// exactly one slash, and has a `Host`, and no other fields.
///
/// The body of an answer is read up to 64 KiB; of a longer one only these are looked at, and the
/// connection is closed. A body that breaks off before that is a failure. The bodies of answers
/// to `HEAD` and `OPTIONS` are not read.
///
/// An answer that takes far more bytes than its head and what is read of its body is refused,
/// such as one with thousands of interim answers before it. An answer may come before the
/// request, as those of a script behind xinetd do.
///
/// Each check has a connection of its own, unless
/// [`keep_alive`](HttpProbeBuilder::keep_alive) says otherwise.
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
        let answer = exchange(target, request, self.manner).await;
        let answer = answer.map_err(|error| error.during(&self.name))?;
        self.expected.hold(&self.name, &answer)
    }

    fn request_to(&self, target: &ProbeTarget) -> Result<Request<Full<Bytes>>, ProbeError> {
        let wrong = || ProbeError::from(format!("{}: no such path or host", self.name));
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
            // First, as clients usually send it.
            request.headers_mut().insert(HOST, host);
        }
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

/// By which the authority of a request over HTTP/2 is understood.
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
