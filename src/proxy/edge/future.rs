//! The future of a request through the edge: [`EdgeFuture`].
//!
//! Not here: how heads are changed (`heads`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::EdgeBody;
use super::heads::Edge;
use crate::proxy::upgrade::RequestedUpgrade;
use crate::service::{BalanceError, ErrorPage, PreferredFormat, ResponseBody, ServedBy};

pin_project! {
    /// The response future of [`EdgeService`].
    ///
    /// # Panics
    ///
    /// If it is polled again after it was ready, and the inner future panics then.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct EdgeFuture<F> {
        #[pin]
        state: EdgeState<F>,
        wanted: PreferredFormat,
        edge: Arc<Edge>,
    }
}

/// The member whose response could not be passed on, in the extensions of the 502 that
/// replaces it.
#[cfg_attr(
    not(feature = "config"),
    allow(dead_code, reason = "only a configuration uses it")
)]
#[derive(Clone, Debug)]
pub(crate) struct RejectedResponse(pub(crate) ServedBy);

pin_project! {
    #[derive(Debug)]
    #[project = EdgeStateProjected]
    enum EdgeState<F> {
        Refused { status: StatusCode },
        Sent {
            #[pin]
            inner: F,
            // Boxed, because most requests ask for no upgrade.
            upgrade: Option<Box<RequestedUpgrade>>,
        },
    }
}

impl<F, RB, E> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<ResponseBody<EdgeBody<RB>>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let refused = |status, by: Option<ServedBy>| {
            let refusal = ErrorPage::new(status, reason(status), *this.wanted);
            let mut response: Response<ResponseBody<EdgeBody<RB>>> =
                refusal.answer(this.edge.pages.as_ref());
            if let Some(by) = by {
                response.extensions_mut().insert(RejectedResponse(by));
            }
            Poll::Ready(Ok(response))
        };
        let (inner, upgrade) = match this.state.project() {
            EdgeStateProjected::Refused { status } => return refused(*status, None),
            EdgeStateProjected::Sent { inner, upgrade } => (inner, upgrade),
        };
        let (mut head, body) = ready!(inner.poll(context))?.into_parts();
        let served = |head: &mut http::response::Parts| head.extensions.remove::<ServedBy>();
        let mut switched = None;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(upgrade) = upgrade.take() else {
                return refused(StatusCode::BAD_GATEWAY, served(&mut head));
            };
            switched = Some(upgrade.protocol());
            if let Err(status) = upgrade.switch(&mut head) {
                return refused(status, served(&mut head));
            }
        }
        let Ok(removed) = this.edge.convert_response(&mut head) else {
            return refused(StatusCode::BAD_GATEWAY, served(&mut head));
        };
        if let Some(protocol) = switched {
            RequestedUpgrade::confirm(&mut head.headers, protocol);
        }
        let body = if this.wanted.head_only() || has_no_body(head.status) {
            EdgeBody::over(body)
        } else {
            EdgeBody::new(body, removed)
        };
        let body = ResponseBody::inner(body);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

impl<F> EdgeFuture<F> {
    pub(super) fn sent(
        inner: F,
        upgrade: Option<RequestedUpgrade>,
        wanted: PreferredFormat,
        edge: Arc<Edge>,
    ) -> Self {
        let upgrade = upgrade.map(Box::new);
        Self {
            state: EdgeState::Sent { inner, upgrade },
            wanted,
            edge,
        }
    }

    pub(super) fn refused(status: StatusCode, wanted: PreferredFormat, edge: Arc<Edge>) -> Self {
        Self {
            state: EdgeState::Refused { status },
            wanted,
            edge,
        }
    }

    /// Returns the response to an error of the inner service.
    pub(in crate::proxy) fn answer_of<B>(&self, error: BalanceError) -> Response<ResponseBody<B>> {
        ErrorPage::answer_of(error, self.wanted, self.edge.pages.as_ref())
    }
}

/// Returns whether a response with this status has no body (RFC 9110, 15.2, 15.3.5 and
/// 15.4.5).
fn has_no_body(status: StatusCode) -> bool {
    let none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    status.is_informational() || none.contains(&status)
}

/// Returns the explanation for the client.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "it cannot be passed on as it is",
        StatusCode::BAD_GATEWAY => "the server's response cannot be passed on",
        StatusCode::EXPECTATION_FAILED => "only `100-continue` can be expected",
        StatusCode::MISDIRECTED_REQUEST => "its connection is for another host",
        StatusCode::METHOD_NOT_ALLOWED => "this proxy does not support its method",
        StatusCode::NOT_IMPLEMENTED => "it has a transfer coding other than chunked",
        StatusCode::NOT_FOUND => "nothing is served under this address",
        StatusCode::URI_TOO_LONG => "its path is too long for the server",
        _ => "",
    }
}
