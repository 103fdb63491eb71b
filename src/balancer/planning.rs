//! When a scheduler plans, and how its plan is published: outside the editor's lock, by
//! one caller at a time.
//!
//! ```text
//! change, under the lock ─► a plan is owed ─► lock given back ─► one is being made: return
//!                                                          └─► Scheduler::plan, no lock held
//!                                                              └─► under the lock: keep it,
//!                                                                  publish it; owed? again
//! ```
//!
//! What does not live here: the table itself, which is the scheduler's.

use std::sync::Arc;

use super::Core;
use super::editor::Editor;
use super::view::View;
use crate::scheduler::{Members, Plan, Scheduler};
use crate::snapshot::Roster;
use crate::sync::Published;

/// What the editor knows about plans.
#[derive(Debug, Default)]
pub(super) struct Planning {
    /// What the present scheduler has planned last.
    pub(super) plan: Option<Plan>,
    /// Whether the scheduler that readers see plans at all.
    plans: bool,
    /// Grows with each change of what plans are made from.
    wanted: u64,
    /// What the last plan was made from.
    made: u64,
    /// The task that runs, if one does.
    running: Option<u64>,
    tasks: u64,
}

impl Planning {
    /// Notes that another plan would come of the members.
    pub(super) fn members_changed(&mut self) {
        self.wanted += 1;
    }

    /// Begins anew, for another scheduler. What is being planned is for the old one, and
    /// will be thrown away. The old plan is not dropped here: readers still see it.
    pub(super) fn start_anew(&mut self) {
        self.plan = None;
        self.plans = false;
        self.wanted += 1;
        self.running = None;
    }

    /// Notes whether the scheduler plans, as it is published.
    pub(super) fn scheduler_plans(&mut self, plans: bool) {
        self.plans = plans;
    }

    /// Tells whether a plan has to be made, and none is being made.
    pub(super) fn is_owed(&self) -> bool {
        self.plans && self.wanted != self.made && self.running.is_none()
    }
}

/// One plan to be made.
struct Task {
    number: u64,
    /// What it is made from.
    wanted: u64,
    scheduler: Arc<dyn Scheduler>,
    roster: Arc<Roster>,
}

impl<W> Editor<W> {
    /// Takes the next plan over, if one has to be made and nothing is at it.
    fn next_task(&mut self) -> Option<Task> {
        if !self.planning.is_owed() {
            return None;
        }
        self.planning.tasks += 1;
        self.planning.running = Some(self.planning.tasks);
        Some(Task {
            number: self.planning.tasks,
            wanted: self.planning.wanted,
            scheduler: self.scheduler.clone(),
            roster: self.roster.clone(),
        })
    }

    /// Keeps a plan and publishes it; returns what is to be dropped once the lock is given
    /// back, as it may hold a user's table.
    fn keep_plan(
        &mut self,
        published: &Published<View<W>>,
        task: &Task,
        plan: Option<Plan>,
    ) -> (Option<Plan>, Option<Arc<View<W>>>) {
        if self.planning.running != Some(task.number) {
            // Another scheduler has been set.
            return (plan, None);
        }
        self.planning.running = None;
        self.planning.made = task.wanted;
        let old = self.planning.plan.take();
        self.planning.plan.clone_from(&plan);
        // The view is of the same scheduler: a task begins only once its scheduler is
        // published, and the next one that is set withdraws it.
        let view = published.load().with_plan(plan);
        (old, Some(published.swap(view)))
    }
}

impl<W> Core<W> {
    /// Lets the scheduler plan until nothing is owed, unless another caller is at it.
    pub(super) fn plan(&self) {
        let mut task = self.editor.lock().next_task();
        while let Some(present) = task {
            let mut running = Running {
                core: self,
                number: Some(present.number),
            };
            let plan = present.scheduler.plan(&Members::new(&present.roster));
            running.number = None;
            let mut editor = self.editor.lock();
            let leftovers = editor.keep_plan(&self.view, &present, plan);
            task = editor.next_task();
            drop(editor);
            drop((leftovers, present));
        }
    }
}

/// Lets the next change plan again if this plan panics.
struct Running<'c, W> {
    core: &'c Core<W>,
    /// The task, until it is through.
    number: Option<u64>,
}

impl<W> Drop for Running<'_, W> {
    fn drop(&mut self) {
        if self.number.is_none() {
            return;
        }
        let mut editor = self.core.editor.lock();
        if editor.planning.running == self.number {
            editor.planning.running = None;
        }
    }
}
