//! A copy of a request that was sent over HTTP/2, in case the member reports it as
//! unprocessed: [`RequestCopy`].
//!
//! Not here: sending it again (`exchange`), and bodies that are kept for
//! other members (`service`).

use http::Request;
use http::request::Parts;

use super::outgoing::{KeptContent, Outgoing};

/// The maximum number of body bytes to keep. A stream that is not processed gets no more
/// than its initial window, which is 64 KiB unless the member sets another; the sent bytes
/// exceed that by one frame.
const KEPT: usize = 128 * 1024;

/// The head of a request, and the part of its body that was read.
#[derive(Debug)]
pub(super) struct RequestCopy {
    head: Parts,
    body: KeptContent,
}

impl RequestCopy {
    pub(super) fn of(request: &mut Request<Outgoing>) -> Self {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = request.method().clone();
        head.uri = request.uri().clone();
        head.version = request.version();
        head.headers = request.headers().clone();
        let body = request.body_mut().keep(KEPT);
        Self { head, body }
    }

    /// Gives the body back for another member.
    pub(super) fn give_back(self) {
        self.body.give_back();
    }

    /// Returns the request again; `None` if more of the body was read than is kept.
    pub(super) fn request(self) -> Option<Request<Outgoing>> {
        Some(Request::from_parts(self.head, Outgoing::again(self.body)?))
    }
}
