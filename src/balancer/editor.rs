//! The membership as changes see it, under one lock: [`Editor`].
//!
//! Not here: which members are eligible after a change, and how that is
//! published (`publish.rs`).

use std::sync::Arc;
use std::time::Duration;

use super::after_change::AfterChange;
use super::epoch::Epoch;
use super::layers::{Absent, SettingLayer, layered};
use super::lease::MemberEntry;
use super::planning::Planning;
use super::shared::Shared;
use super::slots::Slots;
use crate::member::{Cause, Flag, MemberKey, MemberSpec, MemberState, Overrides, Status};
use crate::scheduler::{Scheduler, same_plan};
use crate::snapshot::{Roster, Seat, Slab, SourceName};
use crate::sync::Mutex;

/// The membership as changes see it.
pub(super) struct Editor<W> {
    pub(super) roster: Arc<Roster>,
    pub(super) entries: Slab<MemberEntry<W>>,
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) epoch: Arc<Epoch>,
    pub(super) generation: u64,
    pub(super) slots: Slots,
    /// The overrides of members that do not exist.
    pub(super) absent: Absent,
    pub(super) next_order: u64,
    pub(super) next_payload: u64,
    /// The slots whose seats changed since the last publication.
    pub(super) touched: Vec<usize>,
    /// What the scheduler still has to be notified of.
    pub(super) owed: SchedulerNotice,
    /// The states of the group of which the scheduler was notified last, if they are few. It
    /// does not keep them alive, and if it panics while it is notified, no view does.
    pub(super) notified: Arc<[Arc<MemberState>]>,
    pub(super) planning: Planning,
    pub(super) after: AfterChange<W>,
}

impl<W> Editor<W> {
    pub(super) fn new(shared: &Arc<Shared>, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            epoch: Arc::new(Epoch::new(shared.clone(), scheduler.clone())),
            roster: Arc::default(),
            entries: Slab::default(),
            scheduler,
            generation: 0,
            slots: Slots::default(),
            absent: Absent::default(),
            next_order: 0,
            next_payload: 0,
            touched: Vec::new(),
            owed: SchedulerNotice::Difference,
            notified: Arc::new([]),
            planning: Planning::default(),
            after: AfterChange::NONE,
        }
    }

    pub(super) fn seat(&self, name: &str) -> Option<&Arc<Seat>> {
        self.roster.named(name)
    }

    /// Inserts a member of the source `owner`, or gives the member `known` by this name a
    /// new payload and spec; its identity, counters and health stay.
    pub(super) fn put(
        &mut self,
        known: Option<&Arc<Seat>>,
        name: &Arc<str>,
        (owner, payload, spec): (&SourceName, W, MemberSpec),
        overrides: Overrides,
    ) -> Arc<MemberState> {
        let now = self.epoch.shared.clock.now();
        let former = match known {
            Some(seat) => seat.overrides(),
            None => self.absent.take(name),
        };
        let layer = layer_of(&former, &overrides);
        let health = spec.status().intersection(Status::HEALTH);
        let flags = spec.status().difference(Status::HEALTH);
        let (spec, layers) = layered(spec.with_status(flags), overrides);
        let flags = spec.status();
        let (state, order) = match known {
            Some(seat) => (seat.state.clone(), seat.order),
            None => {
                let state = self.slots.take_back(name).unwrap_or_else(|| {
                    // A new member has the health that its source gives it; an existing one
                    // keeps its own.
                    let spec = spec.clone().with_status(flags.union(health));
                    let slot = self.slots.allot();
                    Arc::new(MemberState::new(name.clone(), slot, &spec, now))
                });
                state.open();
                if self.generation > 0 {
                    // The members that a balancer is built with have their full weight at
                    // once.
                    state.start_ramp(now);
                }
                self.after.note_joined(&state);
                self.next_order += 1;
                (state, self.next_order)
            }
        };
        let seen = state.status();
        let spec = spec.with_status(flags.union(seen.intersection(Status::HEALTH)));
        let change = state.configure(&spec, seen, now);
        self.after.note(&state, layer, change);
        self.next_payload += 1;
        let payload = (Arc::new(payload), self.next_payload);
        let seat = Seat {
            spec: spec.with_status(Status::NORMAL),
            owner: owner.clone(),
            layers: Mutex::new(layers),
            order,
            state: state.clone(),
        };
        self.seat_anew(seat, payload);
        state
    }

    /// Gives a member another spec of its source, or other overrides; its health stays.
    /// Returns whether anything has changed.
    pub(super) fn respecify(
        &mut self,
        seat: &Seat,
        source: MemberSpec,
        overrides: Overrides,
    ) -> bool {
        let now = self.epoch.shared.clock.now();
        let seen = seat.state.status();
        let layer = layer_of(&seat.overrides(), &overrides);
        let (spec, layers) = layered(source, overrides);
        let flags = spec.status().union(seen.intersection(Status::HEALTH));
        let spec = spec.with_status(flags);
        let (before, after) = seat.state.configure(&spec, seen, now);
        self.after.note(&seat.state, layer, (before, after));
        let spec = spec.with_status(Status::NORMAL);
        let entry = self.entries.get(seat.slot());
        let Some(payload) = entry.map(|entry| (entry.payload.clone(), entry.payload_number)) else {
            return false;
        };
        if spec == seat.spec {
            // Only flags have changed, if anything: they are live, and need no new seat.
            *seat.layers.lock() = layers;
            return before != after;
        }
        let seat = Seat {
            spec,
            owner: seat.owner.clone(),
            layers: Mutex::new(layers),
            order: seat.order,
            state: seat.state.clone(),
        };
        self.seat_anew(seat, payload);
        true
    }

    pub(super) fn state_of(&self, member: MemberKey<'_>) -> Option<Arc<MemberState>> {
        let seat = match member {
            MemberKey::Name(name) => self.seat(name)?,
            MemberKey::Id(id) => {
                let seat = self.roster.seat(id.slot())?;
                if seat.state.id() != id {
                    return None;
                }
                seat
            }
        };
        Some(seat.state.clone())
    }

    /// Ejects a member, or extends its ejection; returns whether that is a change.
    pub(super) fn eject(&mut self, state: &Arc<MemberState>, time: Duration, why: &Cause) -> bool {
        let now = self.epoch.shared.clock.now();
        let until = now + time;
        let (change, news) = state.eject(until, now, why);
        if news {
            self.after.note_ejected(state, change, until, why);
        }
        news
    }

    /// Sets and clears flags of a member's health; returns whether that is a change.
    pub(super) fn change_health(
        &mut self,
        state: &Arc<MemberState>,
        set: Status,
        clear: Status,
    ) -> bool {
        let now = self.epoch.shared.clock.now();
        let (before, after) = state.change_flags(set, clear, now, None);
        self.after
            .note(state, SettingLayer::Health, (before, after));
        before != after
    }

    /// Records a failed check of a member; returns whether that is a change.
    pub(super) fn fail_check(&mut self, state: &Arc<MemberState>, cause: &Cause) -> bool {
        let now = self.epoch.shared.clock.now();
        let failed = Status::NORMAL.with(Flag::FailedCheck);
        let (before, after) = state.change_flags(failed, Status::NORMAL, now, Some(cause));
        self.after.note_failed(state, (before, after), cause);
        before != after
    }

    /// Sets or clears one flag of a member's health; returns whether that is a change.
    pub(super) fn set_health(&mut self, state: &Arc<MemberState>, flag: Flag, on: bool) -> bool {
        let (flag, none) = (Status::NORMAL.with(flag), Status::NORMAL);
        let (set, clear) = if on { (flag, none) } else { (none, flag) };
        self.change_health(state, set, clear)
    }

    fn seat_anew(&mut self, seat: Seat, (payload, payload_number): (Arc<W>, u64)) {
        let slot = seat.slot();
        let same = |there: &&Arc<Seat>| {
            Arc::ptr_eq(&there.state, &seat.state)
                && there.spec == seat.spec
                && there.order == seat.order
        };
        let seat = match self.roster.seat(slot).filter(same) {
            // Only the payload is replaced, which the scheduler does not use.
            Some(there) => {
                *there.layers.lock() = seat.layers();
                there.clone()
            }
            None => {
                let there = self.roster.seat(slot);
                if there.is_none_or(|there| !same_plan(there, &seat)) {
                    self.planning.members_changed();
                }
                let seat = Arc::new(seat);
                Arc::make_mut(&mut self.roster).put(seat.clone());
                seat
            }
        };
        let entry = MemberEntry {
            state: seat.state.clone(),
            seat,
            epoch: self.epoch.clone(),
            payload,
            payload_number,
        };
        let former = self.entries.put(slot, Arc::new(entry));
        self.after.replaced.extend(former);
        self.touched.push(slot);
    }

    /// Removes a member; its overrides are kept by its name.
    pub(super) fn remove(&mut self, seat: &Seat, overrides: Overrides) {
        let slot = seat.slot();
        Arc::make_mut(&mut self.roster).take(slot);
        seat.state.close();
        self.after.note_left(&seat.state);
        self.planning.members_changed();
        self.after.replaced.extend(self.entries.take(slot));
        self.slots.bury(&seat.state);
        self.absent
            .keep(seat.state.name_handle().clone(), overrides);
        self.touched.push(slot);
    }
}

/// Returns the layer that a change is attributed to: the operator's where both changed.
fn layer_of(former: &Overrides, overrides: &Overrides) -> SettingLayer {
    if former == overrides {
        SettingLayer::Source
    } else {
        SettingLayer::Operator
    }
}

/// How much the scheduler is notified of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum SchedulerNotice {
    /// The difference.
    Difference,
    /// The difference, and all other members as changed.
    AllChanged,
    /// All members as joined: the scheduler knows none of them.
    AllJoined,
}
