//! The builder of a monitor: [`MonitorBuilder`].

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::error::ReportError;
use super::handle::HeartbeatMonitor;
use super::index::AddressIndex;
use super::senders::Senders;
use super::state::{MonitorState, OnDropped, Tables};
use super::statistics::HeartbeatStatistics;
use crate::clock::{Clock, SystemClock};
use crate::heartbeat::signature::{HeartbeatKey, Replays};
use crate::sync::Mutex;

/// Builds a [`HeartbeatMonitor`].
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | servers that report and are not members | 10 000 | [`max_senders`](Self::max_senders) | dropped, counted |
/// | age of a report that is kept | 30 s | [`forget_after`](Self::forget_after) | removed |
/// | age of a report that is used for picks | 10 s | [`Heartbeat::with_max_age`](crate::Heartbeat::with_max_age) | ignored |
/// | time between lookups of names | 30 s | [`lookup_interval`](Self::lookup_interval) | |
/// | with a key: difference of clocks | 30 s | [`tolerance`](Self::tolerance) | dropped, counted |
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::HeartbeatMonitor;
///
/// let monitor = HeartbeatMonitor::builder()
///     .max_senders(100)
///     .on_dropped(|from, error| eprintln!("a heartbeat of {from} was dropped: {error}"))
///     .build();
/// # let _ = monitor;
/// ```
#[must_use]
pub struct MonitorBuilder {
    clock: Arc<dyn Clock>,
    forget_after: Duration,
    key: Option<HeartbeatKey>,
    lookup_interval: Duration,
    max_senders: usize,
    on_dropped: Option<Box<OnDropped>>,
    tolerance: Duration,
}

impl MonitorBuilder {
    /// The default number of servers that report without being members;
    /// [`max_senders`](Self::max_senders) sets another number.
    pub const MAX_SENDERS: usize = 10_000;

    pub(super) fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            forget_after: Duration::from_secs(30),
            key: None,
            lookup_interval: Duration::from_secs(30),
            max_senders: Self::MAX_SENDERS,
            on_dropped: None,
            tolerance: Duration::from_secs(30),
        }
    }

    /// Sets how many servers are kept that report without being members (Apache:
    /// `HeartbeatMaxServers`). Each has an entry of some hundred bytes. Members have as
    /// many entries of their own: a flood of other servers does not displace them.
    pub fn max_senders(mut self, most: usize) -> Self {
        self.max_senders = most;
        self
    }

    /// Sets how long a report is kept: for a member that is added later, and for
    /// [`records`](HeartbeatMonitor::records).
    pub fn forget_after(mut self, age: Duration) -> Self {
        // As good as no limit, and short enough that no time overflows.
        self.forget_after = age.min(Duration::from_secs(365 * 24 * 60 * 60));
        self
    }

    /// Accepts only messages signed with this key, over UDP and HTTP. Without a key, the
    /// default, signatures are ignored.
    pub fn key(mut self, key: HeartbeatKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the largest accepted difference between the time of a signature and the local
    /// time, with millisecond resolution.
    pub fn tolerance(mut self, difference: Duration) -> Self {
        self.tolerance = difference;
        self
    }

    /// Sets how long the addresses of members' names, and the payloads of members, are used
    /// without another lookup; at least 1 s. Members that are added or removed are noticed
    /// at once.
    pub fn lookup_interval(mut self, time: Duration) -> Self {
        self.lookup_interval = time.max(Duration::from_secs(1));
        self
    }

    /// Sets a closure that is called for each dropped report, with the IP address of its
    /// sender. It is also called during a flood, and should be fast.
    pub fn on_dropped(
        mut self,
        on_dropped: impl Fn(IpAddr, &ReportError) + Send + Sync + 'static,
    ) -> Self {
        self.on_dropped = Some(Box::new(on_dropped));
        self
    }

    /// Sets the clock that measures the ages of reports.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the monitor.
    #[must_use]
    pub fn build(self) -> HeartbeatMonitor {
        let tolerance = u64::try_from(self.tolerance.as_millis()).unwrap_or(u64::MAX);
        HeartbeatMonitor::of(MonitorState {
            clock: self.clock,
            forget_after: self.forget_after,
            key: self.key,
            replays: Mutex::new(Replays::new(tolerance)),
            state: Mutex::new(Tables {
                senders: Senders::new(self.max_senders, self.forget_after),
                index: AddressIndex::default(),
                groups: HashMap::new(),
                next_group: 0,
            }),
            statistics: HeartbeatStatistics::default(),
            on_dropped: self.on_dropped,
            lookup_interval: self.lookup_interval,
            named: Notify::new(),
        })
    }
}

impl HeartbeatMonitor {
    /// Creates a monitor with the default limits of its [builder](MonitorBuilder).
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::new()
    }
}

impl Default for HeartbeatMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorBuilder")
            .field("forget_after", &self.forget_after)
            .field("is_keyed", &self.key.is_some())
            .field("max_senders", &self.max_senders)
            .finish_non_exhaustive()
    }
}
