//! Waiting as an argument: [`Timer`], and `TokioTimer` behind the feature `tokio`.
//!
//! What does not live here: the time itself, which a [`Clock`](crate::clock::Clock)
//! tells, and what is waited for.

#[cfg(feature = "tokio")]
mod deadline;
mod keep_time;
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
pub use keep_time::TimedChanges;
#[cfg(feature = "tokio")]
pub use tokio_timer::TokioTimer;

/// A future that resolves when a time is over.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a driver's patience comes from: the timer of your runtime.
///
/// # Contract
///
/// The future resolves once `duration` has passed, not before, and wakes its task then.
/// Dropping it stops it. It is made on the task that polls it.
///
/// It resolves also in a task that is busy: a tokio timer in a task whose cooperative budget
/// is used up stays pending, and a flood uses it up at each poll. `TokioTimer` is polled
/// without the budget; a timer of your own that is made of tokio's wraps it in
/// [`tokio::task::unconstrained`](https://docs.rs/tokio/latest/tokio/task/fn.unconstrained.html).
///
/// # Examples
///
/// ```
/// use equipoise::timer::{Sleep, Timer};
/// use std::time::Duration;
///
/// /// For a runtime of your own.
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

/// A shared timer, so that a test can move the one that it gave away.
impl<T: Timer + ?Sized> Timer for Arc<T> {
    fn sleep(&self, duration: Duration) -> Sleep {
        (**self).sleep(duration)
    }
}
