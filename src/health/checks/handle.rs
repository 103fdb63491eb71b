//! The handle of a balancer's checks and its builder: [`HealthChecks`],
//! [`HealthChecksBuilder`].
//!
//! Not here: the task that runs the checks (`driver`).

use std::fmt;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::driver::Driver;
use super::events::CheckEvents;
use super::lookup::BoundedLookups;
use super::plan::{CheckPlan, ChooseCheck, FindTarget};
use super::{Check, Checkable, FirstCheck, ProbeError, ProbeTarget};
use crate::balancer::Balancer;
use crate::member::MemberSpec;

/// Checks the members of a balancer until it is dropped.
///
/// * Members that are added are checked from then on. When a member is removed, its counts
///   are dropped and a running check of it is cancelled. The next check uses a new payload
///   of the same name. If the new payload has another target, the result of a running check
///   is ignored, and the next check follows at once.
/// * Stopped members are not checked. All others are, including disabled members, draining
///   members and spares.
/// * A member is checked again one [interval](super::CheckBuilder::interval) after its
///   check has ended. Checks of a member never overlap; if slots are short, intervals grow.
/// * Dropping it closes the connections of running checks. It does not keep the balancer
///   alive, and ends with it. Results that were applied stay.
///
/// # When a member is taken out and when it returns
///
/// | checks in a row | the member is in service | the member is out: failed check, or in error |
/// |---|---|---|
/// | [`fails`](super::CheckBuilder::fails) have failed | it gets [`Flag::FailedCheck`](crate::Flag::FailedCheck), with the cause | |
/// | [`passes`](super::CheckBuilder::passes) have passed | | the failed check ends, and so does an error |
///
/// An [ejection](Balancer::eject) lasts for its time, unless
/// [`end_ejections`](super::CheckBuilder::end_ejections) is set. An ejection by an
/// [`OutlierDetector`](crate::health::OutlierDetector) ends when `passes` checks in a row
/// that began after it have passed; a request then tries the member.
///
/// Neither the recovery delay nor forced recovery ends a failed check: only a passing check
/// does, or [`recover`](Balancer::recover).
///
/// A fault of this machine, such as running out of file descriptors or ports, counts
/// neither as passed nor as failed.
///
/// # How many at a time
///
/// At most [`concurrency`](HealthChecksBuilder::concurrency) checks run at once. A check
/// that hangs holds its slot until its time limit. A check is slow if it takes longer than
/// half of its time limit. Members whose last check was slow have at most half of the
/// slots, which leaves the others to the remaining members. If all members hang at once,
/// detecting that takes one time limit.
///
/// Names are looked up for each check, on threads of the runtime: at most 64 in the
/// program, a quarter of them for names whose last lookup took longer than a check. If no
/// thread is free, the member is checked at the addresses found last; if there are none,
/// the check counts neither as passed nor as failed. A lookup cannot be cancelled. If many
/// names hang when checks start, other names are found later: each 48 names that hang delay
/// them once by the time limit of the resolver (10 s with glibc's defaults).
///
/// # Panics
///
/// A panic of a probe, or of a closure passed to the builder, is a failed check of that
/// member. A panic of an observer of the balancer while it handles a check is caught.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, HealthChecks, HttpProbe};
/// use equipoise::Balancer;
/// use std::net::SocketAddr;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let a: SocketAddr = "10.0.0.1:8080".parse()?;
/// let b: SocketAddr = "10.0.0.2:8080".parse()?;
/// let balancer = Balancer::new([("a", a), ("b", b)])?;
///
/// let status = HttpProbe::get("/status").build()?;
/// let check = Check::builder(status).interval(Duration::from_secs(5)).build()?;
/// let checks = HealthChecks::new(&balancer, check);
/// # drop(checks);
/// # Ok(())
/// # }
/// ```
#[must_use = "the checks stop when it is dropped"]
pub struct HealthChecks {
    /// `None` once [`detach`](Self::detach) was called.
    task: Option<AbortHandle>,
    events: Arc<CheckEvents>,
}

/// Builds [`HealthChecks`].
///
/// # Examples
///
/// Two templates, chosen by a label:
///
/// ```
/// use equipoise::health::{Check, HealthChecks, HttpProbe, TcpProbe};
/// use equipoise::{Balancer, MemberSpec};
/// use std::net::SocketAddr;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address: SocketAddr = "127.0.0.1:9".parse()?;
/// let plain = MemberSpec::new();
/// let cache = MemberSpec::new().with_label("check", "tcp");
/// let balancer = Balancer::builder()
///     .member("app", address, plain)
///     .member("cache", address, cache)
///     .build()?;
///
/// let http = Check::builder(HttpProbe::head("/").build()?).build()?;
/// let tcp = Check::builder(TcpProbe::new()).build()?;
/// let checks = HealthChecks::builder(http.clone())
///     .check_by(move |_name, spec, _payload| match spec.label("check") {
///         None => Some(http.clone()),
///         Some("tcp") => Some(tcp.clone()),
///         Some(_) => None, // not checked
///     })
///     .spawn(&balancer);
/// # drop(checks);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct HealthChecksBuilder<W> {
    check: Check,
    choose: Option<Box<ChooseCheck<W>>>,
    target: Box<FindTarget<W>>,
    slots: usize,
    first: FirstCheck,
}

impl HealthChecks {
    /// Starts to check all members of a balancer in the same way.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn new<W>(balancer: &Balancer<W>, check: Check) -> Self
    where
        W: Checkable + Send + Sync + 'static,
    {
        Self::builder(check).spawn(balancer)
    }

    /// Returns a builder for members whose payloads have a probe target.
    pub fn builder<W: Checkable + 'static>(check: Check) -> HealthChecksBuilder<W> {
        HealthChecksBuilder::new(check, Box::new(W::probe_target))
    }

    /// Returns a builder for members with any payload; the closure returns the probe
    /// target.
    ///
    /// # Examples
    ///
    /// Checks at a port other than that of requests:
    ///
    /// ```
    /// use equipoise::health::{Check, HealthChecks, TcpProbe};
    /// use equipoise::net::Connector;
    /// use std::net::SocketAddr;
    ///
    /// let check = Check::builder(TcpProbe::new()).build()?;
    /// let builder = HealthChecks::builder_by(check, |member: &SocketAddr| {
    ///     Connector::tcp(SocketAddr::new(member.ip(), 9000))
    /// });
    /// # let _ = builder;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder_by<W, T>(
        check: Check,
        target: impl Fn(&W) -> T + Send + Sync + 'static,
    ) -> HealthChecksBuilder<W>
    where
        T: Into<ProbeTarget>,
    {
        let target = move |payload: &W| Ok::<_, ProbeError>(target(payload).into());
        HealthChecksBuilder::new(check, Box::new(target))
    }

    /// Checks all members now, whatever their intervals. This also applies changes in
    /// the choice of their checks. A member that is being checked is checked again
    /// afterwards.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HealthChecks;
    ///
    /// fn network_is_back(checks: &HealthChecks) {
    ///     checks.check_now();
    /// }
    /// # let _ = network_is_back;
    /// ```
    pub fn check_now(&self) {
        self.events.check_now();
    }

    /// Keeps the checks running for as long as the balancer lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{Check, HealthChecks, TcpProbe};
    /// use equipoise::Balancer;
    /// use std::net::SocketAddr;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let balancer = Balancer::<SocketAddr>::builder().build()?;
    /// HealthChecks::new(&balancer, Check::builder(TcpProbe::new()).build()?).detach();
    /// # Ok(())
    /// # }
    /// ```
    pub fn detach(mut self) {
        self.task = None;
    }
}

impl Drop for HealthChecks {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl<W> HealthChecksBuilder<W> {
    fn new(check: Check, target: Box<FindTarget<W>>) -> Self {
        Self {
            check,
            choose: None,
            target,
            slots: 256,
            first: FirstCheck::AtOnce,
        }
    }

    /// Sets a closure that chooses the check of each member by its name, spec and payload;
    /// `None` means that the member is not checked. It is called before each check, which
    /// makes changes of labels and payloads take effect, and once in an interval for
    /// members that are not checked. A failed check remains when its member is no longer
    /// checked: end it by [`recover`](Balancer::recover).
    pub fn check_by(
        mut self,
        choose: impl Fn(&str, &MemberSpec, &W) -> Option<Check> + Send + Sync + 'static,
    ) -> Self {
        self.choose = Some(Box::new(choose));
        self
    }

    /// Sets how many checks may run at the same time, 256 by default (Apache:
    /// `ProxyHCTPsize`, 16); 0 counts as 1. Each takes a file descriptor. It should be
    /// larger than the number of checks per second times the seconds that one takes.
    pub fn concurrency(mut self, checks: usize) -> Self {
        self.slots = checks.max(1);
        self
    }

    /// Sets when a member is checked for the first time, at once by default. Until then it
    /// is in service.
    ///
    /// # Examples
    ///
    /// As in Apache:
    ///
    /// ```
    /// use equipoise::health::{Check, FirstCheck, HealthChecks, TcpProbe};
    /// use std::net::SocketAddr;
    ///
    /// let builder = HealthChecks::builder::<SocketAddr>(Check::builder(TcpProbe::new()).build()?)
    ///     .first_check(FirstCheck::AfterInterval)
    ///     .concurrency(16);
    /// # let _ = builder;
    /// # Ok::<(), equipoise::health::CheckError>(())
    /// ```
    pub fn first_check(mut self, first: FirstCheck) -> Self {
        self.first = first;
        self
    }

    /// Starts the checks in a task of their own.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn spawn(self, balancer: &Balancer<W>) -> HealthChecks
    where
        W: Send + Sync + 'static,
    {
        let plan = CheckPlan {
            check: self.check,
            choose: self.choose,
            target: self.target,
            slots: self.slots,
            first: self.first,
            lookups: BoundedLookups::new(),
        };
        let events = Arc::new(CheckEvents::default());
        let driver = Driver::new(balancer, plan, events.clone());
        let task = tokio::spawn(driver.run()).abort_handle();
        HealthChecks {
            task: Some(task),
            events,
        }
    }
}

impl fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecks").finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for HealthChecksBuilder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecksBuilder")
            .field("check", &self.check)
            .field("concurrency", &self.slots)
            .field("first_check", &self.first)
            .finish_non_exhaustive()
    }
}
