//! The response to an HTTP check: [`CheckResponse`].
//!
//! Not here: whether the response is good (`conditions`).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// The response to an HTTP check.
#[derive(Clone, Debug)]
pub struct CheckResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) is_truncated: bool,
    pub(super) trailers: Option<HeaderMap>,
}

impl CheckResponse {
    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the header fields.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the part of the body that was read; empty for `HEAD` and `OPTIONS`.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns whether the body is longer than the part that was read.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Returns the trailers.
    pub(in crate::health::checks) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}
