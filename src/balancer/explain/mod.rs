//! Which member would be picked, and why: [`Explanation`].
//!
//! Not here: its text (`text.rs`).

mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agenda::{Outlook, Pace};
use super::layers::SettingLayer;
use super::sessions::SessionKey;
use super::{Balancer, PickRequest, Reason};
use crate::clock::Timestamp;
use crate::member::{EffectiveWeight, Flag, Health, Labels, MemberId, Overrides, Status, Weight};
use crate::random::Random;
use crate::scheduler::{Candidates, PickContext, PickDetails, PickTime};
use crate::snapshot::{Eligibility, Factors, Picture, Roster, Seat, walk};

/// The result that a pick for a request would have, and why.
///
/// Its `Display` is a table. It describes one moment and promises nothing: other requests
/// may pick meanwhile.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let explanation = balancer.explain(&PickRequest::new());
/// assert_eq!(explanation.scheduler(), "byrequests");
/// assert_eq!(explanation.picked().unwrap().name.as_ref(), "a");
/// assert_eq!(explanation.reason().to_string(), "by standing, tied with b, and the earlier place decides");
/// assert_eq!(explanation.members().len(), 2);
/// println!("{explanation}");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Explanation {
    scheduler: &'static str,
    why: Reason,
    picked: Option<usize>,
    details: PickDetails,
    members: Vec<MemberExplanation>,
}

/// One member in an [`Explanation`].
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Eligibility, Flag, PickRequest};
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// balancer.set_flag("b", Flag::Draining)?;
/// let lease = balancer.pick(&PickRequest::new())?;
///
/// let explanation = balancer.explain(&PickRequest::new());
/// let [a, b] = explanation.members() else { unreachable!("two members") };
/// assert_eq!((a.in_flight, a.picked, a.max_in_flight), (1, 1, None));
/// assert_eq!((&*b.name, b.eligibility), ("b", Eligibility::Draining));
/// assert!(b.status.contains(Flag::Draining));
/// # drop(lease);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberExplanation {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: Arc<str>,
    /// The name of the source that owns it.
    pub source: Arc<str>,
    /// Its tier.
    pub tier: u16,
    /// Its configured weight.
    pub weight: Weight,
    /// The weight that counts at this time: less while it [ramps up](crate::member::Ramp).
    pub effective_weight: EffectiveWeight,
    /// Its route.
    pub route: Option<Arc<str>>,
    /// Its labels.
    pub labels: Labels,
    /// Its flags, as a pick at this time would find them.
    pub status: Status,
    /// Its outages, including those that a pick at this time would end.
    pub health: Health,
    /// Requests in flight.
    pub in_flight: u32,
    /// Its spec's cap on them.
    pub max_in_flight: Option<u32>,
    /// The cap on them that was learned while running; the smaller of the two counts.
    pub learned_limit: Option<u32>,
    /// How often it was picked so far.
    pub picked: u64,
    /// Its [standing](crate::Scheduler::standing) with the scheduler, in the scheduler's
    /// own units.
    pub standing: Option<i64>,
    /// Its role in this pick.
    pub eligibility: Eligibility,
    /// What an operator has overridden. All other settings above are the source's.
    pub overrides: Overrides,
}

impl MemberExplanation {
    /// Returns which layer has set `flag`; `None` if the flag is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::balancer::SettingLayer;
    /// use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
    ///
    /// let standby = MemberSpec::new().with_flag(Flag::HotStandby);
    /// let balancer = Balancer::builder().member("a", (), standby).build()?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// let explanation = balancer.explain(&PickRequest::new());
    /// let a = &explanation.members()[0];
    /// assert_eq!(a.layer(Flag::HotStandby), Some(SettingLayer::Source));
    /// assert_eq!(a.layer(Flag::Draining), Some(SettingLayer::Operator));
    /// assert_eq!(a.layer(Flag::InError), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn layer(&self, flag: Flag) -> Option<SettingLayer> {
        let (set, _) = self.overrides.flags();
        match flag {
            _ if !self.status.contains(flag) => None,
            _ if Status::HEALTH.contains(flag) => Some(SettingLayer::Health),
            _ if set.contains(flag) => Some(SettingLayer::Operator),
            _ => Some(SettingLayer::Source),
        }
    }
}

impl Explanation {
    /// Returns the name of the scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &'static str {
        self.scheduler
    }

    /// Returns the reason for the result.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.why
    }

    /// Returns the member that would be picked; `None` if there is none, or if the pick is
    /// random.
    #[must_use]
    pub fn picked(&self) -> Option<&MemberExplanation> {
        self.members.get(self.picked?)
    }

    /// Returns what the scheduler compares and draws for this pick; empty if a session or a
    /// refusal decides.
    #[must_use]
    pub fn details(&self) -> &PickDetails {
        &self.details
    }

    /// Returns the routes that several members have, with their names in configuration
    /// order. This is allowed: the first of these members that can serve gets the route's
    /// sessions.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let of = |route| MemberSpec::new().with_route(route);
    /// let balancer = Balancer::builder()
    ///     .member("a", (), of("r"))
    ///     .member("b", (), of("r"))
    ///     .build()?;
    /// let explanation = balancer.explain(&PickRequest::new().with_session(Some("r")));
    /// assert_eq!(explanation.shared_routes(), [("r", vec!["a", "b"])]);
    /// assert_eq!(&*explanation.picked().unwrap().name, "a");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn shared_routes(&self) -> Vec<(&str, Vec<&str>)> {
        let mut by_route: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for member in &self.members {
            if let Some(route) = member.route.as_deref() {
                by_route.entry(route).or_default().push(&member.name);
            }
        }
        let shared = by_route.into_iter();
        shared.filter(|(_, names)| names.len() > 1).collect()
    }

    /// Returns all members, in configuration order.
    #[must_use]
    pub fn members(&self) -> &[MemberExplanation] {
        &self.members
    }
}

impl<W> Balancer<W> {
    /// Returns which member would be picked for a request, and why. Picks no member.
    ///
    /// While no other thread uses the balancer, the next pick picks that member. So changes
    /// that are due are applied first, as by a pick
    /// ([`apply_timed_changes`](Self::apply_timed_changes)): errors and ejections end whose
    /// time has elapsed or that forced recovery ends, and the scheduler is notified. Costs O(n).
    ///
    /// # Panics
    ///
    /// If the scheduler or an observer panics.
    #[must_use]
    pub fn explain(&self, request: &PickRequest<'_>) -> Explanation {
        // A scheduler knows the members that it was notified of: it must not be asked about
        // others.
        self.apply_timed_changes();
        let shared = self.shared();
        let view = self.core.view.load();
        let now = shared.clock.now();
        let roster = view.picture.roster.clone();
        let preview = PickPreview::at(now, shared.pace, &roster, shared.forces_recovery());
        let picture = preview.picture(view.picture.generation, &roster);
        let status = |seat: &Seat| preview.status(seat);

        let plan = view.plan.as_ref();
        let mut candidates = Candidates::preview(&picture, request.tried).with_plan(plan);
        // Each question draws the same numbers: those that the next pick would draw.
        let randoms: [Random; 3] = std::array::from_fn(|_| shared.random.duplicate());
        let time = PickTime::known(request.now.unwrap_or(now));
        let [first, second, third] = randoms.each_ref().map(|random| PickContext {
            time: Some(&time),
            hash: request.hash,
            facts: request.facts,
            random,
        });
        let mut details = PickDetails::default();
        let mut full = false;
        let session = request.session_key.and_then(|key| {
            key.find(&roster, &mut |seat| {
                let able = status(seat).is_usable() && !request.tried.contains(&id(seat));
                full |= able && !has_room(seat);
                able && has_room(seat)
            })
        });
        let owned = |key: SessionKey<'_>| key.text_if_known(&roster).is_some();
        let (chosen, why) = match (session, request.session_key) {
            (Some(seat), Some(key)) if key.matches(seat) => (Some(id(seat)), Reason::SessionHit),
            (Some(seat), _) => (Some(id(seat)), Reason::SessionRedirected),
            (None, Some(key)) if request.no_failover && owned(key) && full => {
                (None, Reason::AtCapacity)
            }
            (None, Some(key)) if request.no_failover && owned(key) => (None, Reason::SessionLost),
            (None, lost) => {
                let chosen = view.scheduler.peek(&candidates, &first);
                details = view.scheduler.explain(&candidates, &second);
                candidates.reverse_ranks();
                let rival = view
                    .scheduler
                    .peek(&candidates, &third)
                    .filter(|&rival| Some(rival) != chosen)
                    .and_then(|rival| roster.seat(rival.slot()));
                let open = candidates.iter().any(|one| one.has_room());
                let why = match chosen {
                    Some(_) => Reason::Scheduled {
                        tied_with: rival.map(|seat| seat.state.name_handle().clone()),
                        lost_route: lost.map(|key| key.text().to_owned()),
                    },
                    None if roster.is_empty() => Reason::Empty,
                    None if open => Reason::Unpredictable,
                    None if candidates.iter().next().is_some() => Reason::AtCapacity,
                    None => Reason::NoneUsable,
                };
                (chosen, why)
            }
        };

        let mut seats: Vec<&Arc<Seat>> = roster.by_tier().collect();
        seats.sort_by_key(|seat| seat.order);
        let tier = picture.group().next().map(|(seat, _)| seat.spec.tier());
        let row = |seat: &Arc<Seat>| MemberExplanation {
            id: id(seat),
            name: seat.state.name_handle().clone(),
            source: (*seat.owner).clone(),
            tier: seat.spec.tier(),
            weight: seat.spec.weight(),
            effective_weight: picture.factors.weight(seat),
            route: seat.spec.route_handle().cloned(),
            labels: seat.spec.labels().clone(),
            status: status(seat),
            health: preview.health(seat),
            in_flight: seat.state.in_flight(),
            max_in_flight: seat.spec.max_in_flight(),
            learned_limit: seat.state.learned_limit(),
            picked: seat.state.picked(),
            standing: view.scheduler.standing(id(seat)),
            eligibility: eligibility(seat, status(seat), &picture, tier, request),
            overrides: seat.overrides(),
        };
        Explanation {
            scheduler: view.scheduler.name(),
            why,
            picked: seats.iter().position(|seat| Some(id(seat)) == chosen),
            details,
            members: seats.into_iter().map(row).collect(),
        }
    }
}

/// The members as a pick at a time would find them.
#[derive(Clone, Copy)]
struct PickPreview {
    now: Timestamp,
    pace: Pace,
    /// Errors and ejections end for all members that nothing else keeps out.
    recovery_is_forced: bool,
}

impl PickPreview {
    fn at(now: Timestamp, pace: Pace, roster: &Roster, forces: bool) -> Self {
        let mut this = Self {
            now,
            pace,
            recovery_is_forced: false,
        };
        let found = walk(roster, |seat| this.status(seat));
        this.recovery_is_forced = found.is_empty() && forces && !roster.is_empty();
        this
    }

    fn picture(self, generation: u64, roster: &Arc<Roster>) -> Picture {
        let mut factors = Factors::default();
        let found = walk(roster, |seat| {
            factors.set(seat.slot(), self.outlook(seat).sixteenths);
            self.status(seat)
        });
        Picture::new(generation, roster.clone(), found, factors)
    }

    fn outlook(self, seat: &Seat) -> Outlook {
        self.pace.outlook(seat, seat.state.live(), self.now)
    }

    fn status(self, seat: &Seat) -> Status {
        let status = seat.state.status().difference(self.outlook(seat).over);
        let without = status.difference(Status::TIMED);
        if self.recovery_is_forced && without.is_usable() {
            return without;
        }
        status
    }

    fn health(self, seat: &Seat) -> Health {
        let until = self.outlook(seat).error_until;
        seat.state.health().with_error_until(until)
    }
}

fn eligibility(
    seat: &Seat,
    status: Status,
    picture: &Picture,
    tier: Option<u16>,
    request: &PickRequest<'_>,
) -> Eligibility {
    if request.tried.contains(&seat.state.id()) {
        Eligibility::Tried
    } else if !status.is_usable() {
        Eligibility::Unusable
    } else if status.contains(Flag::Draining) {
        Eligibility::Draining
    } else if !picture.is_in_group(seat.slot()) {
        if tier.is_some_and(|tier| seat.spec.tier() > tier) {
            Eligibility::Tier
        } else {
            Eligibility::Reserve
        }
    } else if has_room(seat) {
        Eligibility::Eligible
    } else {
        Eligibility::AtCapacity
    }
}

fn id(seat: &Seat) -> MemberId {
    seat.state.id()
}

fn has_room(seat: &Seat) -> bool {
    seat.state.in_flight() < seat.state.max_in_flight()
}
