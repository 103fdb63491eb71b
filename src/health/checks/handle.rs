//! The checks of a balancer, and all that can be said about them: [`HealthChecks`].
//!
//! What does not live here: the task that carries them out (`driver`).

use std::fmt;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::driver::Driver;
use super::lookup::BoundedLookups;
use super::news::News;
use super::plan::{CheckPlan, ChooseCheck, FindTarget};
use super::{Check, Checkable, FirstCheck, ProbeError, ProbeTarget};
use crate::balancer::Balancer;
use crate::member::MemberSpec;

/// Checks the members of a balancer until it is dropped.
///
/// * Members that join are checked from then on; one that leaves is forgotten, with its counts,
///   and a check of it that is under way is given up. A new payload of the same name is used by
///   the next check; if it is to be checked elsewhere, what a check that is under way finds at
///   the former address counts for nothing, and the next one follows at once.
/// * Stopped members are not checked. All others are, also those that are disabled, draining or
///   spares.
/// * A member is checked again one [interval](super::CheckBuilder::interval) after its check has
///   ended: checks of a member never overlap, and where slots are short, intervals grow.
/// * When it is dropped, connections of checks that are under way are closed. It does not keep
///   the balancer alive, and ends with it. What the checks have found stays.
///
/// # When a member is in and when it is out
///
/// | checks in a row | the member is in service | it is out: failed check, or in error |
/// |---|---|---|
/// | [`fails`](super::CheckBuilder::fails) have failed | [`Flag::FailedCheck`](crate::Flag::FailedCheck), with the cause | |
/// | [`passes`](super::CheckBuilder::passes) have passed | | the failed check ends, and so does an error |
///
/// An [ejection](Balancer::eject) lasts for its time, unless
/// [`end_ejections`](super::CheckBuilder::end_ejections) is set; those of an
/// [`OutlierDetector`](crate::health::OutlierDetector) end when `passes` checks in a row have
/// passed that began after them, and a request tries the member.
///
/// Neither its recovery delay nor forced recovery ends a failed check: only a check that passes
/// does, or [`recover`](Balancer::recover).
///
/// What is this machine's fault, such as no descriptor or no port being left, counts neither
/// way.
///
/// # How many at a time
///
/// At most [`concurrency`](HealthChecksBuilder::concurrency) checks are under way. One that
/// hangs holds its slot until its time limit. So that hung members leave slots to the others,
/// those whose last check was slow, which is longer than half of its time limit, have at most
/// half of the slots. If all members hang at once, that takes one time limit to be found out.
///
/// Names are looked up for each check, on threads of the runtime: 64 at most in the program, a
/// quarter of them for names whose last lookup took longer than a check. A member for which
/// these do not suffice is checked where it was found last; if it never was, the check counts
/// neither way.
///
/// # Panics
///
/// A panic of a probe, or of a closure that was given here, is a failed check of that member. A
/// panic of an observer of the balancer that is told of a check goes no further.
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
#[must_use = "members are checked until it is dropped"]
pub struct HealthChecks {
    /// `None` once the checks are to go on without a handle.
    task: Option<AbortHandle>,
    news: Arc<News>,
}

/// Says how members are checked before the checks begin.
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
    /// Checks all members of a balancer alike, from now on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new<W>(balancer: &Balancer<W>, check: Check) -> Self
    where
        W: Checkable + Send + Sync + 'static,
    {
        Self::builder(check).spawn(balancer)
    }

    /// Begins checks of members whose payloads tell where they are.
    pub fn builder<W: Checkable + 'static>(check: Check) -> HealthChecksBuilder<W> {
        HealthChecksBuilder::new(check, Box::new(W::probe_target))
    }

    /// Begins checks of members of any payload; the closure tells where one is checked.
    ///
    /// # Examples
    ///
    /// At another port than requests go to:
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

    /// Makes all members due now, whatever their intervals, and so takes up what has changed in
    /// the choice of their checks. One that is being checked is checked again when that is over.
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
        self.news.check_now();
    }

    /// Lets the checks go on for as long as the balancer lives.
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
    /// HealthChecks::new(&balancer, Check::builder(TcpProbe::new()).build()?).keep();
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep(mut self) {
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

    /// Chooses the check of each member, by its name, its spec and its payload; `None` for one
    /// that is not checked. It is asked before each check, so that it sees changes of labels and
    /// payloads, and for members that are not checked, once in an interval. A failed check stays
    /// when its member is checked no more: end it by [`recover`](Balancer::recover).
    pub fn check_by(
        mut self,
        choose: impl Fn(&str, &MemberSpec, &W) -> Option<Check> + Send + Sync + 'static,
    ) -> Self {
        self.choose = Some(Box::new(choose));
        self
    }

    /// Sets how many checks may be under way at the same time, 256 by default (Apache:
    /// `ProxyHCTPsize`, 16); 0 is 1. Each takes a descriptor. It should be larger than the
    /// number of checks a second times the seconds that one takes.
    pub fn concurrency(mut self, checks: usize) -> Self {
        self.slots = checks.max(1);
        self
    }

    /// Sets when a member is checked for the first time, at once by default. Until it is
    /// checked, it is in service.
    ///
    /// # Examples
    ///
    /// As Apache does it:
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

    /// Begins the checks, in a task of their own.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
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
        let news = Arc::new(News::default());
        let driver = Driver::new(balancer, plan, news.clone());
        let task = tokio::spawn(driver.run()).abort_handle();
        HealthChecks {
            task: Some(task),
            news,
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
