//! A copy of a request that is under way by HTTP/2, for when the member says that it has not
//! processed it: [`Copied`].
//!
//! What does not live here: when it is sent again (`exchange`), and bodies that are kept for
//! other members (`service`).

use http::Request;
use http::request::Parts;

use super::outgoing::{KeptContent, Outgoing};

/// So many bytes of a body are kept. A stream that is not processed gets no more window than
/// it had at first, which is 64 KiB unless a member says otherwise; what is sent exceeds that
/// by one frame.
const KEPT: usize = 128 * 1024;

/// The head of a request, and what was read of its body.
#[derive(Debug)]
pub(super) struct Copied {
    head: Parts,
    body: KeptContent,
}

impl Copied {
    pub(super) fn of(request: &mut Request<Outgoing>) -> Self {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = request.method().clone();
        head.uri = request.uri().clone();
        head.version = request.version();
        head.headers = request.headers().clone();
        let body = request.body_mut().keep(KEPT);
        Self { head, body }
    }

    /// The request once more; `None` if more of the body was read than is kept.
    pub(super) fn request(self) -> Option<Request<Outgoing>> {
        Some(Request::from_parts(self.head, Outgoing::again(self.body)?))
    }
}
