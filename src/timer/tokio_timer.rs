//! The timer of the tokio runtime.

use std::time::Duration;

use super::deadline::Deadline;
use super::{Sleep, Timer};

/// The timer of the tokio runtime that polls the request.
///
/// It also fires in a task whose cooperative budget is used up. It follows
/// `tokio::time::pause`, so that tests need not wait.
///
/// # Panics
///
/// [`sleep`](Timer::sleep) panics outside a tokio runtime, or in one without
/// `enable_time`.
///
/// # Examples
///
/// ```
/// use equipoise::timer::{Timer, TokioTimer};
/// use std::time::Duration;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// TokioTimer::new().sleep(Duration::from_millis(1)).await;
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer {
    _private: (),
}

impl TokioTimer {
    /// Creates the timer; it uses the runtime in which `sleep` is called.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(Deadline::after(duration))
    }
}
