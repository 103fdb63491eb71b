//! Time limits for the stages of a request: [`Timeouts`].

use std::time::Duration;

use crate::timer::{Sleep, Timer};

/// Time limits for each stage of a request. They come with a [`Timer`] that enforces them.
///
/// | limit | by default | set by |
/// |---|---|---|
/// | wait for a member, if none can be picked | fails at once | [`with_pick_timeout`](Self::with_pick_timeout) |
/// | until the picked member is ready | 5 s | [`with_ready_timeout`](Self::with_ready_timeout) |
/// | one attempt, until the head of its response | none | [`with_per_try_timeout`](Self::with_per_try_timeout) |
/// | until the request is also sent to a second member | never | [`with_hedge_delay`](Self::with_hedge_delay) |
///
/// Without a timer there are no limits: a request waits without limit for a member that
/// never becomes ready. This is the case for a `BalanceLayer` or a `CallService` unless
/// [`timeouts`](crate::service::BalanceLayer::timeouts) was called. Members that may not be
/// ready, such as those behind a `ConcurrencyLimit`, need a timer, or tower's `LoadShed`
/// before them, which fails at once ([`Fault::OVERLOADED`]). A `proxy::Endpoint` is always
/// ready, and has limits of its own.
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
    /// Creates limits of 5 s until a picked member is ready, and no other limit.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            member: None,
            ready: Duration::from_secs(5),
            attempt: None,
            hedge: None,
        }
    }

    /// Sets how long a request waits for a member if none can be picked (Apache: the
    /// balancer's `timeout`). By default it fails at once.
    ///
    /// This limits the first pick of a request, when all members are at their cap, are
    /// draining, or are waiting for recovery. With forced recovery, members in error are
    /// tried without waiting. A request that has failed at all members does not wait.
    #[must_use]
    pub const fn with_pick_timeout(self, limit: Duration) -> Self {
        Self {
            member: Some(limit),
            ..self
        }
    }

    /// Sets how long the picked member, or the shared client, may take to become ready; the
    /// default is 5 s. Nothing has been sent by then, so another member is tried.
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
    pub const fn with_ready_timeout(self, limit: Duration) -> Self {
        Self {
            ready: limit,
            ..self
        }
    }

    /// Limits each attempt, from its start to the head of its response; by default there is
    /// no limit.
    #[must_use]
    pub const fn with_per_try_timeout(self, limit: Duration) -> Self {
        Self {
            attempt: Some(limit),
            ..self
        }
    }

    /// Sends a request to a second member as well if it has no response after this delay.
    /// The first response is used, and the other attempt is cancelled. Only for requests
    /// that are idempotent, whose body can be sent twice, and within the budget of the
    /// [`Failover`](crate::service::Failover).
    ///
    /// Source: Dean, Barroso: *The tail at scale* (CACM 56, 2013), hedged requests. A delay
    /// equal to the 95th percentile of latency adds 5 % of load.
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

/// Time limits, and the timer that enforces them.
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
