//! Limits on requests in flight that follow the latency of members: [`AdaptiveLimit`].
//!
//! Not here: the rules (`aimd.rs`, `gradient2.rs`), and picks of members at
//! their limits (`scheduler`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::gauge::Gauge;
use super::rule::LimitRule;
use crate::balancer::events::{Event, EventKind, Interest, Observer, ObserverGuard};
use crate::balancer::{Balancer, LearnedLimit, WeakBalancer};
use crate::clock::Clock;
use crate::health::by_slot::{SlotEntries, is_there, of, renewed};
use crate::member::{Cause, Ended, LimitOwner, MemberId, MemberState, Outcome};
use crate::snapshot::Roster;
use crate::sync::{AtomicU32, Mutex, Published, SeqCst};

/// Creates the rule of a member.
type MakeRule = dyn Fn() -> Box<dyn LimitRule> + Send + Sync;

/// Adjusts the limit of each member on requests in flight to its latency, until it is
/// dropped.
///
/// The smallest of this limit, the limit in the member's spec and the limit of its protocol
/// applies. Dropping the `AdaptiveLimit` removes its limits. They are those of
/// [`LimitOwner::Adaptive`].
///
/// Each member has its own rule: [`Gradient2`](super::Gradient2), [`Aimd`](super::Aimd), or
/// one of yours. The rule gets a sample for each window: the mean time to the response
/// head, the most requests in flight at once, and whether a request was dropped. A window
/// lasts at least one second, and until ten requests have been measured, as in Netflix's
/// `WindowedLimit`. The first request after its end closes it; no task is needed.
///
/// A response of 429 or 503 counts as dropped, and so does a request that timed out without
/// a response. A response with another status of 500 or above is not measured: a member
/// that fails fast must not look fast.
///
/// Use at most one of them for a balancer: two would overwrite each other's limits.
///
/// # Examples
///
/// ```
/// use equipoise::health::{AdaptiveLimit, Gradient2};
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let limits = AdaptiveLimit::new(&balancer, Gradient2::new);
/// let lease = balancer.pick(&PickRequest::new()).unwrap();
/// assert_eq!(lease.member().max_in_flight(), 20, "to begin with");
/// # drop(limits);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use = "limits are lifted when it is dropped"]
pub struct AdaptiveLimit {
    observing: Option<ObserverGuard>,
    keeper: Arc<dyn EndLimits>,
}

/// Builds an [`AdaptiveLimit`].
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::health::{AdaptiveLimit, Aimd};
/// use std::time::Duration;
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let limits = AdaptiveLimit::builder(|| Aimd::new().with_bounds(1, 500))
///     .window(Duration::from_millis(500))
///     .watch(&balancer);
/// # drop(limits);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use]
pub struct AdaptiveLimitBuilder {
    make_rule: Box<MakeRule>,
    window: Duration,
    min_requests: u32,
}

/// Type-erased access for the handle.
trait EndLimits: Send + Sync {
    fn stop(&self);
}

impl AdaptiveLimit {
    /// Starts with the defaults; the closure creates the rule of each member.
    pub fn new<W, R>(balancer: &Balancer<W>, rule: impl Fn() -> R + Send + Sync + 'static) -> Self
    where
        W: Send + Sync + 'static,
        R: LimitRule,
    {
        Self::builder(rule).watch(balancer)
    }

    /// Returns a builder; the closure creates the rule of each member.
    pub fn builder<R: LimitRule>(
        rule: impl Fn() -> R + Send + Sync + 'static,
    ) -> AdaptiveLimitBuilder {
        AdaptiveLimitBuilder {
            make_rule: Box::new(move || Box::new(rule())),
            window: Duration::from_secs(1),
            min_requests: 10,
        }
    }

    /// Keeps adjusting limits for as long as the balancer lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::health::{AdaptiveLimit, Aimd};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// AdaptiveLimit::new(&balancer, Aimd::new).detach();
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn detach(mut self) {
        if let Some(observing) = self.observing.take() {
            observing.detach();
        }
    }
}

impl Drop for AdaptiveLimit {
    fn drop(&mut self) {
        if let Some(observing) = self.observing.take() {
            drop(observing);
            self.keeper.stop();
        }
    }
}

impl AdaptiveLimitBuilder {
    /// Sets the shortest duration of a window, 1 s by default, at least 1 ms.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.max(Duration::from_millis(1));
        self
    }

    /// Sets the least number of measured requests in a window, 10 by default; 0 counts as
    /// 1.
    pub fn min_requests(mut self, requests: u32) -> Self {
        self.min_requests = requests.max(1);
        self
    }

    /// Starts to adjust the limits of a balancer's members.
    pub fn watch<W>(self, balancer: &Balancer<W>) -> AdaptiveLimit
    where
        W: Send + Sync + 'static,
    {
        let limits = Arc::new(LimitTable {
            balancer: balancer.downgrade(),
            clock: balancer.clock(),
            settings: self,
            gauges: Published::new(SlotEntries::new()),
            renewing: Mutex::new(()),
            is_stopped: AtomicU32::new(0),
        });
        let observing = Some(balancer.observe(Follow(limits.clone())));
        for member in balancer.members() {
            limits.begin(&member);
        }
        AdaptiveLimit {
            observing,
            keeper: limits,
        }
    }
}

struct LimitTable<W> {
    balancer: WeakBalancer<W>,
    clock: Arc<dyn Clock>,
    settings: AdaptiveLimitBuilder,
    gauges: Published<SlotEntries<Gauge>>,
    /// Held while `gauges` is replaced.
    renewing: Mutex<()>,
    /// 0 or 1. SeqCst: set before all limits are lifted, and read after one was set.
    is_stopped: AtomicU32,
}

impl<W: Send + Sync> LimitTable<W> {
    #[inline]
    fn with_gauge<T>(&self, member: MemberId, then: impl FnOnce(&Gauge) -> T) -> Option<T> {
        if let Some(gauge) = of(&self.gauges.load(), member) {
            return Some(then(gauge));
        }
        self.refresh_gauges(member);
        of(&self.gauges.load(), member).map(|gauge| then(gauge))
    }

    #[cold]
    fn refresh_gauges(&self, member: MemberId) {
        let Some(roster) = self.roster().filter(|roster| is_there(roster, member)) else {
            return;
        };
        let ends = self.clock.now() + self.settings.window;
        let new = |id| Gauge::new(id, (self.settings.make_rule)(), ends);
        loop {
            let known = Arc::clone(&self.gauges.load());
            // Without the lock, because the caller's closure creates the rules.
            let gauges = renewed(&known, &roster, |seat| new(seat.state.id()));
            let renewing = self.renewing.lock();
            if Arc::ptr_eq(&known, &self.gauges.load()) {
                let former = self.gauges.swap(gauges);
                drop(renewing);
                drop(former);
                return;
            }
        }
    }

    fn roster(&self) -> Option<Arc<Roster>> {
        self.balancer.upgrade().as_ref().map(Balancer::roster)
    }

    /// Sets the initial limit of the rule on a member.
    fn begin(&self, member: &MemberState) {
        if let Some(limit) = self.with_gauge(member.id(), Gauge::limit) {
            self.set(member.id(), limit);
        }
    }

    fn set(&self, member: MemberId, limit: u32) {
        let Some(learned) = self.learned(member) else {
            return;
        };
        learned.set(Some(limit));
        if self.is_stopped.load(SeqCst) != 0 {
            learned.set(None);
        }
    }

    fn learned(&self, member: MemberId) -> Option<LearnedLimit> {
        let learned = self.balancer.upgrade()?.learned_limit(member)?;
        Some(learned.for_owner(LimitOwner::Adaptive))
    }

    #[inline]
    fn take(&self, member: &MemberState, measure: impl FnOnce(&Gauge)) {
        let now = self.clock.now();
        let (window, enough) = (self.settings.window, self.settings.min_requests);
        let limit = self.with_gauge(member.id(), |gauge| {
            measure(gauge);
            gauge.update(now, window, enough)
        });
        if let Some(limit) = limit.flatten() {
            self.set(member.id(), limit);
        }
    }
}

impl<W: Send + Sync> EndLimits for LimitTable<W> {
    fn stop(&self) {
        self.is_stopped.store(1, SeqCst);
        let members = self.roster();
        for seat in members.iter().flat_map(|roster| roster.by_tier()) {
            if let Some(learned) = self.learned(seat.state.id()) {
                learned.set(None);
            }
        }
    }
}

/// The observer.
struct Follow<W>(Arc<LimitTable<W>>);

impl<W: Send + Sync + 'static> Observer for Follow<W> {
    fn observe(&self, event: &Event<'_>) {
        let Some(member) = event.member else {
            return;
        };
        match event.kind {
            EventKind::Responded {
                status: Some(429 | 503),
                ..
            } => self
                .0
                .take(member, |gauge| gauge.dropped(member.in_flight())),
            // A fast failure does not measure the duration of work.
            EventKind::Responded {
                status: Some(500..),
                ..
            } => {}
            EventKind::Responded {
                time_to_head: Some(time),
                ..
            } => self
                .0
                .take(member, |gauge| gauge.responded(time, member.in_flight())),
            EventKind::Ended(ended) if is_drop(ended) => {
                // This request is no longer counted as in flight.
                let in_flight = member.in_flight().saturating_add(1);
                self.0.take(member, |gauge| gauge.dropped(in_flight));
            }
            EventKind::Joined => self.0.begin(member),
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::TIME_TO_HEAD | Interest::ENDED | Interest::JOINED
    }
}

fn is_drop(ended: &Ended) -> bool {
    let timed_out = matches!(ended.cause, Some(Cause::TimedOut));
    ended.outcome == Outcome::Failure && timed_out && !ended.has_response
}

impl fmt::Debug for AdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit").finish_non_exhaustive()
    }
}

impl fmt::Debug for AdaptiveLimitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimitBuilder")
            .field("window", &self.window)
            .field("min_requests", &self.min_requests)
            .finish_non_exhaustive()
    }
}
