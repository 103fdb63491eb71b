//! Everything that can be said of a balancer before it starts: [`Builder`].

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::editor::{Editor, View};
use super::hub::Hub;
use super::{Balancer, BuildError, Core};
use crate::clock::{Clock, SystemClock};
use crate::member::MemberSpec;
use crate::observer::Observer;
use crate::random::Random;
use crate::scheduler::{ByRequests, Scheduler};
use crate::sync::{Mutex, Published};

/// Builds a [`Balancer`]; only [`build`](Self::build) can fail.
///
/// # Examples
///
/// ```
/// use equipoise::clock::ManualClock;
/// use equipoise::{Balancer, ByTraffic, Flag, MemberSpec};
///
/// let clock = ManualClock::new();
/// let balancer = Balancer::builder()
///     .scheduler(ByTraffic::new())
///     .clock(clock.clone())
///     .seed(7)
///     .without_forced_recovery()
///     .member("a", "10.0.0.1:80", MemberSpec::new())
///     .member("b", "10.0.0.2:80", MemberSpec::new().with_flag(Flag::HotStandby))
///     .build()?;
/// assert_eq!(balancer.len(), 2);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use]
pub struct Builder<W> {
    members: Vec<(Arc<str>, W, MemberSpec)>,
    scheduler: Arc<dyn Scheduler>,
    clock: Box<dyn Clock>,
    random: Random,
    observer: Option<Box<dyn Observer>>,
    forced_recovery: bool,
}

impl<W> Builder<W> {
    pub(super) fn new() -> Self {
        Self {
            members: Vec::new(),
            scheduler: Arc::new(ByRequests::new()),
            clock: Box::new(SystemClock::new()),
            random: Random::from_entropy(),
            observer: None,
            forced_recovery: true,
        }
    }

    /// Adds a member.
    pub fn member(mut self, name: impl Into<Arc<str>>, payload: W, spec: MemberSpec) -> Self {
        self.members.push((name.into(), payload, spec));
        self
    }

    /// Adds members.
    pub fn members<N>(mut self, members: impl IntoIterator<Item = (N, W, MemberSpec)>) -> Self
    where
        N: Into<Arc<str>>,
    {
        let members = members.into_iter();
        self.members
            .extend(members.map(|(name, payload, spec)| (name.into(), payload, spec)));
        self
    }

    /// Sets how members are elected; [`ByRequests`] by default.
    pub fn scheduler(mut self, scheduler: impl Scheduler) -> Self {
        self.scheduler = Arc::new(scheduler);
        self
    }

    /// Sets where the time comes from; [`SystemClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Makes everything that is left to chance repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Sets who hears what happens; nobody by default.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// When nobody is left, leaves members in error alone until their recovery delay
    /// is over, instead of trying them all again at once (Apache: `forcerecovery=Off`).
    #[doc(alias = "forcerecovery")]
    pub fn without_forced_recovery(mut self) -> Self {
        self.forced_recovery = false;
        self
    }

    /// Builds the balancer.
    ///
    /// # Errors
    ///
    /// [`BuildError::DuplicateName`] if two members have the same name.
    pub fn build(self) -> Result<Balancer<W>, BuildError> {
        refuse_duplicates(&self.members)?;
        let hub = Arc::new(Hub::new(
            self.clock,
            self.random,
            self.observer,
            self.forced_recovery,
            self.scheduler.clone(),
        ));
        let core = Core {
            view: Published::new(View::empty(&hub, self.scheduler.clone())),
            editor: Mutex::new(Editor::new(self.scheduler)),
            hub,
        };
        let balancer = Balancer {
            core: Arc::new(core),
        };
        balancer.put_all(self.members);
        Ok(balancer)
    }
}

/// Names are identity: each may occur once.
pub(super) fn refuse_duplicates<W>(
    members: &[(Arc<str>, W, MemberSpec)],
) -> Result<(), BuildError> {
    let mut names = HashSet::with_capacity(members.len());
    match members.iter().find(|(name, ..)| !names.insert(name)) {
        Some((name, ..)) => Err(BuildError::DuplicateName { name: name.clone() }),
        None => Ok(()),
    }
}

impl<W> fmt::Debug for Builder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("members", &self.members.len())
            .field("scheduler", &self.scheduler)
            .finish_non_exhaustive()
    }
}
