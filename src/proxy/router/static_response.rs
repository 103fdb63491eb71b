//! A fixed response: [`StaticResponse`].

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::RuleError;
use crate::service::{ErrorPage, PreferredFormat};

/// A fixed response that the router gives itself: a status, and bytes with a content type.
/// The response to `HEAD` is the same without the bytes.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{StaticResponse, Router, Rule};
/// use http::{HeaderValue, StatusCode};
///
/// let router = Router::<()>::builder()
///     .respond(Rule::new().path("/health"), StaticResponse::text("fine\n"))
///     .fallback_response(
///         StaticResponse::new(StatusCode::NOT_FOUND, "<h1>Nothing here</h1>")
///             .with_content_type(HeaderValue::from_static("text/html; charset=utf-8")),
///     )
///     .build()?;
/// # let _ = router;
/// # Ok::<(), equipoise::proxy::RouterError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaticResponse {
    status: StatusCode,
    content_type: HeaderValue,
    bytes: Bytes,
    /// The reason, if the router rejects the request itself.
    refused: Option<&'static str>,
}

impl StaticResponse {
    /// Creates a response of plain text; [`with_content_type`](Self::with_content_type)
    /// sets another type.
    #[must_use]
    pub fn new(status: StatusCode, bytes: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: HeaderValue::from_static("text/plain; charset=utf-8"),
            bytes: bytes.into(),
            refused: None,
        }
    }

    /// Creates a response of plain text with the status 200.
    #[must_use]
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, text)
    }

    /// Sets the content type of the bytes.
    #[must_use]
    pub fn with_content_type(self, content_type: HeaderValue) -> Self {
        Self {
            content_type,
            ..self
        }
    }

    pub(super) fn not_found() -> Self {
        Self {
            refused: Some("nothing is served under this address"),
            ..Self::new(StatusCode::NOT_FOUND, Bytes::new())
        }
    }

    pub(super) fn no_host() -> Self {
        Self {
            refused: Some("it names no host"),
            ..Self::new(StatusCode::BAD_REQUEST, Bytes::new())
        }
    }

    pub(super) fn ambiguous_path() -> Self {
        Self {
            refused: Some("its path is ambiguous"),
            ..Self::new(StatusCode::BAD_REQUEST, Bytes::new())
        }
    }

    /// Rejects a status of an interim response: the client would go on waiting for the
    /// final one.
    pub(super) fn checked(self) -> Result<Self, RuleError> {
        if self.status.is_informational() {
            return Err(RuleError::Status {
                of: "a response",
                status: self.status,
                advice: "use one from 200 on",
            });
        }
        if matches!(self.status.as_u16(), 204 | 205 | 304) && !self.bytes.is_empty() {
            return Err(RuleError::Status {
                of: "a response with content",
                status: self.status,
                advice: "use another, or no bytes",
            });
        }
        Ok(self)
    }

    pub(super) fn to_response(&self, wanted: PreferredFormat) -> Response<Bytes> {
        if let Some(why) = self.refused {
            return ErrorPage::new(self.status, why, wanted).page(None);
        }
        let bytes = if wanted.head_only() {
            Bytes::new()
        } else {
            self.bytes.clone()
        };
        let mut response = Response::new(bytes);
        *response.status_mut() = self.status;
        if !self.bytes.is_empty() {
            let content_type = self.content_type.clone();
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        response
    }
}
