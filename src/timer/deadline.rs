//! A deadline for a task that may be busy: [`Deadline`], and [`timeout_at`], which stops
//! waiting for a future at a deadline.
//!
//! A tokio timer that is polled in a task whose cooperative budget is used up stays
//! pending, whatever the time. A peer that floods a task uses its budget up at each poll,
//! so that a plain timer in the same task never fires. The futures of this file are polled
//! without the budget.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

pin_project! {
    /// Resolves at a given time, also in a task whose budget is used up.
    #[derive(Debug)]
    pub(crate) struct Deadline {
        #[pin]
        sleep: Sleep,
    }
}

impl Deadline {
    pub(crate) fn after(duration: Duration) -> Self {
        Self {
            sleep: sleep(duration),
        }
    }
}

impl Deadline {
    pub(crate) fn at(moment: Instant) -> Self {
        Self {
            sleep: sleep_until(moment),
        }
    }
}

#[cfg_attr(
    not(any(feature = "forward", feature = "proxy")),
    expect(dead_code, reason = "for the drivers with limits that move")
)]
impl Deadline {
    pub(crate) fn reset(self: Pin<&mut Self>, to: Instant) {
        self.project().sleep.reset(to);
    }
}

#[cfg_attr(not(feature = "proxy"), expect(dead_code, reason = "the proxy's"))]
impl Deadline {
    pub(crate) fn moment(&self) -> Instant {
        self.sleep.deadline()
    }

    /// Returns whether the deadline has passed, as far as the runtime has noticed.
    pub(crate) fn is_elapsed(&self) -> bool {
        self.sleep.is_elapsed()
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        pin!(unconstrained(self.project().sleep)).poll(context)
    }
}

/// The error of a future that did not complete in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Late;

/// Resolves with the future's output, or with [`Late`] if the future is pending at
/// `moment`.
///
/// Unlike tokio's function, it also works if the budget of the task is used up.
#[cfg_attr(not(feature = "proxy"), allow(dead_code, reason = "the proxy's"))]
pub(crate) fn timeout_at<F: Future>(moment: Instant, future: F) -> Timeout<F> {
    Timeout {
        future,
        deadline: Deadline::at(moment),
    }
}

pin_project! {
    /// The future of [`timeout_at`].
    #[derive(Debug)]
    pub(crate) struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        deadline: Deadline,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => this.deadline.poll(context).map(|()| Err(Late)),
        }
    }
}

/// The same with a time limit from now.
#[cfg_attr(not(feature = "__net"), expect(dead_code, reason = "for sockets"))]
pub(crate) fn timeout<F: Future>(limit: Duration, future: F) -> Timeout<F> {
    timeout_at(Instant::now() + limit, future)
}

#[cfg(all(test, feature = "__net"))]
#[expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::{Deadline, Late, timeout};
    use crate::timer::{Timer, TokioTimer};
    use std::pin::pin;
    use std::task::{Context, Poll};
    use std::time::Duration;
    use tokio::task::coop::{has_budget_remaining, poll_proceed};

    /// Uses the budget up as a flood does, before anything else is polled.
    fn use_up_the_budget(context: &mut Context<'_>) {
        while let Poll::Ready(unit) = poll_proceed(context) {
            unit.made_progress();
        }
        assert!(!has_budget_remaining());
    }

    /// Polls `future` in a task whose budget is used up before each poll.
    async fn flooded<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            use_up_the_budget(context);
            let polled = future.as_mut().poll(context);
            // A task that is flooded is always awake.
            context.waker().wake_by_ref();
            polled
        })
        .await
    }

    const SHORT: Duration = Duration::from_millis(20);

    async fn within<F: Future>(future: F) -> F::Output {
        let limited = tokio::time::timeout(Duration::from_secs(5), future);
        limited.await.expect("it never fires")
    }

    #[tokio::test]
    async fn a_deadline_holds_in_a_task_whose_budget_is_used_up() {
        within(flooded(Deadline::after(SHORT))).await;
    }

    #[tokio::test]
    async fn the_timer_of_the_runtime_holds_in_a_task_whose_budget_is_used_up() {
        within(flooded(TokioTimer::new().sleep(SHORT))).await;
    }

    #[tokio::test]
    async fn a_timeout_holds_in_a_task_whose_budget_is_used_up() {
        let never = std::future::pending::<()>();
        assert_eq!(within(flooded(timeout(SHORT, never))).await, Err(Late));
    }

    #[tokio::test]
    async fn a_timeout_of_a_future_that_uses_up_the_budget_itself_holds() {
        let flood = std::future::poll_fn(|context| {
            use_up_the_budget(context);
            Poll::<()>::Pending
        });
        assert_eq!(within(timeout(SHORT, flood)).await, Err(Late));
    }
}
