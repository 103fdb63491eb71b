//! The members of a [`Group`], and how they change.
//!
//! Not here: picks and ends (`picks.rs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, MemberSpec, MemberState, Status};
use crate::random::Random;
use crate::scheduler::{GroupChange, Needs, Plan, PlanMembers, Scheduler};
use crate::snapshot::{
    EligibilityWalk, FULL_WEIGHT, Factors, Picture, PictureDiff, Roster, Seat, SourceName, walk,
};
use crate::sync::Mutex;

/// The seed of the random source of a new group.
const SEED: u64 = 1;

/// Members and a scheduler, without a balancer, a clock and payloads.
///
/// A unit test of a scheduler adds members, sets their facts and picks. The group calls the
/// scheduler's hooks as a [`Balancer`](crate::Balancer) does: `on_group_change` after a
/// change, `plan` before the next pick, `on_room` and `on_ended` at the end of a request.
/// It differs from a balancer in these points:
///
/// * It has no sessions, except that [`pick_session`](Self::pick_session) picks a given
///   member.
/// * Errors and ejections end only when their flags are cleared, and no member ramps up by
///   itself: see [`thin`](Self::thin).
/// * Time passes only in [`advance`](Self::advance).
/// * A pick is made once: it is not repeated if it fails.
///
/// A request is in flight until [`end`](Self::end), or until the group is dropped.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::{Group, GroupPickError};
/// use equipoise::{ByRequests, MemberSpec, Outcome, PickRequest, Weight};
///
/// let mut group = Group::new(ByRequests::new());
/// let a = group.insert("a", MemberSpec::new().with_weight(Weight::new(2)?));
/// let b = group.insert("b", MemberSpec::new().with_max_in_flight(1));
/// let picked = [(); 3].map(|()| group.pick(&PickRequest::new()).unwrap());
/// assert_eq!(picked, [a, b, a]);
///
/// // b is full, and the request has tried a.
/// let request = PickRequest::new();
/// assert_eq!(group.pick(&request.with_tried(&[a])), Err(GroupPickError::AtCapacity));
/// group.end(b, Outcome::Success);
/// assert_eq!(group.pick(&request.with_tried(&[a])), Ok(b));
/// # Ok::<(), equipoise::WeightError>(())
/// ```
#[derive(Debug)]
pub struct Group<S> {
    pub(super) scheduler: S,
    pub(super) roster: Arc<Roster>,
    pub(super) picture: Picture,
    pub(super) factors: Factors,
    pub(super) plan: Mutex<GroupPlan>,
    pub(super) random: Random,
    pub(super) now: Timestamp,
    orders: u64,
    used_slots: u32,
    free_slots: Vec<u32>,
    owner: SourceName,
    /// Removed members with requests in flight.
    pub(super) removed: Vec<Arc<MemberState>>,
    pub(super) requests: VecDeque<GroupRequest>,
}

/// The plan, made by the first pick after a change.
#[derive(Debug, Default)]
pub(super) struct GroupPlan {
    pub(super) plan: Option<Plan>,
    is_owed: bool,
    /// Whether an owed plan waits until plans are made again.
    is_held: bool,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct GroupRequest {
    pub(super) state: Arc<MemberState>,
    pub(super) started: Timestamp,
}

impl<S: Scheduler> Group<S> {
    /// Creates a group without members. Its random source has the seed 1.
    pub fn new(scheduler: S) -> Self {
        let roster = Arc::new(Roster::default());
        let none = EligibilityWalk::default();
        Self {
            scheduler,
            picture: Picture::new(0, roster.clone(), none, Factors::default()),
            roster,
            factors: Factors::default(),
            plan: Mutex::new(GroupPlan::default()),
            random: Random::seeded(SEED),
            now: Timestamp::ORIGIN,
            orders: 0,
            used_slots: 0,
            free_slots: Vec::new(),
            owner: Arc::new("testkit".into()),
            removed: Vec::new(),
            requests: VecDeque::new(),
        }
    }

    /// Sets the seed of the random source.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Returns the scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &S {
        &self.scheduler
    }

    /// Inserts a member, or gives the member of that name a new spec, whose flags are
    /// ignored then. Returns its id.
    ///
    /// A member that was removed and still has requests in flight gets its state back, and
    /// keeps its health: it may be in error still.
    pub fn insert(&mut self, name: &str, spec: MemberSpec) -> MemberId {
        if let Some(id) = self.id(name) {
            self.update(name, |_| spec);
            return id;
        }
        let before = self.removed.iter().position(|state| state.name() == name);
        let state = match before.map(|at| self.removed.swap_remove(at)) {
            Some(state) => {
                state.open();
                // As in a balancer: a member that returns keeps its health.
                let seen = state.status();
                let flags = spec.status().difference(Status::HEALTH);
                let flags = flags.union(seen.intersection(Status::HEALTH));
                let returns = spec.clone().with_status(flags);
                state.configure(&returns, seen, self.now);
                state
            }
            None => {
                let slot = self.free_slots.pop().unwrap_or_else(|| {
                    self.used_slots += 1;
                    self.used_slots - 1
                });
                Arc::new(MemberState::new(name.into(), slot, &spec, self.now))
            }
        };
        self.orders += 1;
        let id = state.id();
        self.put(state, &spec, self.orders);
        id
    }

    /// Changes the spec of a member; returns whether there is one of that name. Flags are
    /// changed by [`set_flag`](Self::set_flag) and [`clear_flag`](Self::clear_flag).
    pub fn update(&mut self, name: &str, change: impl FnOnce(MemberSpec) -> MemberSpec) -> bool {
        let Some(seat) = self.roster.named(name).cloned() else {
            return false;
        };
        let spec = without_flags(&change(seat.spec.clone()));
        seat.state.configure(&spec, Status::NORMAL, self.now);
        self.put(seat.state.clone(), &spec, seat.order);
        true
    }

    fn put(&mut self, state: Arc<MemberState>, spec: &MemberSpec, order: u64) {
        let slot = state.id().slot();
        let seat = Seat {
            state,
            spec: without_flags(spec),
            order,
            owner: self.owner.clone(),
            layers: Mutex::new(None),
        };
        Arc::make_mut(&mut self.roster).put(Arc::new(seat));
        self.publish(&[slot], false);
        self.plan.lock().is_owed = true;
    }

    /// Removes a member; returns whether there was one of that name. Its requests stay in
    /// flight.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(seat) = self.roster.named(name).cloned() else {
            return false;
        };
        Arc::make_mut(&mut self.roster).take(seat.slot());
        seat.state.close();
        self.factors.set(seat.slot(), FULL_WEIGHT);
        self.publish(&[seat.slot()], false);
        self.plan.lock().is_owed = true;
        if seat.state.in_flight() == 0 {
            self.release_slot(&seat.state);
        } else {
            self.removed.push(seat.state.clone());
        }
        true
    }

    #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
    pub(super) fn release_slot(&mut self, state: &MemberState) {
        self.free_slots.push(state.id().slot() as u32);
    }

    /// Sets a flag of a member; returns whether there is one of that name.
    pub fn set_flag(&mut self, name: &str, flag: Flag) -> bool {
        self.change_flags(name, Status::NORMAL.with(flag), Status::NORMAL)
    }

    /// Clears a flag of a member; returns whether there is one of that name.
    pub fn clear_flag(&mut self, name: &str, flag: Flag) -> bool {
        self.change_flags(name, Status::NORMAL, Status::NORMAL.with(flag))
    }

    fn change_flags(&mut self, name: &str, set: Status, clear: Status) -> bool {
        let Some(seat) = self.roster.named(name) else {
            return false;
        };
        seat.state.change_flags(set, clear, self.now, None);
        self.publish(&[], false);
        true
    }

    /// Sets the share of a member's weight that counts, in sixteenths (16 is the full
    /// weight), as a ramp does. Returns whether there is a member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::testkit::Group;
    /// use equipoise::{ByRequests, MemberSpec, PickRequest};
    ///
    /// let mut group = Group::new(ByRequests::new());
    /// let [_, b] = ["a", "b"].map(|name| group.insert(name, MemberSpec::new()));
    /// group.thin("b", 4); // a quarter of its weight
    /// let picked: Vec<_> = (0..5).map(|_| group.pick(&PickRequest::new()).unwrap()).collect();
    /// assert_eq!(picked.iter().filter(|&&id| id == b).count(), 1);
    /// ```
    pub fn thin(&mut self, name: &str, sixteenths: u32) -> bool {
        let Some(seat) = self.roster.named(name) else {
            return false;
        };
        let slot = seat.slot();
        self.factors.set(slot, sixteenths);
        self.publish(&[slot], false);
        true
    }

    /// Makes the next eligible group, notifies the scheduler and publishes the group.
    fn publish(&mut self, touched: &[usize], all_changed: bool) {
        let found = walk(&self.roster, |seat| seat.state.status());
        let generation = self.picture.generation + 1;
        let factors = self.factors.clone();
        let picture = Picture::new(generation, self.roster.clone(), found, factors);
        let mut change: PictureDiff = picture.since(&self.picture, touched);
        if all_changed {
            change.everything_changed(&picture);
        }
        self.scheduler.on_group_change(&GroupChange {
            picture: &picture,
            left: &change.left,
            joined: &change.joined,
            changed: &change.changed,
        });
        self.picture = picture;
    }

    /// Returns the plan, which it makes first if the members have changed.
    pub(super) fn plan(&self) -> Option<Plan> {
        let mut plan = self.plan.lock();
        if !plan.is_held
            && std::mem::take(&mut plan.is_owed)
            && self.scheduler.needs().contains(Needs::PLAN)
        {
            plan.plan = self.scheduler.plan(&PlanMembers::new(&self.roster));
        }
        plan.plan.clone()
    }

    /// Sets whether plans are made. If not, picks use the last plan, or none if the number of
    /// members can be divided by four: a scheduler has to bear both.
    pub(in crate::testkit) fn make_plans(&mut self, are_made: bool) {
        // First the plan that is owed: whether a peek has made it must make no difference.
        let _ = self.plan();
        let mut plan = self.plan.lock();
        if !are_made && !plan.is_held && self.roster.len() % 4 == 0 {
            plan.plan = None;
            plan.is_owed = true;
        }
        plan.is_held = !are_made;
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// Returns the time.
    pub(in crate::testkit) fn now(&self) -> Timestamp {
        self.now
    }

    /// Resets the scheduler's state.
    pub fn reset(&mut self) {
        self.scheduler.reset();
        self.publish(&[], true);
    }

    /// Returns how many members there are, eligible or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    /// Returns whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roster.is_empty()
    }

    /// Returns the state of a member: its requests in flight, picks and bytes.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&MemberState> {
        self.roster.named(name).map(|seat| &*seat.state)
    }

    /// Returns the id of a member.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<MemberId> {
        self.member(name).map(MemberState::id)
    }

    /// Counts bytes of a member, as its requests would. Returns whether there is a member of
    /// that name.
    pub fn add_bytes(&mut self, name: &str, sent: u64, received: u64) -> bool {
        let Some(state) = self.member(name) else {
            return false;
        };
        state.add_bytes_sent(sent);
        state.add_bytes_received(received);
        true
    }

    /// Sets how many requests of a member are in flight, up to its cap, without a pick.
    /// Returns how many there are then. The scheduler is notified that all members should be
    /// read again.
    pub fn set_in_flight(&mut self, name: &str, count: u32) -> u32 {
        let Some(state) = self.roster.named(name).map(|seat| seat.state.clone()) else {
            return 0;
        };
        while state.in_flight() > count {
            let of_it = |request: &GroupRequest| Arc::ptr_eq(&request.state, &state);
            let Some(at) = self.requests.iter().position(of_it) else {
                break;
            };
            self.requests.remove(at);
            state.count_out();
        }
        while state.in_flight() < count && state.count_in().is_ok() {
            self.requests.push_back(GroupRequest {
                state: state.clone(),
                started: self.now,
            });
        }
        self.publish(&[], true);
        state.in_flight()
    }

    /// Returns the name of a member, also of a removed one with requests in flight.
    pub(in crate::testkit) fn name_of(&self, member: MemberId) -> Option<&str> {
        let mut all = self.roster.by_tier().map(|seat| &seat.state);
        let mut removed = self.removed.iter();
        let is_it = |state: &&Arc<MemberState>| state.id() == member;
        let state = all.find(is_it).or_else(|| removed.find(is_it))?;
        Some(state.name())
    }

    /// Returns the sum of all members' requests in flight, as the members count them.
    pub(in crate::testkit) fn counted_in_flight(&self) -> u64 {
        let present = self.roster.by_tier().map(|seat| &seat.state);
        let all = present.chain(&self.removed);
        all.map(|state| u64::from(state.in_flight())).sum()
    }
}

fn without_flags(spec: &MemberSpec) -> MemberSpec {
    let flags = Flag::ALL.into_iter();
    flags.fold(spec.clone(), MemberSpec::without_flag)
}
