//! A request that is being answered: [`FrontFuture`].

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::answer::{Answer, Trip};
use crate::heartbeat::HeartbeatFormFuture;
use crate::proxy::{ClientBody, EdgeBody, Endpoint, ReverseProxyFuture};
use crate::service::{AnswerBody, BalanceFuture, Counted, PerMember};

type Sent = ReverseProxyFuture<BalanceFuture<Endpoint, PerMember, Counted, EdgeBody<ClientBody>>>;

pin_project! {
    /// One request on its way through a front.
    #[must_use = "a future does nothing unless it is awaited"]
    pub(in crate::config) struct FrontFuture {
        #[pin]
        course: Course,
    }
}

pin_project! {
    #[project = CourseProjected]
    enum Course {
        // `None` once it has been given.
        Answered { answer: Option<Answer> },
        Reported { #[pin] form: HeartbeatFormFuture<ClientBody>, trip: Trip },
        Sent { #[pin] sent: Sent, trip: Trip },
    }
}

impl FrontFuture {
    pub(super) fn answered(answer: Answer) -> Self {
        let answer = Some(answer);
        Self {
            course: Course::Answered { answer },
        }
    }

    pub(super) fn reported(form: HeartbeatFormFuture<ClientBody>, trip: Trip) -> Self {
        Self {
            course: Course::Reported { form, trip },
        }
    }

    pub(super) fn sent(sent: Sent, trip: Trip) -> Self {
        Self {
            course: Course::Sent { sent, trip },
        }
    }
}

impl Future for FrontFuture {
    type Output = Result<Answer, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().course.project() {
            CourseProjected::Answered { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => panic!("a request was polled after it had been answered"),
            },
            CourseProjected::Reported { form, trip } => {
                let Ok(answer) = ready!(form.poll(context));
                let answer = answer.map(|text| AnswerBody::text(text.into()));
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
