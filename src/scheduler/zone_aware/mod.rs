//! [`ZoneAware`]: members in the caller's own zone first, and other zones for what exceeds
//! their capacity.
//!
//! Not here: which zone a request goes to (`choice.rs`, `shares.rs`), and the members of each
//! zone (`group_zones.rs`).

mod choice;
mod group_zones;
mod schedulers;
mod shares;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use choice::{ZonePlans, ZonesNow};
use group_zones::GroupZones;
use schedulers::ZoneSchedulers;

use super::{
    Candidates, GroupChange, Needs, Pick, PickContext, PickDetails, Plan, PlanMember, PlanMembers,
    Scheduler,
};
use crate::member::{Ended, MemberId, MemberState};
use crate::snapshot::Picture;
use crate::sync::{Published, next_serial};

/// Prefers members in the caller's own zone, and sends to other zones only what exceeds its
/// own zone's capacity, in proportion to what the others have left.
///
/// Use it if requests between zones (data centres, availability zones) are slower or cost
/// money. The zone of a member is its label `zone`, or another one
/// ([`with_label`](Self::with_label)). Members without the label form a zone of their own,
/// whose name is empty. In each zone a scheduler of its own picks; a closure makes them.
///
/// The capacity of a zone is the weight of its eligible members. Let `capacity(z)` and
/// `callers(z)` be the shares of zone `z` of the capacity and of the callers of all zones.
/// For callers in zone `own`:
///
/// * If `capacity(own) >= callers(own)`, all requests stay in the zone.
/// * Otherwise the share `capacity(own) / callers(own)` of them stays. The others go to the
///   zones with capacity to spare, in proportion to `capacity(z) - callers(z)`.
///
/// If all balancers follow this rule, each zone gets requests in proportion to its capacity.
/// As members fail, the capacity of their zone falls, and requests go to other zones. By
/// default each zone that has members, eligible or not, and the own zone are taken to have
/// the same number of callers; [`with_callers`](Self::with_callers) sets their numbers.
///
/// A request that no member of its zone can serve, because all were tried or are at their
/// caps, goes to the own zone if it was not that one, and otherwise to further zones. All
/// requests without a [hash key](crate::PickRequest::with_hash) draw their zone, if not all
/// stay.
///
/// A request with a hash key goes to a zone that follows from the key, so that it stays with
/// its member. If the capacity of a zone changes, keys move from or to that zone, and from or to
/// the own one as its share changes. Few move between other zones, and none if these have equal
/// capacity. The same key has another member for callers in another zone: a cache holds it up to
/// once for each zone of callers.
///
/// Cost: a pick adds a few products for each zone to that of the scheduler inside, and takes
/// no lock and allocates nothing. A change of the members costs time in proportion to the
/// number of eligible members.
///
/// Source: Envoy, *Zone aware routing*. Envoy applies it only from six members on
/// (`min_cluster_size`) and counts members instead of weights; neither is so here.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::ZoneAware;
/// use equipoise::{Balancer, ByRequests, MemberSpec, PickRequest};
///
/// let in_zone = |zone| MemberSpec::new().with_label("zone", zone);
/// let balancer = Balancer::builder()
///     .scheduler(ZoneAware::new("west", ByRequests::new))
///     .seed(1)
///     .member("w1", (), in_zone("west"))
///     .member("w2", (), in_zone("west"))
///     .member("e1", (), in_zone("east"))
///     .member("e2", (), in_zone("east"))
///     .build()?;
/// let picked = || {
///     let lease = balancer.pick(&PickRequest::new()).unwrap();
///     lease.member().name().to_owned()
/// };
/// assert_eq!([picked(), picked(), picked()], ["w1", "w2", "w1"]);
///
/// // A third of the capacity is left in this zone, and half of the callers are there: two
/// // thirds of their requests stay.
/// balancer.remove("w2")?;
/// balancer.insert("w2", (), in_zone("east"))?;
/// balancer.remove("e2")?;
/// let stay = (0..1_000).filter(|_| picked() == "w1").count();
/// assert!((600..730).contains(&stay), "{stay}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ZoneAware<S> {
    own: Arc<str>,
    /// By zone; `None`: the same number in each zone.
    callers: Option<BTreeMap<Arc<str>, u32>>,
    schedulers: ZoneSchedulers<S>,
    /// The number under which a picture has its zones.
    number: u64,
    /// The zones of the last change, for hooks that get no picture.
    latest: Published<GroupZones<S>>,
}

impl<S: Scheduler> ZoneAware<S> {
    /// Creates a scheduler for callers in the zone `own`; `make` makes the scheduler of each
    /// zone. It is called once at first, and again for each new zone, while the membership is
    /// locked: it must not call the balancer.
    #[must_use]
    pub fn new(own: &str, make: impl Fn() -> S + Send + Sync + 'static) -> Self {
        Self {
            own: own.into(),
            callers: None,
            schedulers: ZoneSchedulers::new(make, "zone"),
            number: next_serial(),
            latest: Published::new(GroupZones::default()),
        }
    }

    /// Sets the name of the label that contains a member's zone.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::ZoneAware;
    /// use equipoise::{Balancer, ByBusyness, MemberSpec, PickRequest};
    ///
    /// let scheduler = ZoneAware::new("b", ByBusyness::new).with_label("rack");
    /// let balancer = Balancer::builder()
    ///     .scheduler(scheduler)
    ///     .member("one", (), MemberSpec::new().with_label("rack", "a"))
    ///     .member("two", (), MemberSpec::new().with_label("rack", "b"))
    ///     .build()?;
    /// assert_eq!(balancer.pick(&PickRequest::new()).unwrap().member().name(), "two");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn with_label(mut self, label: &str) -> Self {
        self.schedulers.set_label(label);
        self
    }

    /// Sets the number of callers in each zone, or any numbers in proportion to the requests
    /// that callers of these zones send. Zones that are not listed have no callers.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::ZoneAware;
    /// use equipoise::{Balancer, ByRequests, MemberSpec, PickRequest};
    ///
    /// // All callers are in one zone: its requests go to all members.
    /// let scheduler = ZoneAware::new("a", ByRequests::new).with_callers([("a", 1)]);
    /// let zone = |zone| MemberSpec::new().with_label("zone", zone);
    /// let balancer = Balancer::builder()
    ///     .scheduler(scheduler)
    ///     .seed(1)
    ///     .members(["a", "b"].map(|name| (name, (), zone(name))))
    ///     .build()?;
    /// let near = (0..1_000).filter(|_| {
    ///     balancer.pick(&PickRequest::new()).unwrap().member().name() == "a"
    /// });
    /// assert!((400..600).contains(&near.count()));
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn with_callers<Z>(mut self, callers: impl IntoIterator<Item = (Z, u32)>) -> Self
    where
        Z: AsRef<str>,
    {
        let callers = callers.into_iter();
        let callers = callers.map(|(zone, callers)| (zone.as_ref().into(), callers));
        self.callers = Some(callers.collect());
        self
    }

    fn zones<'c>(&self, candidates: &Candidates<'c>) -> Option<ZonesNow<'_, 'c, S>> {
        let make = |picture: &Picture| Arc::new(GroupZones::of(picture, &self.schedulers));
        let zones: &'c Arc<GroupZones<S>> = candidates.derived(self.number, make)?;
        let callers = self.callers.as_ref();
        Some(ZonesNow::new(&self.own, callers, zones, candidates.plan()))
    }

    /// Returns the scheduler of the zone of a member that is or was eligible.
    fn scheduler_of(&self, member: MemberId) -> Option<Arc<S>> {
        let zones = self.latest.load();
        Some(zones.zone_of(member)?.scheduler.clone())
    }
}

impl<S: Scheduler> Scheduler for ZoneAware<S> {
    fn name(&self) -> &'static str {
        "zoneaware"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let Some(zones) = self.zones(candidates) else {
            return Pick::NoneUsable;
        };
        let (mut at_capacity, mut stale) = (false, false);
        let found = zones.find_map(context, |zone| {
            if !zones.is_open(candidates, zone) {
                // Its scheduler is not asked, so that it draws no number that `peek` does not.
                at_capacity |=
                    zones.within(candidates, zone, |_, part| part.iter().next().is_some());
                return None;
            }
            let pick = |scheduler: &S, part: &Candidates<'c>| scheduler.pick(part, context);
            match zones.within(candidates, zone, pick) {
                Pick::Claimed(claim) => return Some(claim),
                Pick::AtCapacity => at_capacity = true,
                Pick::Stale => stale = true,
                Pick::NoneUsable => {}
            }
            None
        });
        match found {
            Some(claim) => Pick::Claimed(claim),
            None if stale => Pick::Stale,
            None if at_capacity => Pick::AtCapacity,
            None => Pick::NoneUsable,
        }
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let zones = self.zones(candidates)?;
        let zone = zones.next_zone(candidates, context)?;
        zones.within(candidates, zone, |scheduler, part| {
            scheduler.peek(part, context)
        })
    }

    /// Returns the shares of the zones, and what the scheduler of the picked zone explains.
    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let Some(zones) = self.zones(candidates) else {
            return PickDetails::default();
        };
        let zone = zones.next_zone(candidates, context);
        let details = zone.map(|zone| {
            zones.within(candidates, zone, |scheduler, part| {
                scheduler.explain(part, context)
            })
        });
        let (own, all) = (zones.own_load(), zones.sums().0);
        let percent = |part: u64, all: u64| format!("{:.1}", 100.0 * share(part, all));
        let details = details.unwrap_or_default().note(format!(
            "the own zone {:?} has {} % of the capacity and {} % of the callers, and keeps {:.1} % of its requests",
            self.own,
            percent(own.capacity, all.capacity),
            percent(own.callers, all.callers),
            if own.capacity == 0 { 0.0 } else { zones.sums().percent_kept(own) },
        ));
        match zone {
            Some(zone) => details.note(format!("this request goes to zone {:?}", zone.name)),
            None => details,
        }
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        let Some(zones) = self.zones(candidates) else {
            return;
        };
        if let Some(zone) = zones.zone_of(member.id()) {
            zones.within(candidates, zone, |scheduler, part| {
                scheduler.on_session_pick(part, member);
            });
        }
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        let scheduler = self.scheduler_of(member.id());
        let needs = |scheduler: &Arc<S>| scheduler.needs().contains(Needs::ENDED);
        if let Some(scheduler) = scheduler.filter(needs) {
            scheduler.on_ended(member, ended);
        }
    }

    fn on_room(&self, member: &MemberState) {
        if let Some(scheduler) = self.scheduler_of(member.id()) {
            scheduler.on_room(member);
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        let zones = self.latest.load().following(group, &self.schedulers);
        // Kept until the schedulers have been notified: they may hold it weakly.
        let former = self.latest.swap(zones);
        let zones = Arc::clone(&self.latest.load());
        group.picture.derived.add(self.number, zones);
        drop(former);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let mut zones: BTreeMap<&str, Vec<PlanMember<'_>>> = BTreeMap::new();
        for member in members.iter() {
            let zone = member.label(self.schedulers.label()).unwrap_or_default();
            zones.entry(zone).or_default().push(member);
        }
        let is_planned = self.schedulers.sample().needs().contains(Needs::PLAN);
        let plans = zones.iter().map(|(&zone, members)| {
            let plan = || self.schedulers.get(zone).plan(&PlanMembers::part(members));
            (zone.into(), is_planned.then(plan).flatten())
        });
        let plans = ZonePlans(plans.collect());
        let latest = self.latest.load();
        self.schedulers.retain(|zone| {
            let at = latest.position(zone);
            zones.contains_key(zone) || at.is_some_and(|at| latest.all()[at].capacity > 0)
        });
        Some(Plan::new(plans))
    }

    fn reset(&self) {
        for (_, scheduler) in self.schedulers.all() {
            scheduler.reset();
        }
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        self.scheduler_of(member)?.standing(member)
    }

    fn needs(&self) -> Needs {
        self.schedulers.sample().needs() | Needs::PLAN
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

impl<S: fmt::Debug> fmt::Debug for ZoneAware<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneAware")
            .field("own", &self.own)
            .field("callers", &self.callers)
            .field("schedulers", &self.schedulers)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests;
