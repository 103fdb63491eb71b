//! Settings by an operator, which take precedence over those of a member's source:
//! [`Overrides`].
//!
//! Not here: where overrides are kept while their member is absent
//! (`balancer/overrides.rs`), and the member's health, which nothing overrides.

use std::fmt;
use std::sync::Arc;

use super::{Flag, MAX_IN_FLIGHT, MemberSpec, Status, Weight};

/// Settings by an operator, which take precedence over those of a member's source.
///
/// The source of a member is what inserts it: code, a configuration, discovery. Its
/// [`MemberSpec`] is one layer and overrides are another. Neither is lost when the other
/// changes: a draining member is still draining after
/// [`replace_all`](crate::Balancer::replace_all). When an override is removed, the source's
/// setting holds again.
///
/// [Labels](super::Labels), the ramp and the recovery delay cannot be overridden.
///
/// The third layer is health: [`Flag::InError`], [`Flag::FailedCheck`] and
/// [`Flag::Ejected`] are facts that no override hides. Overrides ignore these flags;
/// [`set_flag`](crate::Balancer::set_flag) and [`clear_flag`](crate::Balancer::clear_flag)
/// change them as events do.
///
/// # Examples
///
/// ```
/// use equipoise::member::Overrides;
/// use equipoise::{Balancer, Flag, MemberSpec, Weight};
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let weight = Weight::new(5)?;
/// balancer.override_member("a", |it| it.with_flag(Flag::Draining).with_weight(weight));
/// balancer.insert("a", (), MemberSpec::new().with_tier(1))?; // by the source
///
/// let spec = balancer.spec("a").unwrap();
/// assert!(spec.status().contains(Flag::Draining));
/// assert_eq!((spec.weight(), spec.tier()), (weight, 1));
///
/// balancer.clear_overrides("a");
/// assert_eq!(balancer.spec("a").unwrap(), MemberSpec::new().with_tier(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Overrides {
    set: Status,
    cleared: Status,
    weight: Option<Weight>,
    tier: Option<u16>,
    max_in_flight: Option<u32>,
    /// An empty text means no route.
    route: Option<Arc<str>>,
    redirect_route: Option<Arc<str>>,
}

impl Overrides {
    /// Creates overrides that override nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Overrides;
    ///
    /// assert!(Overrides::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether nothing is overridden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets a flag, whatever the source's setting is.
    pub fn with_flag(mut self, flag: Flag) -> Self {
        let flag = Status::NORMAL.with(flag).difference(Status::HEALTH);
        self.set = self.set.union(flag);
        self.cleared = self.cleared.difference(flag);
        self
    }

    /// Clears a flag, whatever the source's setting is.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec};
    ///
    /// let disabled = MemberSpec::new().with_flag(Flag::Disabled);
    /// let balancer = Balancer::builder().member("a", (), disabled.clone()).build()?;
    /// balancer.override_member("a", |it| it.with_flag_off(Flag::Disabled));
    /// balancer.insert("a", (), disabled);
    /// assert!(balancer.member("a").unwrap().status().is_usable());
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn with_flag_off(mut self, flag: Flag) -> Self {
        let flag = Status::NORMAL.with(flag).difference(Status::HEALTH);
        self.cleared = self.cleared.union(flag);
        self.set = self.set.difference(flag);
        self
    }

    /// Removes the override of a flag; the source's setting holds again.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Flag;
    /// use equipoise::member::Overrides;
    ///
    /// let drained = Overrides::new().with_flag(Flag::Draining);
    /// assert_eq!(drained.without_flag(Flag::Draining), Overrides::new());
    /// ```
    pub fn without_flag(mut self, flag: Flag) -> Self {
        self.set = self.set.without(flag);
        self.cleared = self.cleared.without(flag);
        self
    }

    /// Overrides the weight.
    pub fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Removes the override of the weight.
    pub fn without_weight(mut self) -> Self {
        self.weight = None;
        self
    }

    /// Overrides the tier.
    pub fn with_tier(mut self, tier: u16) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Removes the override of the tier.
    pub fn without_tier(mut self) -> Self {
        self.tier = None;
        self
    }

    /// Overrides the cap on requests in flight; [`MAX_IN_FLIGHT`], the greatest value,
    /// means no cap.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let capped = MemberSpec::new().with_max_in_flight(10);
    /// let balancer = Balancer::builder().member("a", (), capped).build()?;
    /// balancer.override_member("a", |it| it.with_max_in_flight(4));
    /// assert_eq!(balancer.member("a").unwrap().max_in_flight(), 4);
    /// balancer.override_member("a", |it| it.without_max_in_flight());
    /// assert_eq!(balancer.member("a").unwrap().max_in_flight(), 10);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn with_max_in_flight(mut self, cap: u32) -> Self {
        self.max_in_flight = Some(cap.min(MAX_IN_FLIGHT));
        self
    }

    /// Removes the override of the cap on requests in flight.
    pub fn without_max_in_flight(mut self) -> Self {
        self.max_in_flight = None;
        self
    }

    /// Overrides the route; an empty text means no route.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let routed = MemberSpec::new().with_route("r1").with_redirect_route("r2");
    /// let balancer = Balancer::builder().member("a", (), routed).build()?;
    /// balancer.override_member("a", |it| it.with_route("r9").with_redirect_route(""));
    /// let spec = balancer.spec("a").unwrap();
    /// assert_eq!((spec.route(), spec.redirect_route()), (Some("r9"), None));
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn with_route(mut self, route: impl AsRef<str>) -> Self {
        self.route = Some(route.as_ref().into());
        self
    }

    /// Removes the override of the route.
    pub fn without_route(mut self) -> Self {
        self.route = None;
        self
    }

    /// Overrides the route that takes over the member's sessions; an empty text means no
    /// such route.
    pub fn with_redirect_route(mut self, route: impl AsRef<str>) -> Self {
        self.redirect_route = Some(route.as_ref().into());
        self
    }

    /// Removes the override of the route that takes over the member's sessions.
    pub fn without_redirect_route(mut self) -> Self {
        self.redirect_route = None;
        self
    }

    /// Returns the overridden flags: those that are set, and those that are cleared.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Overrides;
    /// use equipoise::{Flag, Status};
    ///
    /// let overrides = Overrides::new().with_flag(Flag::Draining).with_flag_off(Flag::Stopped);
    /// let (set, cleared) = overrides.flags();
    /// assert_eq!(set, Status::NORMAL.with(Flag::Draining));
    /// assert_eq!(cleared, Status::NORMAL.with(Flag::Stopped));
    /// ```
    #[must_use]
    pub const fn flags(&self) -> (Status, Status) {
        (self.set, self.cleared)
    }

    /// Returns the weight, if it is overridden.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Weight;
    /// use equipoise::member::Overrides;
    ///
    /// let overrides = Overrides::new().with_weight(Weight::ONE).with_route("");
    /// assert_eq!(overrides.weight(), Some(Weight::ONE));
    /// assert_eq!(overrides.route(), Some("")); // no route
    /// assert_eq!(overrides.tier(), None); // not overridden
    /// assert_eq!(overrides.to_string(), "weight 1, no route");
    /// ```
    #[must_use]
    pub const fn weight(&self) -> Option<Weight> {
        self.weight
    }

    /// Returns the tier, if it is overridden.
    #[must_use]
    pub const fn tier(&self) -> Option<u16> {
        self.tier
    }

    /// Returns the cap on requests in flight, if it is overridden; [`MAX_IN_FLIGHT`] means
    /// no cap.
    #[must_use]
    pub const fn max_in_flight(&self) -> Option<u32> {
        self.max_in_flight
    }

    /// Returns the route, if it is overridden; an empty text means no route.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// Returns the route that takes over the member's sessions, if it is overridden; an
    /// empty text means no such route.
    #[must_use]
    pub fn redirect_route(&self) -> Option<&str> {
        self.redirect_route.as_deref()
    }

    /// Returns the spec in effect for a source's `spec`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Overrides;
    /// use equipoise::{Flag, MemberSpec};
    ///
    /// let overrides = Overrides::new().with_flag(Flag::Draining).with_tier(2);
    /// let spec = overrides.applied_to(MemberSpec::new().with_tier(1).with_route("r"));
    /// assert_eq!((spec.tier(), spec.route()), (2, Some("r")));
    /// assert!(spec.status().contains(Flag::Draining));
    /// ```
    pub fn applied_to(&self, spec: MemberSpec) -> MemberSpec {
        let status = spec.status().union(self.set).difference(self.cleared);
        let mut spec = spec.with_status(status);
        if let Some(weight) = self.weight {
            spec = spec.with_weight(weight);
        }
        if let Some(tier) = self.tier {
            spec = spec.with_tier(tier);
        }
        if let Some(route) = &self.route {
            spec = spec.with_route(route);
        }
        if let Some(route) = &self.redirect_route {
            spec = spec.with_redirect_route(route);
        }
        match self.max_in_flight {
            None => spec,
            Some(MAX_IN_FLIGHT) => spec.without_max_in_flight(),
            Some(cap) => spec.with_max_in_flight(cap),
        }
    }
}

impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.weight.map(|weight| format!("weight {weight}")));
        words.extend(self.tier.map(|tier| format!("tier {tier}")));
        let routes = [
            ("route", &self.route),
            ("redirect route", &self.redirect_route),
        ];
        words.extend(routes.into_iter().filter_map(|(what, route)| {
            let route = route.as_deref()?;
            Some(match route {
                "" => format!("no {what}"),
                _ => format!("{what} {route:?}"),
            })
        }));
        words.extend(self.max_in_flight.map(|cap| match cap {
            MAX_IN_FLIGHT => "no cap".to_owned(),
            _ => format!("at most {cap} in flight"),
        }));
        words.extend(self.set.iter().map(|flag| flag.to_string()));
        words.extend(self.cleared.iter().map(|flag| format!("not {flag}")));
        if words.is_empty() {
            return f.pad("nothing");
        }
        f.pad(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Overrides;
    use crate::member::{Flag, MAX_IN_FLIGHT, MemberSpec};

    #[test]
    fn what_is_not_overridden_is_the_sources() {
        let spec = MemberSpec::new()
            .with_tier(3)
            .with_route("r")
            .with_max_in_flight(9)
            .with_flag(Flag::HotSpare);
        assert_eq!(Overrides::new().applied_to(spec.clone()), spec);
        let drained = Overrides::new().with_flag(Flag::Draining);
        let expected = spec.clone().with_flag(Flag::Draining);
        assert_eq!(drained.applied_to(spec), expected);
    }

    #[test]
    fn the_last_word_on_a_flag_counts_and_health_is_none_of_it() {
        let overrides = Overrides::new()
            .with_flag(Flag::Disabled)
            .with_flag_off(Flag::Disabled);
        let spec = MemberSpec::new().with_flag(Flag::Disabled);
        assert_eq!(overrides.applied_to(spec), MemberSpec::new());
        for health in [Flag::InError, Flag::FailedCheck] {
            assert!(Overrides::new().with_flag(health).is_empty());
            assert!(Overrides::new().with_flag_off(health).is_empty());
        }
    }

    #[test]
    fn each_override_is_a_word_of_the_text() {
        assert_eq!(Overrides::new().to_string(), "nothing");
        let lifted = Overrides::new()
            .with_max_in_flight(MAX_IN_FLIGHT)
            .with_redirect_route("r")
            .with_flag_off(Flag::IgnoreErrors);
        let text = "redirect route \"r\", no cap, not ignores errors";
        assert_eq!(lifted.to_string(), text);
    }

    #[test]
    fn a_cap_and_a_route_can_be_overridden_to_none() {
        let overrides = Overrides::new()
            .with_max_in_flight(u32::MAX)
            .with_route("")
            .with_redirect_route("");
        let spec = MemberSpec::new()
            .with_max_in_flight(1)
            .with_route("a")
            .with_redirect_route("b");
        assert_eq!(overrides.applied_to(spec), MemberSpec::new());
        let lifted = Overrides::new().with_max_in_flight(MAX_IN_FLIGHT);
        assert_eq!(lifted, Overrides::new().with_max_in_flight(u32::MAX));
    }
}
