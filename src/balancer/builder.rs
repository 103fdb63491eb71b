//! The settings of a balancer before it starts: [`Builder`].

use std::fmt;
use std::sync::Arc;

use super::agenda::Pace;
use super::editor::Editor;
use super::events::Observer;
use super::shared::Shared;
use super::view::View;
use super::{Balancer, BuildError, Core, DEFAULT_SOURCE};
use crate::clock::{Clock, SystemClock};
use crate::member::{Backoff, MemberSpec, Ramp};
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
///     .forced_recovery(false)
///     .member("a", "10.0.0.1:80", MemberSpec::new())
///     .member("b", "10.0.0.2:80", MemberSpec::new().with_flag(Flag::HotStandby))
///     .build()?;
/// assert_eq!(balancer.len(), 2);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use]
pub struct Builder<W> {
    name: Option<Arc<str>>,
    members: Vec<(Arc<str>, W, MemberSpec)>,
    scheduler: Arc<dyn Scheduler>,
    clock: Box<dyn Clock>,
    random: Random,
    observers: Vec<Box<dyn Observer>>,
    forced_recovery: bool,
    pace: Pace,
}

impl<W> Balancer<W> {
    /// Creates a balancer that picks by requests, with members of weight 1.
    ///
    /// # Errors
    ///
    /// [`BuildError::DuplicateName`] if two members have the same name.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", 1), ("b", 2)])?;
    /// assert_eq!(balancer.len(), 2);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn new<N>(members: impl IntoIterator<Item = (N, W)>) -> Result<Self, BuildError>
    where
        N: Into<Arc<str>>,
    {
        let builder = members
            .into_iter()
            .fold(Self::builder(), |builder, (name, payload)| {
                builder.member(name, payload, MemberSpec::new())
            });
        builder.build()
    }

    /// Returns a builder, which has all settings.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, ByBusyness, MemberSpec};
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(ByBusyness::new())
    ///     .member("a", "10.0.0.1:80", MemberSpec::new())
    ///     .build()?;
    /// # assert_eq!(balancer.len(), 1);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn builder() -> Builder<W> {
        Builder::new()
    }
}

impl<W> Builder<W> {
    pub(super) fn new() -> Self {
        Self {
            name: None,
            members: Vec::new(),
            scheduler: Arc::new(ByRequests::new()),
            clock: Box::new(SystemClock::new()),
            random: Random::from_entropy(),
            observers: Vec::new(),
            forced_recovery: true,
            pace: Pace::default(),
        }
    }

    /// Sets the balancer's name, for logs and metrics; it has no name by default.
    ///
    /// Any text is allowed, and several balancers may have the same name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::builder()
    ///     .name("api")
    ///     .member("a", "10.0.0.1:80", MemberSpec::new())
    ///     .build()?;
    /// assert_eq!(balancer.name(), Some("api"));
    /// assert!(format!("{balancer:?}").contains("api"));
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a member; among equal members, the one that was added first is picked.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", "10.0.0.1:80", MemberSpec::new())
    ///     .member("b", "10.0.0.2:80", MemberSpec::new().with_tier(1))
    ///     .build()?;
    /// assert_eq!(*balancer.payload("b").unwrap(), "10.0.0.2:80");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn member(mut self, name: impl Into<Arc<str>>, payload: W, spec: MemberSpec) -> Self {
        self.members.push((name.into(), payload, spec));
        self
    }

    /// Adds members, each with its name, payload and spec.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let addresses = ["10.0.0.1:80", "10.0.0.2:80"];
    /// let balancer = Balancer::builder()
    ///     .members(addresses.map(|address| (address, address, MemberSpec::new())))
    ///     .build()?;
    /// assert_eq!(balancer.len(), 2);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn members<N>(mut self, members: impl IntoIterator<Item = (N, W, MemberSpec)>) -> Self
    where
        N: Into<Arc<str>>,
    {
        let members = members.into_iter();
        self.members
            .extend(members.map(|(name, payload, spec)| (name.into(), payload, spec)));
        self
    }

    /// Sets how members are picked; [`ByRequests`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, ByBusyness};
    ///
    /// let balancer = Balancer::<()>::builder().scheduler(ByBusyness::new()).build()?;
    /// assert_eq!(balancer.scheduler_name(), "bybusyness");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn scheduler(mut self, scheduler: impl Scheduler) -> Self {
        self.scheduler = Arc::new(scheduler);
        self
    }

    /// Sets the clock; [`SystemClock`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::ManualClock;
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let balancer = Balancer::builder()
    ///     .clock(clock.clone())
    ///     .forced_recovery(false)
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// assert!(balancer.pick(&PickRequest::new()).is_err());
    ///
    /// clock.advance(Duration::from_secs(60)); // no test has to sleep
    /// assert!(balancer.pick(&PickRequest::new()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Sets the seed of the random numbers, which makes picks reproducible.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, HeartbeatReading};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let picks = |seed| -> String {
    ///     let readings = HeartbeatReadings::new();
    ///     let balancer = Balancer::builder()
    ///         .scheduler(Heartbeat::new(&readings))
    ///         .seed(seed)
    ///         .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///         .build()
    ///         .unwrap();
    ///     for name in ["a", "b"] {
    ///         let reading = HeartbeatReading { ready: 100, busy: 1 };
    ///         readings.report(name, reading, Timestamp::ORIGIN).unwrap();
    ///     }
    ///     let pick = |_| balancer.pick(&PickRequest::new()).unwrap().member().name().to_owned();
    ///     (0..20).map(pick).collect()
    /// };
    /// assert_eq!(picks(7), picks(7));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Adds an observer for the lifetime of the balancer; there may be any number. It also
    /// receives the events of the members that the balancer starts with.
    /// [`Balancer::observe`] adds an observer that can be removed again.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::balancer::events::Interest;
    /// use equipoise::{Balancer, Event, MemberSpec, Observer, PickRequest};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// #[derive(Default)]
    /// struct CountPicks(AtomicUsize);
    ///
    /// impl Observer for CountPicks {
    ///     fn observe(&self, _: &Event<'_>) {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///     }
    ///
    ///     fn interest(&self) -> Interest {
    ///         Interest::PICKED
    ///     }
    /// }
    ///
    /// let picks = Arc::new(CountPicks::default());
    /// let balancer = Balancer::builder()
    ///     .observer(picks.clone())
    ///     .observer(|event: &Event<'_>| println!("{event}"))
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// drop(balancer.pick(&PickRequest::new())?);
    /// assert_eq!(picks.0.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Sets how long errors last; [`Backoff::constant`] by default, by which each error
    /// lasts for the member's recovery delay.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.pace.backoff = backoff;
        self
    }

    /// Sets how the weight of a member grows after it has joined or recovered (slow start),
    /// for all members without a [`ramp`](MemberSpec::with_ramp) of their own. By default
    /// there is no ramp.
    #[doc(alias = "slowstart")]
    pub fn ramp(mut self, ramp: Ramp) -> Self {
        self.pace.ramp = Some(ramp);
        self
    }

    /// Sets whether all errors and ejections end at once when no other member can serve, so
    /// that these members are tried again; on by default. If it is off, these members stay
    /// out until their time has elapsed (Apache: `forcerecovery=Off`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .forced_recovery(false)
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// let error = balancer.pick(&PickRequest::new()).unwrap_err();
    /// assert!(matches!(error, PickError::NoneUsable { members: 1, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "forcerecovery")]
    pub fn forced_recovery(mut self, on: bool) -> Self {
        self.forced_recovery = on;
        self
    }

    /// Builds the balancer.
    ///
    /// # Errors
    ///
    /// [`BuildError::DuplicateName`] if two members have the same name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, BuildError, MemberSpec};
    ///
    /// let builder = Balancer::builder().member("a", 1, MemberSpec::new());
    /// assert_eq!(builder.build()?.len(), 1);
    ///
    /// let builder = Balancer::builder().member("a", 1, MemberSpec::new());
    /// let error = builder.member("a", 2, MemberSpec::new()).build().unwrap_err();
    /// assert_eq!(error, BuildError::DuplicateName { name: "a".into() });
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn build(self) -> Result<Balancer<W>, BuildError> {
        let shared = Arc::new(Shared::new(
            self.name,
            self.clock,
            self.random,
            self.observers,
            self.forced_recovery,
            self.pace,
            self.scheduler.clone(),
        ));
        let core = Core {
            view: Published::new(View::empty(self.scheduler.needs(), self.scheduler.clone())),
            default_source: Arc::new(DEFAULT_SOURCE.into()),
            editor: Mutex::new(Editor::new(&shared, self.scheduler)),
            shared,
        };
        let balancer = Balancer {
            core: Arc::new(core),
        };
        match balancer.replace_all(self.members) {
            Ok(_) => Ok(balancer),
            Err(error) => Err(BuildError::DuplicateName {
                name: error.name().into(),
            }),
        }
    }
}

impl<W> fmt::Debug for Builder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("members", &self.members.len())
            .field("scheduler", &self.scheduler)
            .finish_non_exhaustive()
    }
}
