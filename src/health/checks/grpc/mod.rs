//! Does a gRPC server say that it serves? [`GrpcProbe`].
//!
//! What does not live here: the messages (`message`), and HTTP/2 (`http`).

mod message;

use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, TE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version};
use http_body_util::Full;

use super::http::{CheckAnswer, Manner, exchange, scheme};
use super::{Probe, ProbeError, ProbeTarget, Probing};
use message::HealthReply;

/// Asks by the [gRPC health checking protocol]: only a member that answers `SERVING` passes.
///
/// It speaks HTTP/2, without TLS from the first byte on.
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

/// More than any answer needs.
const MOST: usize = 4 * 1024;

impl GrpcProbe {
    /// Makes one that asks for the server as a whole.
    pub fn new() -> Self {
        Self::service("")
    }

    /// Makes one that asks for a service.
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
            most: Some(MOST),
        };
        let answer = exchange(target, self.request_to(target)?, manner).await?;
        judge(&answer)
    }

    fn request_to(&self, target: &ProbeTarget) -> Result<Request<Full<bytes::Bytes>>, ProbeError> {
        let wrong = |_| ProbeError::from("no such host");
        let authority = Authority::try_from(target.host()).map_err(wrong)?;
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let mut parts = Uri::from(path).into_parts();
        parts.authority = Some(authority);
        parts.scheme = Some(scheme(target));
        let uri = Uri::from_parts(parts).map_err(|_| ProbeError::from("no such host"))?;
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

fn judge(answer: &CheckAnswer) -> Result<(), ProbeError> {
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}", answer.status().as_u16()).into());
    }
    if !is_grpc(answer.headers()) {
        return Err("what it answered is no gRPC".into());
    }
    // Where there is no message, the status is in the head.
    let trailers = answer.trailers();
    let code = trailers.and_then(code).or_else(|| code(answer.headers()));
    match code.as_deref() {
        Some("0") => {}
        Some("5") => return Err("the service is not known".into()),
        Some("12") => return Err("it has no health service".into()),
        Some(code) => return Err(format!("failed with the gRPC status {code}").into()),
        None => return Err("it answered without a gRPC status".into()),
    }
    match message::read(answer.body()) {
        Ok(HealthReply::Serving) => Ok(()),
        Ok(other) => Err(format!("it is {other}").into()),
        Err(why) => Err(why.into()),
    }
}

/// By its content type, as clients of gRPC tell it.
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
