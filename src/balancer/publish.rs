//! The publisher: computes which members are eligible after a change or as time passes, and
//! publishes a [`View`] that readers follow without waiting.
//!
//! The order of a publication: changes that are due are applied, the walk decides which
//! members are eligible, the scheduler is notified of the changes, and only then do readers
//! see them. So a scheduler's information is never older than a view that it receives.

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
    /// Resets the standings of all members to zero.
    pub(super) fn reset_scheduler(&mut self, published: &Published<View<W>>) -> AfterChange<W> {
        self.scheduler.reset();
        self.publish(published, SchedulerNotice::AllChanged)
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
                    state: seat.state.clone(),
                    seat: seat.clone(),
                    epoch: self.epoch.clone(),
                    payload: entry.payload.clone(),
                    payload_number: entry.payload_number,
                };
                let former = self.entries.put(seat.slot(), Arc::new(entry));
                self.after.replaced.extend(former);
            }
        }
        let mut after = self.publish(published, SchedulerNotice::AllJoined);
        // A request that ended meanwhile has notified the old scheduler: the new one reads
        // the facts again.
        after.join(self.publish(published, SchedulerNotice::AllChanged));
        after
    }

    /// Publishes what has changed, if anything has.
    pub(super) fn publish_change(&mut self, published: &Published<View<W>>) -> AfterChange<W> {
        self.publish(published, SchedulerNotice::Difference)
    }

    /// Takes the next planning task, if a plan has to be made and none is being made.
    pub(super) fn next_task(&mut self) -> Option<PlanTask> {
        self.planning.next_task(&self.scheduler, &self.roster)
    }

    /// Keeps a plan and publishes it; returns what must be dropped after the lock is
    /// released, because it may hold a user's table.
    pub(super) fn keep_plan(
        &mut self,
        published: &Published<View<W>>,
        task: &PlanTask,
        plan: Option<Plan>,
    ) -> (Option<Plan>, Option<Arc<View<W>>>) {
        match self.planning.keep(task, plan.clone()) {
            Err(unwanted) => (unwanted, None),
            // The view is of the same scheduler: a task begins only once its scheduler is
            // published, and setting the next one withdraws it.
            Ok(old) => {
                let view = published.load().with_plan(plan);
                (old, Some(published.swap(view)))
            }
        }
    }

    fn publish(
        &mut self,
        published: &Published<View<W>>,
        notice: SchedulerNotice,
    ) -> AfterChange<W> {
        let shared = &self.epoch.shared.clone();
        let renewal = shared.agenda.begin_renewal();
        if shared.must_read_again() {
            self.owed = self.owed.max(SchedulerNotice::AllChanged);
        }
        // Owed until the scheduler was notified: one that panics is notified the next time.
        self.owed = self.owed.max(notice);
        let notice = self.owed;
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
        let mut change = match notice {
            SchedulerNotice::AllJoined => picture.since_nothing(),
            SchedulerNotice::AllChanged | SchedulerNotice::Difference => {
                picture.since(&old.picture, &self.touched)
            }
        };
        if notice == SchedulerNotice::AllChanged {
            change.everything_changed(&picture);
        }
        let readers_care = picture.usable != old.picture.usable
            // Also those of members that are not eligible, which may stand in for others.
            || picture.factors != old.picture.factors;
        let changed = readers_care || !self.touched.is_empty() || !change.is_empty();
        if changed || notice != SchedulerNotice::Difference {
            self.notify_and_publish(published, picture, &change);
        }
        drop(old);
        renewal.end(next);
        self.after.generation = self.generation;
        self.after.owes_plan = self.planning.is_owed();
        std::mem::replace(&mut self.after, AfterChange::NONE)
    }

    fn notify_and_publish(
        &mut self,
        published: &Published<View<W>>,
        picture: Picture,
        change: &PictureDiff,
    ) {
        self.notified = picture.few.clone();
        self.scheduler.on_group_change(&GroupChange {
            picture: &picture,
            left: &change.left,
            joined: &change.joined,
            changed: &change.changed,
        });
        self.generation = picture.generation;
        // With its room: it may have held all members.
        self.touched = Vec::new();
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
        if self.owed == SchedulerNotice::AllJoined {
            self.epoch.shared.set_scheduler(self.scheduler.clone());
        }
        self.owed = SchedulerNotice::Difference;
    }

    /// Walks over the members, after ending what is over by `now`.
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
                    // Its ramp is next; or else another error, which makes nothing due by
                    // itself.
                    continue;
                }
                if live.may_ramp() && outlook.is_at_full_weight() && !seat.state.end_ramp(live) {
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

    /// Forced recovery: ends the errors and ejections of all members that nothing else
    /// keeps out. Apache only checks whether every member is in error, so that one disabled
    /// member prevents the recovery there (ledger row 5).
    fn end_all_outages(&mut self) -> bool {
        self.end_outages(|_, _| true)
    }

    /// Forced recovery for a request that has tried some members: it applies to the other
    /// members, and only if none of them could be picked otherwise. Draining members are
    /// not changed.
    pub(super) fn end_outages_of_untried(&mut self, tried: &[MemberId]) -> bool {
        without(&self.roster, tried).is_empty()
            && self
                .end_outages(|id, status| !status.contains(Flag::Draining) && !tried.contains(&id))
    }

    /// Ends the errors and ejections of the members that nothing else keeps out and that
    /// `applies` accepts. `applies` receives the status that each would have.
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

/// The result of a walk over the members.
struct Walked {
    found: EligibilityWalk,
    factors: Factors,
    next: NextDue,
}
