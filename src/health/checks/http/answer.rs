//! What a member has answered to a check: [`CheckAnswer`].
//!
//! What does not live here: whether that is a good answer (`conditions`).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// What a member has answered to an HTTP check.
#[derive(Clone, Debug)]
pub struct CheckAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) is_cut: bool,
    pub(super) trailers: Option<HeaderMap>,
}

impl CheckAnswer {
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

    /// Returns the body, as far as it was read; nothing of the answers to `HEAD` and `OPTIONS`.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns whether the body is longer than was read.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The fields behind the body.
    pub(in crate::health::checks) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}
