//! What an operator decides about a member.

use std::sync::Arc;
use std::time::Duration;

use super::{Flag, Status, Weight};

/// How long a member in error rests unless its spec says otherwise: 60 s (Apache:
/// `retry`).
pub const DEFAULT_RECOVERY_DELAY: Duration = Duration::from_secs(60);

/// What an operator decides about a member; everything has a default.
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
/// assert_eq!(spec.route(), Some("node1"));
///
/// let backup = MemberSpec::new().with_flag(Flag::HotStandby);
/// assert_eq!(backup.weight(), Weight::ONE);
/// # Ok::<(), equipoise::WeightError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct MemberSpec {
    weight: Weight,
    tier: u16,
    status: Status,
    max_in_flight: Option<u32>,
    recovery_delay: Duration,
    route: Option<Arc<str>>,
    redirect_route: Option<Arc<str>>,
}

impl MemberSpec {
    /// Makes the spec of an ordinary member: weight 1, tier 0, no route, no cap.
    pub const fn new() -> Self {
        Self {
            weight: Weight::ONE,
            tier: 0,
            status: Status::NORMAL,
            max_in_flight: None,
            recovery_delay: DEFAULT_RECOVERY_DELAY,
            route: None,
            redirect_route: None,
        }
    }

    /// Sets the share of the work (Apache: `loadfactor`).
    #[doc(alias = "loadfactor")]
    pub const fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the tier: a tier is used only when nobody in a lower one can serve
    /// (Apache: `lbset`).
    #[doc(alias = "lbset")]
    pub const fn with_tier(mut self, tier: u16) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the route by which sessions find the member; an empty one is none.
    pub fn with_route(mut self, route: impl AsRef<str>) -> Self {
        self.route = some_route(route.as_ref());
        self
    }

    /// Sets the route that takes this member's sessions while it cannot serve
    /// (Apache: `redirect`); an empty one is none.
    #[doc(alias = "redirect")]
    pub fn with_redirect_route(mut self, route: impl AsRef<str>) -> Self {
        self.redirect_route = some_route(route.as_ref());
        self
    }

    /// Sets how long the member rests after an error (Apache: `retry`); zero means
    /// that the next request may try it again.
    #[doc(alias = "retry")]
    pub const fn with_recovery_delay(mut self, delay: Duration) -> Self {
        self.recovery_delay = delay;
        self
    }

    /// Sets how many requests may be in flight at once, up to
    /// [`MAX_IN_FLIGHT`](super::MAX_IN_FLIGHT). A member with a cap of 0 is always
    /// at its capacity.
    pub const fn with_max_in_flight(mut self, cap: u32) -> Self {
        self.max_in_flight = Some(cap);
        self
    }

    /// Lifts the cap.
    pub const fn without_max_in_flight(mut self) -> Self {
        self.max_in_flight = None;
        self
    }

    /// Sets a flag.
    pub const fn with_flag(mut self, flag: Flag) -> Self {
        self.status = self.status.with(flag);
        self
    }

    /// Clears a flag.
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
        self.max_in_flight
    }

    /// Returns how long the member rests after an error.
    #[must_use]
    pub const fn recovery_delay(&self) -> Duration {
        self.recovery_delay
    }

    /// Returns the route.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    pub(crate) fn route_handle(&self) -> Option<&Arc<str>> {
        self.route.as_ref()
    }

    /// Returns the route that takes over the sessions.
    #[must_use]
    pub fn redirect_route(&self) -> Option<&str> {
        self.redirect_route.as_deref()
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
