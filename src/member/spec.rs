//! The settings that a member's source gives it: [`MemberSpec`].

use std::sync::Arc;
use std::time::Duration;

use super::{Flag, Labels, MAX_IN_FLIGHT, Ramp, Status, Weight};

/// How long a member stays in error if its spec sets no other delay: 60 s (Apache:
/// `retry`).
///
/// # Examples
///
/// ```
/// use equipoise::MemberSpec;
/// use equipoise::member::DEFAULT_RECOVERY_DELAY;
///
/// let spec = MemberSpec::new().with_recovery_delay(DEFAULT_RECOVERY_DELAY / 2);
/// assert_eq!(spec.recovery_delay().as_secs(), 30);
/// ```
pub const DEFAULT_RECOVERY_DELAY: Duration = Duration::from_secs(60);

/// The settings that the source of a member, such as a configuration, gives it. All have
/// defaults.
///
/// The settings by an operator are [`Overrides`](super::Overrides). The flags
/// [`Flag::InError`] and [`Flag::FailedCheck`] count for a new member only: later they
/// belong to its health, which no spec changes.
///
/// # Examples
///
/// ```
/// use equipoise::{Flag, MemberSpec, Weight};
/// use std::time::Duration;
///
/// let spec = MemberSpec::new()
///     .with_weight(Weight::new(3)?)
///     .with_route("node1")
///     .with_recovery_delay(Duration::from_secs(10))
///     .with_max_in_flight(100);
/// assert_eq!((spec.weight(), spec.route()), (Weight::new(3)?, Some("node1")));
/// assert_eq!((spec.tier(), spec.redirect_route()), (0, None));
/// assert_eq!(spec.recovery_delay(), Duration::from_secs(10));
/// assert_eq!(spec.max_in_flight(), Some(100));
///
/// let backup = MemberSpec::new().with_flag(Flag::HotStandby);
/// assert!(backup.status().contains(Flag::HotStandby));
/// # Ok::<(), equipoise::WeightError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct MemberSpec {
    weight: Weight,
    tier: u16,
    status: Status,
    route: Option<Arc<str>>,
    /// `None` if it would hold only defaults.
    rare: Option<Box<RareSettings>>,
}

/// Settings that most members leave at their defaults. No scheduler of this crate reads them
/// at a pick.
#[derive(Clone, Debug, Eq, PartialEq)]
struct RareSettings {
    max_in_flight: Option<u32>,
    ramp: Option<Ramp>,
    recovery_delay: Duration,
    redirect_route: Option<Arc<str>>,
    labels: Labels,
}

impl RareSettings {
    const NONE: Self = Self {
        max_in_flight: None,
        ramp: None,
        recovery_delay: DEFAULT_RECOVERY_DELAY,
        redirect_route: None,
        labels: Labels::NONE,
    };
}

impl MemberSpec {
    /// Creates the spec of an ordinary member: weight 1, tier 0, no route, no cap.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{MemberSpec, Status, Weight};
    ///
    /// let spec = MemberSpec::new();
    /// assert_eq!((spec.weight(), spec.tier(), spec.status()), (Weight::ONE, 0, Status::NORMAL));
    /// ```
    pub const fn new() -> Self {
        Self {
            weight: Weight::ONE,
            tier: 0,
            status: Status::NORMAL,
            route: None,
            rare: None,
        }
    }

    /// Sets the weight, the member's share of the work (Apache: `loadfactor`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{MemberSpec, Weight};
    ///
    /// let spec = MemberSpec::new().with_weight(Weight::new(3)?);
    /// assert_eq!(spec.weight().to_string(), "3");
    /// # Ok::<(), equipoise::WeightError>(())
    /// ```
    #[doc(alias = "loadfactor")]
    pub const fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the tier: a tier is used only while no member of a lower tier can serve
    /// (Apache: `lbset`). Any number is allowed; 0 comes first.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .member("here", (), MemberSpec::new())
    ///     .member("far away", (), MemberSpec::new().with_tier(1))
    ///     .build()?;
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "here");
    /// balancer.set_flag("here", Flag::Disabled)?;
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "far away");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "lbset")]
    pub const fn with_tier(mut self, tier: u16) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the route by which sessions find the member; an empty text means no route.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberSpec;
    ///
    /// assert_eq!(MemberSpec::new().with_route("node1").route(), Some("node1"));
    /// assert_eq!(MemberSpec::new().with_route("").route(), None);
    /// ```
    pub fn with_route(mut self, route: impl AsRef<str>) -> Self {
        self.route = some_route(route.as_ref());
        self
    }

    /// Sets the route that takes over this member's sessions while it cannot serve (Apache:
    /// `redirect`); an empty text means no such route.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec, PickRequest, Session};
    ///
    /// let old = MemberSpec::new().with_route("old").with_redirect_route("new");
    /// let balancer = Balancer::builder()
    ///     .member("a", (), old.with_flag(Flag::Disabled))
    ///     .member("b", (), MemberSpec::new().with_route("new"))
    ///     .build()?;
    /// let lease = balancer.pick(&PickRequest::new().with_session(Some("old")))?;
    /// assert_eq!((lease.member().name(), lease.session()), ("b", Session::Redirected));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "redirect")]
    pub fn with_redirect_route(mut self, route: impl AsRef<str>) -> Self {
        let route = some_route(route.as_ref());
        self.change_rare(|rare| rare.redirect_route = route);
        self
    }

    /// Sets a label; it replaces a label of the same name.
    ///
    /// [`Labels`] describes the allowed names and texts. Only the source sets labels; an
    /// operator cannot override them. A change of labels is reported to the scheduler as
    /// any other change of the spec.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// /// Picks members of zone a first.
    /// #[derive(Debug)]
    /// struct NearFirst;
    ///
    /// impl Scheduler for NearFirst {
    ///     fn name(&self) -> &'static str {
    ///         "near first"
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
    ///         let near = candidates.iter().filter(|one| one.label("zone") == Some("a"));
    ///         candidates.claim_first(near.chain(candidates.iter()))
    ///     }
    /// }
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(NearFirst)
    ///     .member("far", (), MemberSpec::new().with_label("zone", "b"))
    ///     .member("near", (), MemberSpec::new().with_label("zone", "a"))
    ///     .build()?;
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "near");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_label(mut self, name: impl AsRef<str>, text: impl AsRef<str>) -> Self {
        self.change_rare(|rare| rare.labels.set(name.as_ref(), text.as_ref()));
        self
    }

    /// Removes a label.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberSpec;
    ///
    /// let spec = MemberSpec::new().with_label("zone", "a").without_label("zone");
    /// assert_eq!(spec, MemberSpec::new());
    /// ```
    pub fn without_label(mut self, name: impl AsRef<str>) -> Self {
        self.change_rare(|rare| rare.labels.unset(name.as_ref()));
        self
    }

    /// Sets how long the member stays in error (Apache: `retry`). Zero means that the next
    /// request may try it again. A change also applies to an error that began before it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberSpec;
    /// use std::time::Duration;
    ///
    /// let spec = MemberSpec::new().with_recovery_delay(Duration::from_secs(10));
    /// assert_eq!(spec.recovery_delay(), Duration::from_secs(10));
    /// ```
    #[doc(alias = "retry")]
    pub fn with_recovery_delay(mut self, delay: Duration) -> Self {
        self.change_rare(|rare| rare.recovery_delay = delay);
        self
    }

    /// Sets how the weight grows after the member has joined or recovered (slow start);
    /// without it, the balancer's [`ramp`](crate::balancer::Builder::ramp) holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberSpec;
    /// use equipoise::member::Ramp;
    /// use std::time::Duration;
    ///
    /// let ramp = Ramp::over(Duration::from_secs(30));
    /// assert_eq!(MemberSpec::new().with_ramp(ramp).ramp(), Some(ramp));
    /// ```
    #[doc(alias = "slowstart")]
    pub fn with_ramp(mut self, ramp: Ramp) -> Self {
        self.change_rare(|rare| rare.ramp = Some(ramp));
        self
    }

    /// Sets how many requests may be in flight at once, up to [`MAX_IN_FLIGHT`]. A member
    /// with a cap of 0 is always at its capacity.
    ///
    /// A limit that is learned while running may be lower:
    /// [`LearnedLimit`](crate::balancer::LearnedLimit).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
    ///
    /// let spec = MemberSpec::new().with_max_in_flight(1);
    /// let balancer = Balancer::builder().member("a", (), spec).build()?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// assert_eq!(balancer.pick(&PickRequest::new()).unwrap_err(), PickError::AtCapacity);
    /// # drop(lease);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_max_in_flight(mut self, cap: u32) -> Self {
        self.change_rare(|rare| rare.max_in_flight = Some(cap.min(MAX_IN_FLIGHT)));
        self
    }

    /// Removes the cap.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let spec = MemberSpec::new().with_max_in_flight(8);
    /// let balancer = Balancer::builder().member("a", (), spec).build()?;
    /// balancer.update("a", MemberSpec::without_max_in_flight)?;
    /// assert_eq!(balancer.spec("a").unwrap().max_in_flight(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn without_max_in_flight(mut self) -> Self {
        self.change_rare(|rare| rare.max_in_flight = None);
        self
    }

    /// Sets a flag.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, MemberSpec};
    ///
    /// let spec = MemberSpec::new().with_flag(Flag::HotSpare).with_flag(Flag::IgnoreErrors);
    /// assert_eq!(spec.status().to_string(), "hot spare, ignores errors");
    /// ```
    pub const fn with_flag(mut self, flag: Flag) -> Self {
        self.status = self.status.with(flag);
        self
    }

    /// Clears a flag.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, MemberSpec};
    ///
    /// let spec = MemberSpec::new().with_flag(Flag::Draining).without_flag(Flag::Draining);
    /// assert_eq!(spec, MemberSpec::new());
    /// ```
    pub const fn without_flag(mut self, flag: Flag) -> Self {
        self.status = self.status.without(flag);
        self
    }

    pub(crate) const fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Returns the weight.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Returns the tier.
    #[must_use]
    pub const fn tier(&self) -> u16 {
        self.tier
    }

    /// Returns the flags.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Returns the cap on requests in flight.
    #[must_use]
    pub const fn max_in_flight(&self) -> Option<u32> {
        self.rare().max_in_flight
    }

    /// Returns how long the member stays in error.
    #[must_use]
    pub const fn recovery_delay(&self) -> Duration {
        self.rare().recovery_delay
    }

    /// Returns the member's own ramp; `None` if the balancer's holds.
    #[must_use]
    pub const fn ramp(&self) -> Option<Ramp> {
        self.rare().ramp
    }

    /// Returns the route.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    pub(crate) fn route_handle(&self) -> Option<&Arc<str>> {
        self.route.as_ref()
    }

    /// Returns the route that takes over the member's sessions.
    #[must_use]
    pub fn redirect_route(&self) -> Option<&str> {
        self.rare().redirect_route.as_deref()
    }

    /// Returns the text of the label `name`, if the member has it.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels().get(name)
    }

    /// Returns all labels.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.rare().labels
    }

    const fn rare(&self) -> &RareSettings {
        static NONE: RareSettings = RareSettings::NONE;
        match &self.rare {
            Some(rare) => rare,
            None => &NONE,
        }
    }

    fn change_rare(&mut self, change: impl FnOnce(&mut RareSettings)) {
        let mut rare = self.rare.take();
        let settings = rare.get_or_insert_with(|| Box::new(RareSettings::NONE));
        change(settings);
        self.rare = rare.filter(|rare| **rare != RareSettings::NONE);
    }
}

impl Default for MemberSpec {
    fn default() -> Self {
        Self::new()
    }
}

fn some_route(route: &str) -> Option<Arc<str>> {
    (!route.is_empty()).then(|| Arc::from(route))
}
