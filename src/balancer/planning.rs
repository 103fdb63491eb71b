//! When a scheduler plans: outside the editor's lock, by one caller at a time.
//!
//! ```text
//! change, under the lock ─► a plan is owed ─► lock given back ─► one is being made: return
//!                                                          └─► Scheduler::plan, no lock held
//!                                                              └─► under the lock: keep it,
//!                                                                  publish it; owed? again
//! ```
//!
//! Not here: the table itself, which is the scheduler's, and how a plan is
//! published (`publish.rs`).

use std::mem;
use std::sync::Arc;

use crate::scheduler::{Plan, PlanMembers, Scheduler};
use crate::snapshot::Roster;

/// What the editor knows about plans.
#[derive(Debug, Default)]
pub(super) struct Planning {
    /// The last plan of the present scheduler.
    pub(super) plan: Option<Plan>,
    /// Whether the scheduler that readers see plans at all.
    plans: bool,
    /// Incremented with each change of what plans are made from.
    wanted: u64,
    /// The value of `wanted` that the last plan was made for.
    made: u64,
    /// The task that runs, if one does.
    running: Option<u64>,
    tasks: u64,
}

impl Planning {
    /// Notes that the members have changed, so that a plan would differ.
    pub(super) fn members_changed(&mut self) {
        self.wanted += 1;
    }

    /// Starts again for another scheduler. A plan in progress is for the old one, and will
    /// be dropped. The old plan is not dropped here: readers still see it.
    pub(super) fn start_anew(&mut self) {
        self.plan = None;
        self.plans = false;
        self.wanted += 1;
        self.running = None;
    }

    /// Notes whether the scheduler that is being published plans.
    pub(super) fn scheduler_plans(&mut self, plans: bool) {
        self.plans = plans;
    }

    /// Returns whether a plan has to be made, and none is being made.
    pub(super) fn is_owed(&self) -> bool {
        self.plans && self.wanted != self.made && self.running.is_none()
    }

    /// Takes the next planning task, if a plan has to be made and none is being made.
    pub(super) fn next_task(
        &mut self,
        scheduler: &Arc<dyn Scheduler>,
        roster: &Arc<Roster>,
    ) -> Option<PlanTask> {
        if !self.is_owed() {
            return None;
        }
        self.tasks += 1;
        self.running = Some(self.tasks);
        Some(PlanTask {
            number: self.tasks,
            wanted: self.wanted,
            scheduler: scheduler.clone(),
            roster: roster.clone(),
        })
    }

    /// Keeps the plan of a task, and returns the former one; or returns the plan itself, if
    /// another scheduler has been set meanwhile.
    pub(super) fn keep(
        &mut self,
        task: &PlanTask,
        plan: Option<Plan>,
    ) -> Result<Option<Plan>, Option<Plan>> {
        if self.running != Some(task.number) {
            return Err(plan);
        }
        self.running = None;
        self.made = task.wanted;
        Ok(mem::replace(&mut self.plan, plan))
    }

    /// Notes that a task has failed: the next change plans again.
    pub(super) fn give_up(&mut self, number: u64) {
        if self.running == Some(number) {
            self.running = None;
        }
    }
}

/// The task of making one plan.
pub(super) struct PlanTask {
    pub(super) number: u64,
    /// The value of `Planning::wanted` that it is made for.
    wanted: u64,
    scheduler: Arc<dyn Scheduler>,
    roster: Arc<Roster>,
}

impl PlanTask {
    /// Runs the scheduler's planning. No lock is held.
    pub(super) fn plan(&self) -> Option<Plan> {
        self.scheduler.plan(&PlanMembers::new(&self.roster))
    }
}
