//! A request that is being served: [`FrontFuture`].

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::answer::{FrontResponse, RequestContext};
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
        course: FrontState,
    }
}

pin_project! {
    #[project = CourseProjected]
    enum FrontState {
        // `None` once it has been returned.
        Answered { answer: Option<FrontResponse> },
        Reported { #[pin] form: HeartbeatServiceFuture<ClientBody>, trip: RequestContext },
        Sent { #[pin] sent: DispatchFuture, trip: RequestContext },
    }
}

impl FrontFuture {
    pub(super) fn answered(answer: FrontResponse) -> Self {
        let answer = Some(answer);
        Self {
            course: FrontState::Answered { answer },
        }
    }

    pub(super) fn reported(form: HeartbeatServiceFuture<ClientBody>, trip: RequestContext) -> Self {
        Self {
            course: FrontState::Reported { form, trip },
        }
    }

    pub(super) fn sent(sent: DispatchFuture, trip: RequestContext) -> Self {
        Self {
            course: FrontState::Sent { sent, trip },
        }
    }
}

impl Future for FrontFuture {
    type Output = Result<FrontResponse, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().course.project() {
            CourseProjected::Answered { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => panic!("a request was polled after it had been answered"),
            },
            CourseProjected::Reported { form, trip } => {
                let Ok(answer) = ready!(form.poll(context));
                let answer = answer.map(|text| ResponseBody::text(text.into()));
                Poll::Ready(Ok(trip.finish(answer)))
            }
            CourseProjected::Sent { sent, trip } => {
                let Ok(answer) = ready!(sent.poll(context));
                Poll::Ready(Ok(trip.finish(answer)))
            }
        }
    }
}

impl fmt::Debug for FrontFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontFuture").finish_non_exhaustive()
    }
}
