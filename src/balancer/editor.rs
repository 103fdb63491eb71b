//! The publisher: changes the membership under one lock, and publishes a [`View`] that
//! readers follow without waiting.
//!
//! Order of a publication: what is due is noticed, the walk decides who is eligible,
//! the scheduler is told what changed, and only then readers see it. So a scheduler
//! always knows at least as much as any view that it is asked with.

use std::collections::HashMap;
use std::sync::Arc;

use super::Core;
use super::hub::{Desk, Hub};
use super::lease::Entry;
use super::overridden::{Absent, layered};
use super::reserve::without;
use super::slots::Slots;
use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, MemberSpec, MemberState, Overrides, Retry, Status};
use crate::scheduler::{Group, Needs, Scheduler};
use crate::snapshot::{Change, Picture, Roster, Seat, Slab, Walk, walk};
use crate::sync::Mutex;

/// What readers see: the picture, the payloads and the scheduler of one moment.
pub(super) struct View<W> {
    pub(super) picture: Picture,
    entries: Slab<Entry<W>>,
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) needs: Needs,
}

impl<W> View<W> {
    pub(super) fn empty(hub: &Hub, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            picture: Picture::new(0, Arc::default(), Walk::default()),
            entries: Slab::default(),
            needs: hub.needs(&*scheduler),
            scheduler,
        }
    }

    #[inline]
    pub(super) fn entry(&self, slot: usize) -> Option<&Arc<Entry<W>>> {
        self.entries.get(slot)
    }
}

/// What is done after a change, outside the lock: the world is told, and what readers
/// no longer see is dropped, payloads included, whatever their `Drop` may call.
#[must_use]
pub(super) struct News<W> {
    changes: Vec<(Arc<MemberState>, Status, Status)>,
    former: Vec<Arc<View<W>>>,
    /// What was replaced or removed; readers may never have seen it.
    replaced: Vec<Arc<Entry<W>>>,
}

impl<W> News<W> {
    const NONE: Self = Self {
        changes: Vec::new(),
        former: Vec::new(),
        replaced: Vec::new(),
    };

    pub(super) fn tell(self, hub: &Hub) {
        if self.changes.is_empty() && self.former.is_empty() {
            return;
        }
        hub.wake_after_change();
        for (state, before, after) in self.changes {
            hub.tell_status(&state, before, after);
        }
        drop((self.former, self.replaced));
    }

    fn note(&mut self, state: &Arc<MemberState>, (before, after): (Status, Status)) {
        if before != after {
            self.changes.push((state.clone(), before, after));
        }
    }
}

/// The membership as changes see it.
pub(super) struct Editor<W> {
    pub(super) roster: Arc<Roster>,
    pub(super) by_name: HashMap<Arc<str>, u32>,
    entries: Slab<Entry<W>>,
    scheduler: Arc<dyn Scheduler>,
    desk: Arc<Desk>,
    generation: u64,
    slots: Slots,
    /// The overrides of members that are not there.
    pub(super) absent: Absent,
    next_order: u64,
    next_payload: u64,
    /// The slots whose seats changed since the last publication.
    touched: Vec<usize>,
    /// What the scheduler has still to be told.
    owed: Told,
    news: News<W>,
}

impl<W> Editor<W> {
    pub(super) fn new(hub: &Arc<Hub>, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            desk: Arc::new(Desk::new(hub.clone(), scheduler.clone())),
            roster: Arc::default(),
            by_name: HashMap::new(),
            entries: Slab::default(),
            scheduler,
            generation: 0,
            slots: Slots::default(),
            absent: Absent::default(),
            next_order: 0,
            next_payload: 0,
            touched: Vec::new(),
            owed: Told::TheDifference,
            news: News::NONE,
        }
    }

    pub(super) fn seat(&self, name: &str) -> Option<&Arc<Seat>> {
        let &slot = self.by_name.get(name)?;
        self.roster.seat(slot as usize)
    }

    /// Inserts a member, or gives the one of that name a new payload and spec; its
    /// identity, counters and health stay.
    pub(super) fn put(
        &mut self,
        name: &Arc<str>,
        payload: W,
        spec: MemberSpec,
    ) -> Arc<MemberState> {
        let now = self.desk.hub.clock.now();
        let known = self.seat(name).cloned();
        let overrides = match &known {
            Some(seat) => seat.overrides(),
            None => self.absent.take(name),
        };
        let health = spec.status().and(Status::HEALTH);
        let flags = spec.status().minus(Status::HEALTH);
        let (spec, overridden) = layered(spec.with_status(flags), overrides);
        let flags = spec.status();
        let (state, order) = match known {
            Some(seat) => (seat.state.clone(), seat.order),
            None => {
                let state = self.slots.take_back(name).unwrap_or_else(|| {
                    // A new member's health is as its source says; an old one keeps its own.
                    let spec = spec.clone().with_status(flags.plus(health));
                    let slot = self.slots.allot();
                    Arc::new(MemberState::new(name.clone(), slot, &spec, now))
                });
                state.open();
                self.next_order += 1;
                (state, self.next_order)
            }
        };
        let seen = state.status();
        let spec = spec.with_status(flags.plus(seen.and(Status::HEALTH)));
        self.news.note(&state, state.configure(&spec, seen, now));
        self.next_payload += 1;
        let payload = (Arc::new(payload), self.next_payload);
        let seat = Seat {
            spec: spec.with_status(Status::NORMAL),
            overridden: Mutex::new(overridden),
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
        let now = self.desk.hub.clock.now();
        let seen = seat.state.status();
        let (spec, overridden) = layered(source, overrides);
        let flags = spec.status().plus(seen.and(Status::HEALTH));
        let spec = spec.with_status(flags);
        let (before, after) = seat.state.configure(&spec, seen, now);
        self.news.note(&seat.state, (before, after));
        let spec = spec.with_status(Status::NORMAL);
        let entry = self.entries.get(seat.slot());
        let Some(payload) = entry.map(|entry| (entry.payload.clone(), entry.payload_number)) else {
            return false;
        };
        if spec == seat.spec {
            // Only flags, if any: they are live, and need no new seat.
            *seat.overridden.lock() = overridden;
            return before != after;
        }
        let seat = Seat {
            spec,
            overridden: Mutex::new(overridden),
            order: seat.order,
            state: seat.state.clone(),
        };
        self.seat_anew(seat, payload);
        true
    }

    /// Sets or clears a flag of a member's health; returns whether that is a change.
    pub(super) fn set_health(&mut self, state: &Arc<MemberState>, flag: Flag, on: bool) -> bool {
        let (flag, none) = (Status::NORMAL.with(flag), Status::NORMAL);
        let (set, clear) = if on { (flag, none) } else { (none, flag) };
        let now = self.desk.hub.clock.now();
        let (before, after) = state.change_flags(set, clear, now);
        self.news.note(state, (before, after));
        before != after
    }

    fn seat_anew(&mut self, seat: Seat, (payload, payload_number): (Arc<W>, u64)) {
        let slot = seat.slot();
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        self.by_name
            .insert(seat.state.name_handle().clone(), slot as u32);
        let same = |there: &&Arc<Seat>| {
            Arc::ptr_eq(&there.state, &seat.state)
                && there.spec == seat.spec
                && there.order == seat.order
        };
        let seat = match self.roster.seat(slot).filter(same) {
            // Another payload only, which is no concern of a scheduler's.
            Some(there) => {
                *there.overridden.lock() = seat.overridden();
                there.clone()
            }
            None => {
                let seat = Arc::new(seat);
                Arc::make_mut(&mut self.roster).put(seat.clone());
                seat
            }
        };
        let entry = Entry {
            seat,
            desk: self.desk.clone(),
            payload,
            payload_number,
        };
        let former = self.entries.put(slot, Arc::new(entry));
        self.news.replaced.extend(former);
        self.touched.push(slot);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<MemberState>> {
        let slot = self.by_name.remove(name)? as usize;
        let seat = Arc::make_mut(&mut self.roster).take(slot)?;
        seat.state.close();
        self.news.replaced.extend(self.entries.take(slot));
        self.slots.bury(&seat.state);
        if let Some(overridden) = seat.overridden() {
            let name = seat.state.name_handle().clone();
            self.absent.keep(name, overridden.overrides.clone());
        }
        self.touched.push(slot);
        Some(seat.state.clone())
    }

    /// Makes everybody's standing equal.
    pub(super) fn reset_scheduler(&mut self, core: &Core<W>) -> News<W> {
        self.scheduler.reset();
        self.publish(core, Told::Again)
    }

    pub(super) fn set_scheduler(
        &mut self,
        core: &Core<W>,
        scheduler: Arc<dyn Scheduler>,
    ) -> News<W> {
        self.desk = Arc::new(self.desk.next(scheduler.clone()));
        self.scheduler = scheduler;
        for seat in self.roster.by_tier() {
            if let Some(entry) = self.entries.get(seat.slot()) {
                let entry = Entry {
                    seat: seat.clone(),
                    desk: self.desk.clone(),
                    payload: entry.payload.clone(),
                    payload_number: entry.payload_number,
                };
                let former = self.entries.put(seat.slot(), Arc::new(entry));
                self.news.replaced.extend(former);
            }
        }
        let mut news = self.publish(core, Told::Everything);
        // A request that ended meanwhile told the old scheduler: let the new one read
        // the facts again.
        let mut more = self.publish(core, Told::Again);
        news.changes.append(&mut more.changes);
        news.former.append(&mut more.former);
        news.replaced.append(&mut more.replaced);
        news
    }

    /// Publishes what has changed, if anything has.
    pub(super) fn publish_change(&mut self, core: &Core<W>) -> News<W> {
        self.publish(core, Told::TheDifference)
    }

    fn publish(&mut self, core: &Core<W>, told: Told) -> News<W> {
        let hub = &core.hub;
        let renewal = hub.begin_renewal();
        if hub.must_read_again() {
            self.owed = self.owed.max(Told::Again);
        }
        // Owed until it is told: a scheduler that panics is told the next time.
        self.owed = self.owed.max(told);
        let told = self.owed;
        let now = hub.clock.now();
        let mut next = Next::default();
        let mut found = {
            let news = &mut self.news;
            walk(&self.roster, |seat| recovered(seat, now, &mut next, news))
        };
        if found.is_empty() && hub.forces_recovery() && self.forgive_all() {
            next = Next::default();
            let news = &mut self.news;
            found = walk(&self.roster, |seat| recovered(seat, now, &mut next, news));
        }
        let old = core.view.load();
        let picture = Picture::new(self.generation + 1, self.roster.clone(), found);
        let mut change = match told {
            Told::Everything => picture.since_nothing(),
            Told::Again | Told::TheDifference => picture.since(&old.picture, &self.touched),
        };
        if told == Told::Again {
            change.everything_changed(&picture);
        }
        let readers_care = picture.usable != old.picture.usable;
        let changed = readers_care || !self.touched.is_empty() || !change.is_empty();
        if changed || told != Told::TheDifference {
            self.tell_and_show(core, picture, &change);
        }
        drop(old);
        renewal.end(next);
        std::mem::replace(&mut self.news, News::NONE)
    }

    fn tell_and_show(&mut self, core: &Core<W>, picture: Picture, change: &Change) {
        self.scheduler.on_group(&Group {
            picture: &picture,
            left: &change.left,
            joined: &change.joined,
            changed: &change.changed,
        });
        self.generation = picture.generation;
        self.touched.clear();
        let former = core.view.swap(View {
            picture,
            entries: self.entries.clone(),
            needs: core.hub.needs(&*self.scheduler),
            scheduler: self.scheduler.clone(),
        });
        self.news.former.push(former);
        if self.owed == Told::Everything {
            core.hub.set_scheduler(self.scheduler.clone());
        }
        self.owed = Told::TheDifference;
    }

    /// Forced recovery: forgives all whom only the error keeps out. Apache looks at
    /// the error alone, so that there one disabled member blocks it (ledger row 5).
    fn forgive_all(&mut self) -> bool {
        self.forgive(|_, _| true)
    }

    /// The same for a request that has tried some: for the others, and only if none of
    /// them could be elected otherwise. Members that drain stay as they are.
    pub(super) fn forgive_untried(&mut self, tried: &[MemberId]) -> bool {
        without(&self.roster, tried).is_empty()
            && self
                .forgive(|id, forgiven| !forgiven.contains(Flag::Draining) && !tried.contains(&id))
    }

    /// Forgives the members that only an error keeps out and that `applies` accepts. It gets
    /// the status that each would have.
    fn forgive(&mut self, applies: impl Fn(MemberId, Status) -> bool) -> bool {
        let mut any = false;
        for seat in self.roster.by_tier() {
            loop {
                let live = seat.state.live();
                let forgiven = live.status().without(Flag::InError);
                let only_the_error = forgiven != live.status() && forgiven.is_usable();
                if !only_the_error || !applies(seat.state.id(), forgiven) {
                    break;
                }
                if seat.state.forgive(live) {
                    any = true;
                    self.news.note(&seat.state, (live.status(), forgiven));
                    break;
                }
            }
        }
        any
    }
}

/// A member's status, after its error was forgiven if the time for it is over;
/// `next` notes when the next one is due.
fn recovered<W>(seat: &Seat, now: Timestamp, next: &mut Next, news: &mut News<W>) -> Status {
    loop {
        let live = seat.state.live();
        let without = live.status().without(Flag::InError);
        match live.retry(seat.spec.recovery_delay(), now) {
            Retry::At(due) => next.note(due, without.is_usable()),
            Retry::Now if seat.state.forgive(live) => {
                news.note(&seat.state, (live.status(), without));
                return without;
            }
            // Another error, or another flag: it makes nothing due by itself.
            Retry::Now => continue,
            Retry::Never | Retry::NotInError => {}
        }
        return live.status();
    }
}

/// When the next member that only its error keeps out can serve again.
#[cold]
pub(super) fn next_rescue(roster: &Roster, now: Timestamp) -> Option<Timestamp> {
    let due = |seat: &Arc<Seat>| {
        let live = seat.state.live();
        let rescues = live.status().without(Flag::InError).is_usable();
        match live.retry(seat.spec.recovery_delay(), now) {
            Retry::At(due) if rescues => Some(due),
            Retry::Now if rescues => Some(now),
            _ => None,
        }
    };
    roster.by_tier().filter_map(due).min()
}

/// When the next error is over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Next {
    /// Anybody's.
    pub(super) due: Option<Timestamp>,
    /// That of a member which can serve then: what a refused request waits for.
    pub(super) rescue: Option<Timestamp>,
}

impl Next {
    fn note(&mut self, due: Timestamp, rescues: bool) {
        let earlier = |known: Option<Timestamp>| Some(known.map_or(due, |known| known.min(due)));
        self.due = earlier(self.due);
        if rescues {
            self.rescue = earlier(self.rescue);
        }
    }
}

/// How much the scheduler is told.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Told {
    /// The difference.
    TheDifference,
    /// The difference, and everybody else as changed.
    Again,
    /// Everybody as joined: it knows nobody.
    Everything,
}
