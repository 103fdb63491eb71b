//! The publisher: works out who is eligible after a change or as time passes, and publishes
//! a [`View`] that readers follow without waiting.
//!
//! Order of a publication: what is due is noticed, the walk decides who is eligible,
//! the scheduler is told what changed, and only then readers see it. So a scheduler
//! always knows at least as much as any view that it is asked with.

use std::sync::Arc;

use super::after_change::AfterChange;
use super::agenda::Next;
use super::editor::{Editor, Told};
use super::layer::Layer;
use super::lease::Entry;
use super::planning::Task;
use super::view::View;
use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, Retry, Status};
use crate::scheduler::{Group, Needs, Plan, Scheduler};
use crate::snapshot::{Change, Picture, Seat, walk, without};
use crate::sync::Published;

impl<W> Editor<W> {
    /// Makes everybody's standing equal.
    pub(super) fn reset_scheduler(&mut self, published: &Published<View<W>>) -> AfterChange<W> {
        self.scheduler.reset();
        self.publish(published, Told::Again)
    }

    pub(super) fn set_scheduler(
        &mut self,
        published: &Published<View<W>>,
        scheduler: Arc<dyn Scheduler>,
    ) -> AfterChange<W> {
        self.epoch = Arc::new(self.epoch.next(scheduler.clone()));
        self.scheduler = scheduler;
        self.planning.start_anew();
        for seat in self.roster.by_tier() {
            if let Some(entry) = self.entries.get(seat.slot()) {
                let entry = Entry {
                    seat: seat.clone(),
                    epoch: self.epoch.clone(),
                    payload: entry.payload.clone(),
                    payload_number: entry.payload_number,
                };
                let former = self.entries.put(seat.slot(), Arc::new(entry));
                self.after.replaced.extend(former);
            }
        }
        let mut after = self.publish(published, Told::Everything);
        // A request that ended meanwhile told the old scheduler: let the new one read
        // the facts again.
        after.join(self.publish(published, Told::Again));
        after
    }

    /// Publishes what has changed, if anything has.
    pub(super) fn publish_change(&mut self, published: &Published<View<W>>) -> AfterChange<W> {
        self.publish(published, Told::TheDifference)
    }

    /// Takes the next plan over, if one has to be made and none is being made.
    pub(super) fn next_task(&mut self) -> Option<Task> {
        self.planning.next_task(&self.scheduler, &self.roster)
    }

    /// Keeps a plan and publishes it; returns what is to be dropped once the lock is given
    /// back, as it may hold a user's table.
    pub(super) fn keep_plan(
        &mut self,
        published: &Published<View<W>>,
        task: &Task,
        plan: Option<Plan>,
    ) -> (Option<Plan>, Option<Arc<View<W>>>) {
        match self.planning.keep(task, plan.clone()) {
            Err(unwanted) => (unwanted, None),
            // The view is of the same scheduler: a task begins only once its scheduler is
            // published, and the next one that is set withdraws it.
            Ok(old) => {
                let view = published.load().with_plan(plan);
                (old, Some(published.swap(view)))
            }
        }
    }

    fn publish(&mut self, published: &Published<View<W>>, told: Told) -> AfterChange<W> {
        let shared = &self.epoch.shared.clone();
        let renewal = shared.agenda.begin_renewal();
        if shared.must_read_again() {
            self.owed = self.owed.max(Told::Again);
        }
        // Owed until it is told: a scheduler that panics is told the next time.
        self.owed = self.owed.max(told);
        let told = self.owed;
        let now = shared.clock.now();
        let mut next = Next::default();
        let mut found = {
            let after = &mut self.after;
            walk(&self.roster, |seat| recovered(seat, now, &mut next, after))
        };
        if found.is_empty() && shared.forces_recovery() && self.forgive_all() {
            next = Next::default();
            let after = &mut self.after;
            found = walk(&self.roster, |seat| recovered(seat, now, &mut next, after));
        }
        let old = published.load();
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
            self.tell_and_show(published, picture, &change);
        }
        drop(old);
        renewal.end(next);
        self.after.generation = self.generation;
        self.after.owes_plan = self.planning.is_owed();
        std::mem::replace(&mut self.after, AfterChange::NONE)
    }

    fn tell_and_show(&mut self, published: &Published<View<W>>, picture: Picture, change: &Change) {
        self.scheduler.on_group(&Group {
            picture: &picture,
            left: &change.left,
            joined: &change.joined,
            changed: &change.changed,
        });
        self.generation = picture.generation;
        self.touched.clear();
        let needs = self.scheduler.needs();
        self.planning.scheduler_plans(needs.contains(Needs::PLAN));
        let former = published.swap(View {
            picture,
            entries: self.entries.clone(),
            needs,
            scheduler: self.scheduler.clone(),
            plan: self.planning.plan.clone(),
        });
        self.after.former.push(former);
        self.epoch.shared.set_generation(self.generation);
        if self.owed == Told::Everything {
            self.epoch.shared.set_scheduler(self.scheduler.clone());
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
                    let change = (live.status(), forgiven);
                    self.after.note(&seat.state, Layer::Health, change);
                    break;
                }
            }
        }
        any
    }
}

/// A member's status, after its error was forgiven if the time for it is over;
/// `next` notes when the next one is due.
fn recovered<W>(
    seat: &Seat,
    now: Timestamp,
    next: &mut Next,
    after: &mut AfterChange<W>,
) -> Status {
    loop {
        let live = seat.state.live();
        let without = live.status().without(Flag::InError);
        match live.retry(seat.spec.recovery_delay(), now) {
            Retry::At(due) => next.note(due, without.is_usable()),
            Retry::Now if seat.state.forgive(live) => {
                after.note(&seat.state, Layer::Health, (live.status(), without));
                return without;
            }
            // Another error, or another flag: it makes nothing due by itself.
            Retry::Now => continue,
            Retry::Never | Retry::NotInError => {}
        }
        return live.status();
    }
}
