//! Limits the number of retries: [`RetryBudget`].
//!
//! If every member fails, retrying each request would double the load on members that are
//! already failing. A budget limits retries to a share of the requests.

use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::sync::{AtomicU64, Relaxed};

/// One retry, in units of the balance. A unit is a hundredth, so that a request can deposit
/// a whole number of percents.
const ONE: u64 = 100;

/// Allows retries for a share of the requests, and a few per second in addition. Clones
/// share their balance.
///
/// Unused retries are saved, up to [`with_burst`](Self::with_burst). Each request that can
/// be retried adds to the balance; each retry and each hedged attempt costs one. Attempts
/// on other members after an error for which *nothing was sent* are free.
///
/// # Examples
///
/// ```
/// use equipoise::service::{Failover, RetryBudget};
///
/// // One budget for two balancers.
/// let budget = RetryBudget::new().with_percent(10).with_per_second(5);
/// let failover = Failover::new().with_budget(budget.clone());
/// # let _ = (failover, budget);
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    percent: u32,
    per_second: u32,
    burst: u32,
    account: Arc<Account>,
    /// Not the balancer's clock: balancers that share a budget need not share a clock.
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
#[repr(align(64))] // Every request reads here.
struct Account {
    /// Hundredths of retries. Relaxed: the limit may be off by a few.
    balance: AtomicU64,
    /// Until when the allowance per second has been added, in nanoseconds of the clock.
    /// Relaxed: the thread that advances it adds the allowance.
    paid_until: AtomicU64,
}

impl Account {
    /// Creates a full account.
    fn new(burst: u32, clock: &dyn Clock) -> Arc<Self> {
        Arc::new(Self {
            balance: AtomicU64::new(u64::from(burst) * ONE),
            paid_until: AtomicU64::new(clock.now().as_nanos()),
        })
    }
}

impl RetryBudget {
    /// Creates a budget of 20 % of the requests and 10 retries per second, which saves up
    /// to 100.
    #[must_use]
    pub fn new() -> Self {
        let clock = SystemClock::new();
        Self {
            percent: 20,
            per_second: 10,
            burst: 100,
            account: Account::new(100, &clock),
            clock: Arc::new(clock),
        }
    }

    /// Sets the share of the requests that may be retried, in percent.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::RetryBudget;
    ///
    /// let budget = RetryBudget::new().with_percent(50);
    /// # let _ = budget;
    /// ```
    #[must_use]
    pub fn with_percent(self, percent: u32) -> Self {
        Self { percent, ..self }
    }

    /// Sets how many retries per second are allowed in addition, regardless of the number
    /// of requests.
    #[must_use]
    pub fn with_per_second(self, per_second: u32) -> Self {
        Self { per_second, ..self }
    }

    /// Sets how many retries are saved at most, and fills the budget. The new budget does
    /// not share its balance.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::{Failover, RetryBudget};
    ///
    /// // Nothing that may have been sent is retried.
    /// let none = RetryBudget::new().with_percent(0).with_per_second(0).with_burst(0);
    /// let failover = Failover::new().with_budget(none);
    /// # let _ = failover;
    /// ```
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        Self {
            burst,
            account: Account::new(burst, &*self.clock),
            ..self
        }
    }

    /// Sets the clock, and fills the budget. The new budget does not share its balance. The
    /// default is the machine's monotonic clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::ManualClock;
    /// use equipoise::service::RetryBudget;
    ///
    /// let clock = ManualClock::new();
    /// let budget = RetryBudget::new().with_clock(clock.clone()); // for a test
    /// # let _ = budget;
    /// ```
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            account: Account::new(self.burst, &clock),
            clock: Arc::new(clock),
            ..self
        }
    }

    fn full(&self) -> u64 {
        u64::from(self.burst) * ONE
    }

    /// Records a request that can be retried. While the balance is full, as in normal
    /// operation, this only reads.
    #[inline]
    pub(in crate::service) fn deposit(&self) {
        if self.account.balance.load(Relaxed) < self.full() {
            self.pay_in(u64::from(self.percent));
        }
    }

    fn pay_in(&self, amount: u64) {
        let paid = |balance: u64| Some(balance.saturating_add(amount).min(self.full()));
        let _ = self.account.balance.fetch_update(Relaxed, Relaxed, paid);
    }

    /// Pays for one retry, if the budget allows it.
    pub(in crate::service) fn withdraw(&self) -> bool {
        self.pay_allowance();
        let less = |balance: u64| balance.checked_sub(ONE);
        let balance = &self.account.balance;
        balance.fetch_update(Relaxed, Relaxed, less).is_ok()
    }

    /// Returns the cost of a retry that was not made.
    pub(in crate::service) fn refund(&self) {
        self.pay_in(ONE);
    }

    /// Adds the allowance per second since the last time.
    fn pay_allowance(&self) {
        if self.per_second == 0 {
            return;
        }
        let now = self.clock.now().as_nanos();
        // The time for one hundredth of a retry.
        let step = 10_000_000 / u64::from(self.per_second).min(10_000_000);
        let mut due = 0;
        let paid_until = &self.account.paid_until;
        let moved = paid_until.fetch_update(Relaxed, Relaxed, |paid| {
            due = now.saturating_sub(paid) / step;
            // The remainder of a step stays due.
            (due > 0).then(|| paid + due * step)
        });
        if moved.is_ok() {
            self.pay_in(due);
        }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::RetryBudget;
    use crate::clock::{ManualClock, Timestamp};
    use std::time::Duration;

    fn withdrawn(budget: &RetryBudget) -> usize {
        (0..1_000).take_while(|_| budget.withdraw()).count()
    }

    #[test]
    fn a_share_of_the_requests_may_be_repeated() {
        let budget = RetryBudget::new().with_per_second(0).with_burst(100);
        assert_eq!(withdrawn(&budget), 100, "what was saved");
        for _ in 0..50 {
            budget.deposit();
        }
        assert_eq!(withdrawn(&budget), 10, "20 % of 50");
    }

    #[test]
    fn a_few_per_second_may_be_repeated_however_few_requests_there_are() {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(5));
        let budget = RetryBudget::new().with_percent(0).with_clock(clock.clone());
        assert_eq!(withdrawn(&budget), 100);
        clock.advance(Duration::from_millis(250));
        assert_eq!(withdrawn(&budget), 2, "half a one is still due");
        clock.advance(Duration::from_millis(50));
        assert_eq!(withdrawn(&budget), 1);
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(withdrawn(&budget), 100, "no more than the burst");
        clock.set(Timestamp::ORIGIN);
        assert_eq!(withdrawn(&budget), 0, "a clock set back");
    }

    #[test]
    fn nothing_is_saved_beyond_the_burst_and_a_refund_counts() {
        let budget = RetryBudget::new().with_per_second(0).with_burst(1);
        for _ in 0..1_000 {
            budget.deposit();
        }
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
        budget.refund();
        assert!(budget.withdraw());
    }

    #[test]
    fn clones_share_their_balance_and_an_empty_budget_refuses() {
        let budget = RetryBudget::new().with_per_second(0).with_burst(1);
        assert!(budget.clone().withdraw());
        assert!(!budget.withdraw());
        let none = RetryBudget::new().with_percent(0).with_per_second(0);
        assert!(!none.with_burst(0).withdraw());
        let clock = ManualClock::new();
        let huge = RetryBudget::new().with_per_second(u32::MAX);
        let huge = huge.with_burst(1).with_clock(clock.clone());
        assert!(huge.withdraw());
        clock.set(Timestamp::from_nanos(u64::MAX));
        assert!(huge.withdraw(), "no overflow");
    }
}
