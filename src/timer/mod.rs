//! Timers: the trait [`Timer`], and `TokioTimer` behind the feature `tokio`.
//!
//! Not here: the present time, which a [`Clock`](crate::clock::Clock)
//! returns, and the futures that are given a time limit.

#[cfg(feature = "tokio")]
mod deadline;
mod timed_changes;
#[cfg(feature = "tokio")]
mod tokio_timer;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "health", feature = "proxy"))]
pub(crate) use deadline::timeout_at;
#[cfg(feature = "__net")]
pub(crate) use deadline::{Deadline, timeout};
pub use timed_changes::TimedChanges;
#[cfg(feature = "tokio")]
pub use tokio_timer::TokioTimer;

/// A future that resolves after a duration.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Creates futures that resolve after a duration: implement it for the timer of your
/// runtime.
///
/// # Contract
///
/// The future resolves once `duration` has passed, not before, and then wakes its task.
/// Dropping it cancels it. It is created on the task that polls it.
///
/// It also resolves in a busy task. A tokio timer in a task whose cooperative budget is
/// used up stays pending, and a flood of messages uses the budget up at each poll.
/// `TokioTimer` is polled without the budget. If your own timer uses tokio's, wrap it in
/// [`tokio::task::unconstrained`](https://docs.rs/tokio/latest/tokio/task/fn.unconstrained.html).
///
/// # Examples
///
/// ```
/// use equipoise::timer::{Sleep, Timer};
/// use std::time::Duration;
///
/// /// For your own runtime.
/// #[derive(Debug)]
/// struct Immediate;
///
/// impl Timer for Immediate {
///     fn sleep(&self, _: Duration) -> Sleep {
///         Box::pin(std::future::ready(()))
///     }
/// }
/// # drop(Immediate.sleep(Duration::ZERO));
/// ```
pub trait Timer: fmt::Debug + Send + Sync + 'static {
    /// Creates a future that resolves after `duration`.
    fn sleep(&self, duration: Duration) -> Sleep;
}

const _: Option<&dyn Timer> = None;

/// A shared timer, so that a test can keep a handle of the timer that it passes on.
impl<T: Timer + ?Sized> Timer for Arc<T> {
    fn sleep(&self, duration: Duration) -> Sleep {
        (**self).sleep(duration)
    }
}
