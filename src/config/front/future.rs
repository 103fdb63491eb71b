//! A request that is being served: [`FrontFuture`].

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::response::{FrontResponse, RequestContext};
use crate::heartbeat::HeartbeatServiceFuture;
use crate::proxy::{ClientBody, EdgeBody, Endpoint, ReverseProxyFuture};
use crate::service::{BalanceFuture, Counted, PerMember, ResponseBody};

type DispatchFuture =
    ReverseProxyFuture<BalanceFuture<Endpoint, PerMember, Counted, EdgeBody<ClientBody>>>;

pin_project! {
    /// A request that is being served.
    #[must_use = "a future does nothing unless it is awaited"]
    pub(in crate::config) struct FrontFuture {
        #[pin]
        state: FrontState,
    }
}

pin_project! {
    #[project = FrontStateProjected]
    enum FrontState {
        // Boxed, because most requests are sent on. `None` once it has been returned.
        Ready { response: Option<Box<FrontResponse>> },
        Reported { #[pin] form: HeartbeatServiceFuture<ClientBody>, context: RequestContext },
        Sent { #[pin] sent: DispatchFuture, context: RequestContext },
    }
}

impl FrontFuture {
    pub(super) fn ready(response: FrontResponse) -> Self {
        let response = Some(Box::new(response));
        Self {
            state: FrontState::Ready { response },
        }
    }

    pub(super) fn reported(
        form: HeartbeatServiceFuture<ClientBody>,
        context: RequestContext,
    ) -> Self {
        Self {
            state: FrontState::Reported { form, context },
        }
    }

    pub(super) fn sent(sent: DispatchFuture, context: RequestContext) -> Self {
        Self {
            state: FrontState::Sent { sent, context },
        }
    }
}

impl Future for FrontFuture {
    type Output = Result<FrontResponse, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            FrontStateProjected::Ready { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(*response)),
                None => panic!("a future was polled after it had completed"),
            },
            FrontStateProjected::Reported { form, context } => {
                let Ok(response) = ready!(form.poll(cx));
                let response = response.map(|text| ResponseBody::text(text.into()));
                Poll::Ready(Ok(context.finish(response)))
            }
            FrontStateProjected::Sent { sent, context } => {
                let Ok(response) = ready!(sent.poll(cx));
                Poll::Ready(Ok(context.finish(response)))
            }
        }
    }
}

impl fmt::Debug for FrontFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontFuture").finish_non_exhaustive()
    }
}
