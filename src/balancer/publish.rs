//! The publisher: works out which members are eligible after a change or as time passes,
//! and publishes a [`View`] that readers follow without waiting.
//!
//! Order of a publication: what is due is noticed, the walk decides which members are
//! eligible, the scheduler is told what changed, and only then readers see it. So a scheduler
//! always knows at least as much as any view that it is asked with.

use std::sync::Arc;

use super::after_change::AfterChange;
use super::agenda::NextDue;
use super::editor::{Editor, SchedulerNotice};
use super::layers::SettingLayer;
use super::lease::MemberEntry;
use super::planning::PlanTask;
use super::view::View;
use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, Status};
use crate::scheduler::{GroupChange, Needs, Plan, Scheduler};
use crate::snapshot::{EligibilityWalk, Factors, Picture, PictureDiff, walk, without};
use crate::sync::Published;

impl<W> Editor<W> {
    /// Creates the standings of all members equal.
    pub(super) fn reset_scheduler(&mut self, published: &Published<View<W>>) -> AfterChange<W> {
        self.scheduler.reset();
        self.publish(published, SchedulerNotice::Again)
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
                let entry = MemberEntry {
                    seat: seat.clone(),
                    epoch: self.epoch.clone(),
                    payload: entry.payload.clone(),
                    payload_number: entry.payload_number,
                };
                let former = self.entries.put(seat.slot(), Arc::new(entry));
                self.after.replaced.extend(former);
            }
        }
        let mut after = self.publish(published, SchedulerNotice::Everything);
        // A request that ended meanwhile told the old scheduler: let the new one read
        // the facts again.
        after.join(self.publish(published, SchedulerNotice::Again));
        after
    }

    /// Publishes what has changed, if anything has.
    pub(super) fn publish_change(&mut self, published: &Published<View<W>>) -> AfterChange<W> {
        self.publish(published, SchedulerNotice::TheDifference)
    }

    /// Takes the next plan over, if one has to be made and none is being made.
    pub(super) fn next_task(&mut self) -> Option<PlanTask> {
        self.planning.next_task(&self.scheduler, &self.roster)
    }

    /// Keeps a plan and publishes it; returns what is to be dropped once the lock is given
    /// back, as it may hold a user's table.
    pub(super) fn keep_plan(
        &mut self,
        published: &Published<View<W>>,
        task: &PlanTask,
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

    fn publish(&mut self, published: &Published<View<W>>, told: SchedulerNotice) -> AfterChange<W> {
        let shared = &self.epoch.shared.clone();
        let renewal = shared.agenda.begin_renewal();
        if shared.must_read_again() {
            self.owed = self.owed.max(SchedulerNotice::Again);
        }
        // Owed until it is told: a scheduler that panics is told the next time.
        self.owed = self.owed.max(told);
        let told = self.owed;
        let now = shared.clock.now();
        let mut walked = self.walk_at(now);
        if walked.found.is_empty() && shared.forces_recovery() && self.end_all_outages() {
            walked = self.walk_at(now);
        }
        let Walked {
            found,
            factors,
            next,
        } = walked;
        let old = published.load();
        let picture = Picture::new(self.generation + 1, self.roster.clone(), found, factors);
        let mut change = match told {
            SchedulerNotice::Everything => picture.since_nothing(),
            SchedulerNotice::Again | SchedulerNotice::TheDifference => {
                picture.since(&old.picture, &self.touched)
            }
        };
        if told == SchedulerNotice::Again {
            change.everything_changed(&picture);
        }
        let readers_care = picture.usable != old.picture.usable
            // Those of members that are not eligible too, which may stand in for others.
            || picture.factors != old.picture.factors;
        let changed = readers_care || !self.touched.is_empty() || !change.is_empty();
        if changed || told != SchedulerNotice::TheDifference {
            self.tell_and_show(published, picture, &change);
        }
        drop(old);
        renewal.end(next);
        self.after.generation = self.generation;
        self.after.owes_plan = self.planning.is_owed();
        std::mem::replace(&mut self.after, AfterChange::NONE)
    }

    fn tell_and_show(
        &mut self,
        published: &Published<View<W>>,
        picture: Picture,
        change: &PictureDiff,
    ) {
        self.scheduler.on_group_change(&GroupChange {
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
        if self.owed == SchedulerNotice::Everything {
            self.epoch.shared.set_scheduler(self.scheduler.clone());
        }
        self.owed = SchedulerNotice::TheDifference;
    }

    /// Walks over the members, after what is over by `now` has ended.
    fn walk_at(&mut self, now: Timestamp) -> Walked {
        let pace = self.epoch.shared.pace;
        let (mut next, mut factors) = (NextDue::default(), Factors::default());
        let after = &mut self.after;
        let found = walk(&self.roster, |seat| {
            loop {
                let live = seat.state.live();
                if live.is_settled() {
                    return live.status();
                }
                let outlook = pace.outlook(seat, live, now);
                if outlook.over != Status::NORMAL {
                    if seat.state.end_outages(live, outlook.over, now) {
                        let before = live.status();
                        let change = (before, before.difference(outlook.over));
                        after.note(&seat.state, SettingLayer::Health, change);
                    }
                    // Its ramp is next; or else another error: it makes nothing due by itself.
                    continue;
                }
                if live.is_arriving() && outlook.is_at_full_weight() && !seat.state.end_ramp(live) {
                    continue;
                }
                next.note(&outlook);
                factors.set(seat.slot(), outlook.sixteenths);
                return live.status();
            }
        });
        Walked {
            found,
            factors,
            next,
        }
    }

    /// Forced recovery: ends the errors and ejections of all members that nothing else keeps
    /// out. Apache looks at the error alone, so that there one disabled member blocks it
    /// (ledger row 5).
    fn end_all_outages(&mut self) -> bool {
        self.end_outages(|_, _| true)
    }

    /// The same for a request that has tried some: for the others, and only if none of
    /// them could be picked otherwise. Members that drain stay as they are.
    pub(super) fn end_outages_of_untried(&mut self, tried: &[MemberId]) -> bool {
        without(&self.roster, tried).is_empty()
            && self
                .end_outages(|id, status| !status.contains(Flag::Draining) && !tried.contains(&id))
    }

    /// Ends the errors and ejections of the members that nothing else keeps out and that
    /// `applies` accepts. It gets the status that each would have.
    fn end_outages(&mut self, applies: impl Fn(MemberId, Status) -> bool) -> bool {
        let now = self.epoch.shared.clock.now();
        let mut any = false;
        for seat in self.roster.by_tier() {
            loop {
                let live = seat.state.live();
                let status = live.status().difference(Status::TIMED);
                let only_those = status != live.status() && status.is_usable();
                if !only_those || !applies(seat.state.id(), status) {
                    break;
                }
                if seat.state.end_outages(live, Status::TIMED, now) {
                    any = true;
                    let change = (live.status(), status);
                    self.after.note(&seat.state, SettingLayer::Health, change);
                    break;
                }
            }
        }
        any
    }
}

/// What a walk over the members has come to.
struct Walked {
    found: EligibilityWalk,
    factors: Factors,
    next: NextDue,
}
