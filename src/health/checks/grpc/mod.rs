//! A probe that uses the gRPC health checking protocol: [`GrpcProbe`].
//!
//! Not here: the messages (`message`), and HTTP/2 (`http`).

mod message;

use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, TE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version};
use http_body_util::Full;

use super::http::{CheckResponse, Manner, exchange, scheme};
use super::{Probe, ProbeError, ProbeTarget, Probing};
use message::HealthReply;

/// Calls the [gRPC health checking protocol]: a check passes only if the status is
/// `SERVING`.
///
/// Without TLS, it uses HTTP/2 with prior knowledge.
///
/// [gRPC health checking protocol]: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, GrpcProbe};
///
/// let whole_server = Check::builder(GrpcProbe::new()).build()?;
/// let one_service = Check::builder(GrpcProbe::service("shop.Cart")).build()?;
/// # let _ = (whole_server, one_service);
/// # Ok::<(), equipoise::health::CheckError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct GrpcProbe {
    service: Arc<str>,
    name: Arc<str>,
    keeps: bool,
}

const GRPC: &str = "application/grpc";

/// More than any response needs.
const MAX_BODY: usize = 4 * 1024;

impl GrpcProbe {
    /// Creates a probe for the server as a whole.
    pub fn new() -> Self {
        Self::service("")
    }

    /// Creates a probe for one service.
    pub fn service(name: &str) -> Self {
        let shown = match name {
            "" => "gRPC health".into(),
            name => format!("gRPC health of {name:?}").into(),
        };
        Self {
            service: name.into(),
            name: shown,
            keeps: false,
        }
    }

    /// Keeps the connection to a member from one check to the next.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::GrpcProbe;
    ///
    /// let probe = GrpcProbe::new().with_keep_alive();
    /// # let _ = probe;
    /// ```
    pub fn with_keep_alive(mut self) -> Self {
        self.keeps = true;
        self
    }

    async fn run(&self, target: &ProbeTarget) -> Result<(), ProbeError> {
        let manner = Manner {
            by_2: true,
            keeps: self.keeps,
            most: Some(MAX_BODY),
        };
        let response = exchange(target, self.request_to(target)?, manner).await?;
        check(&response)
    }

    fn request_to(&self, target: &ProbeTarget) -> Result<Request<Full<bytes::Bytes>>, ProbeError> {
        let wrong = |_| ProbeError::from("the host is not valid in a URI");
        let authority = Authority::try_from(target.host()).map_err(wrong)?;
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let mut parts = Uri::from(path).into_parts();
        parts.authority = Some(authority);
        parts.scheme = Some(scheme(target));
        let uri = Uri::from_parts(parts)
            .map_err(|_| ProbeError::from("the host is not valid in a URI"))?;
        let mut request = Request::new(Full::new(message::request(&self.service)));
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        let grpc = HeaderValue::from_static(GRPC);
        headers.insert(CONTENT_TYPE, grpc);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        Ok(request)
    }
}

fn check(response: &CheckResponse) -> Result<(), ProbeError> {
    if response.status() != StatusCode::OK {
        return Err(format!("answered {}", response.status().as_u16()).into());
    }
    if !is_grpc(response.headers()) {
        return Err("the content type of the response is not gRPC".into());
    }
    // Without a message, the status is in the response head.
    let trailers = response.trailers();
    let code = trailers.and_then(code).or_else(|| code(response.headers()));
    match code.as_deref() {
        Some("0") => {}
        Some("5") => return Err("the server does not know the service".into()),
        Some("12") => return Err("the server has no health service".into()),
        Some(code) => return Err(format!("failed with the gRPC status {code}").into()),
        None => return Err("the response has no gRPC status".into()),
    }
    match message::read(response.body()) {
        Ok(HealthReply::Serving) => Ok(()),
        Ok(other) => Err(format!("the status is {other}").into()),
        Err(why) => Err(why.into()),
    }
}

/// Checks the content type, as gRPC clients do.
fn is_grpc(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match kind.and_then(|kind| kind.split_at_checked(GRPC.len())) {
        Some((kind, rest)) => {
            kind.eq_ignore_ascii_case(GRPC.as_bytes())
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        }
        None => false,
    }
}

fn code(fields: &HeaderMap) -> Option<String> {
    let code = fields.get("grpc-status")?.to_str().ok()?;
    Some(code.chars().take(20).collect())
}

impl Default for GrpcProbe {
    fn default() -> Self {
        Self::new()
    }
}

impl Probe for GrpcProbe {
    fn probe(&self, target: ProbeTarget) -> Probing {
        let probe = self.clone();
        Box::pin(async move {
            let found = probe.run(&target).await;
            found.map_err(|error| error.during(&probe.name))
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for GrpcProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcProbe")
            .field("service", &self.service)
            .field("keep_alive", &self.keeps)
            .finish()
    }
}
