//! The scheduler of a balancer, changed while it runs.
//!
//! Not here: picking (`pick`), and which members can be picked (`members`).

use std::sync::Arc;

use super::Balancer;
use crate::scheduler::Scheduler;

impl<W> Balancer<W> {
    /// Replaces the scheduler. Leases that exist end as usual; standings start again from
    /// zero. A `Box<dyn Scheduler>` is accepted, too.
    ///
    /// If the scheduler [plans](Scheduler::plan), this call makes its first plan; later
    /// changes of the members make further ones. The scheduler's documentation describes
    /// the cost.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, ByBusyness};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.set_scheduler(ByBusyness::new());
    /// assert_eq!(balancer.scheduler_name(), "bybusyness");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn set_scheduler(&self, scheduler: impl Scheduler) {
        let mut editor = self.core.editor.lock();
        let after = editor.set_scheduler(&self.core.view, Arc::new(scheduler));
        drop(editor);
        self.core.settle(after);
    }

    /// Sets whether the errors and ejections of all members end at once when no other
    /// member is left, as they do by default (Apache: `forcerecovery`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.set_forced_recovery(false);
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// assert!(balancer.pick(&PickRequest::new()).is_err());
    /// balancer.set_forced_recovery(true);
    /// assert!(balancer.pick(&PickRequest::new()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "forcerecovery")]
    pub fn set_forced_recovery(&self, force: bool) {
        let shared = self.shared();
        let mut editor = self.core.editor.lock();
        shared.force_recovery(force);
        let after = editor.publish_change(&self.core.view);
        drop(editor);
        self.core.settle(after);
    }

    /// Resets the standings of all members to zero, as if the scheduler had just been set.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// drop(balancer.pick(&PickRequest::new()));
    /// assert_eq!(balancer.standing("a"), Some(-100));
    /// balancer.reset_standings();
    /// assert_eq!(balancer.standing("a"), Some(0));
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn reset_standings(&self) {
        let mut editor = self.core.editor.lock();
        let after = editor.reset_scheduler(&self.core.view);
        drop(editor);
        self.core.settle(after);
    }

    /// Returns the name of the scheduler.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// assert_eq!(balancer.scheduler_name(), "byrequests");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn scheduler_name(&self) -> &'static str {
        self.core.view.load().scheduler.name()
    }
}
