//! Changes that are due at a time, made also while nothing picks: [`TimedChanges`].
//!
//! Not here: which changes are due, which the balancer knows by its own
//! clock.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Sleep, Timer};
use crate::balancer::{Balancer, Expected, TimeKeeper};

/// The shortest sleep. Where the balancer's clock lags behind the timer or stands still,
/// due changes are looked for once in this time.
const MOMENT: Duration = Duration::from_millis(1);

/// How many times one poll looks for due changes; only a timer that breaks its contract
/// causes a second look.
const LOOKS: usize = 2;

impl<W> Balancer<W> {
    /// Returns a future that makes timed changes of this balancer, so that recoveries, ends
    /// of ejections and steps of a ramp also happen while nothing picks: spawn it.
    ///
    /// Every pick makes the changes that are due by itself. Without picks, this future is
    /// needed to report a recovery (to observers and metrics) and to wake what waits for
    /// one ([`pick_wait`](Balancer::pick_wait), [`wait_for_members`](Balancer::wait_for_members)). It sleeps
    /// until [`next_timed_change`](Balancer::next_timed_change), and is woken when a change
    /// becomes due sooner. It costs nothing while no change is due. Several of them may run
    /// at once.
    ///
    /// It does not keep the balancer alive, and resolves when the last handle is dropped.
    ///
    /// Times are those of the balancer's [`Clock`](crate::clock::Clock); `timer` only wakes
    /// the future. If the clock stands still or jumps back, changes are delayed, and the
    /// future looks for them at most a thousand times a second.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use equipoise::timer::TokioTimer;
    /// use equipoise::Balancer;
    /// use std::time::Duration;
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # runtime.block_on(async {
    /// let balancer = Balancer::new([("a", ()), ("b", ())]).unwrap();
    /// let keeping = tokio::spawn(balancer.run_timed_changes(TokioTimer::new()));
    ///
    /// balancer.eject("a", Duration::from_millis(5), "an example").unwrap();
    /// balancer.wait_for_members(2).await; // no pick is needed
    ///
    /// drop(balancer);
    /// keeping.await.unwrap();
    /// # });
    /// # }
    /// ```
    pub fn run_timed_changes(&self, timer: impl Timer) -> TimedChanges<W> {
        TimedChanges {
            keeper: TimeKeeper::new(self),
            timer: Box::new(timer),
            sleep: None,
        }
    }
}

/// Makes timed changes of a balancer while that exists; created by
/// [`Balancer::run_timed_changes`].
#[must_use = "a future does nothing unless it is spawned or awaited"]
pub struct TimedChanges<W> {
    keeper: TimeKeeper<W>,
    timer: Box<dyn Timer>,
    sleep: Option<Sleep>,
}

impl<W> Future for TimedChanges<W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..LOOKS {
            let wait = match this.keeper.look(context.waker()) {
                Expected::Gone => return Poll::Ready(()),
                Expected::Nothing => {
                    this.sleep = None;
                    return Poll::Pending;
                }
                Expected::After(wait) => wait,
            };
            let sleep = this.sleep.insert(this.timer.sleep(wait.max(MOMENT)));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        // A timer that resolves at once must not keep the task from yielding.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<W> fmt::Debug for TimedChanges<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedChanges")
            .field("timer", &self.timer)
            .field("sleeps", &self.sleep.is_some())
            .finish_non_exhaustive()
    }
}
