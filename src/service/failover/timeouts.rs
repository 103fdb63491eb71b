//! How long a request is waited for, at each of its stages: [`Timeouts`].

use std::time::Duration;

use crate::timer::{Sleep, Timer};

/// Time limits for each stage of a request. They come with a [`Timer`] that enforces them.
///
/// | limit | by default | set by |
/// |---|---|---|
/// | for a member, when none can be picked | fails at once | [`with_pick_timeout`](Self::with_pick_timeout) |
/// | for a chosen member to become ready | 5 s | [`with_ready_timeout`](Self::with_ready_timeout) |
/// | for an attempt, to the head of its answer | none | [`with_per_try_timeout`](Self::with_per_try_timeout) |
/// | until a second member is asked as well | never | [`with_hedge_delay`](Self::with_hedge_delay) |
///
/// Without a timer, nothing can enforce a limit, and none holds: a request whose member never
/// becomes ready waits for as long as its caller does. That is so for a `BalanceLayer` or a
/// `CallService` of which [`timeouts`](crate::service::BalanceLayer::timeouts) was not called.
/// Members that may not be ready, such as those behind a `ConcurrencyLimit`, want a timer, or
/// tower's `LoadShed` before them, which says so at once ([`Fault::OVERLOADED`]). An
/// `proxy::Endpoint` is always ready, and has limits of its own.
///
/// [`Fault::OVERLOADED`]: crate::service::Fault::OVERLOADED
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// use equipoise::Balancer;
/// use equipoise::service::{BalanceLayer, Timeouts};
/// use equipoise::timer::TokioTimer;
/// use std::time::Duration;
///
/// # let balancer = Balancer::<http::Uri>::builder().build().unwrap();
/// let timeouts = Timeouts::new()
///     .with_pick_timeout(Duration::from_millis(500))
///     .with_per_try_timeout(Duration::from_secs(30));
/// let layer = BalanceLayer::new(balancer).timeouts(TokioTimer::new(), timeouts);
/// # let _ = layer;
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub(in crate::service) member: Option<Duration>,
    pub(in crate::service) ready: Duration,
    pub(in crate::service) attempt: Option<Duration>,
    pub(in crate::service) hedge: Option<Duration>,
}

impl Timeouts {
    /// Waits 5 s for a member that was chosen to become ready, and sets no other limit.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            member: None,
            ready: Duration::from_secs(5),
            attempt: None,
            hedge: None,
        }
    }

    /// Waits for a member when none can be picked (Apache: the balancer's `timeout`);
    /// by default the request fails at once.
    ///
    /// It is for the first pick of a request, when all are at their cap, drain, or
    /// rest from an error. With forced recovery, members in error are tried rather than
    /// waited for; and a request that has failed at all members is not kept waiting.
    #[must_use]
    pub const fn with_pick_timeout(self, patience: Duration) -> Self {
        Self {
            member: Some(patience),
            ..self
        }
    }

    /// Sets how long a chosen member, or the shared client, may take to become ready;
    /// 5 s by default. Nothing has been sent by then, so another member is tried.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Timeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = Timeouts::new().with_ready_timeout(Duration::from_secs(1));
    /// # let _ = timeouts;
    /// ```
    #[must_use]
    pub const fn with_ready_timeout(self, patience: Duration) -> Self {
        Self {
            ready: patience,
            ..self
        }
    }

    /// Limits each attempt, from its dispatch to the head of its answer; there is no
    /// limit by default.
    #[must_use]
    pub const fn with_per_try_timeout(self, patience: Duration) -> Self {
        Self {
            attempt: Some(patience),
            ..self
        }
    }

    /// Sends a request that has had no answer for so long to a second member as well,
    /// takes whichever answer is first, and cancels the other. For requests that are
    /// idempotent, whose body can be sent twice, and within the budget of the
    /// [`Failover`](crate::service::Failover).
    ///
    /// Source: Dean, Barroso: *The tail at scale* (CACM 56, 2013), hedged requests. A
    /// delay of the usual 95th percentile adds 5 % of load.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Timeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = Timeouts::new().with_hedge_delay(Duration::from_millis(80));
    /// # let _ = timeouts;
    /// ```
    #[must_use]
    pub const fn with_hedge_delay(self, delay: Duration) -> Self {
        Self {
            hedge: Some(delay),
            ..self
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}

/// Timeouts, and who keeps them.
#[derive(Debug)]
pub(in crate::service) struct TimeLimits {
    pub(in crate::service) timer: Box<dyn Timer>,
    pub(in crate::service) timeouts: Timeouts,
}

impl TimeLimits {
    pub(in crate::service) fn sleep(&self, duration: Duration) -> Sleep {
        self.timer.sleep(duration)
    }
}
