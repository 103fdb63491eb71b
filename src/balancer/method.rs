//! How a balancer picks, changed while it runs.
//!
//! What does not live here: picking (`pick`), and who can be picked (`members`).

use std::sync::Arc;

use super::Balancer;
use crate::scheduler::Scheduler;

impl<W> Balancer<W> {
    /// Picks by another method from now on. Leases of before end as ever; standings
    /// start anew. A `Box<dyn Scheduler>` does, too.
    ///
    /// If the scheduler [plans](Scheduler::plan), this call makes its first plan, as later
    /// changes of the members make others: its documentation says what that costs.
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

    /// Sets whether everybody is forgiven when only errors keep all from being picked, as
    /// they are by default (Apache: `forcerecovery`).
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

    /// Creates the standings of all members equal, as if the method had just been set.
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

    /// Returns the name of the method by which members are picked.
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
