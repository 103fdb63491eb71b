//! Balancing over members: [`Balancer`] holds the members, publishes which of them are
//! eligible, and hands out leases.
//!
//! ```text
//! pick ─► read the published view ─► session's member, or the scheduler's ─► Lease
//! change ─► under the editor's lock: copy, change, compute the eligible members,
//!        │  notify the scheduler, publish
//!        └► outside it: notify observers, run the scheduler's planning, publish it
//! ```
//!
//! Reading never waits for a change. What does not live here: how a member is picked
//! (`scheduler`), which members may be picked (`snapshot`), and any I/O.

mod after_change;
mod agenda;
mod attention;
mod builder;
mod check_results;
mod draft;
mod edit;
mod editor;
mod eject;
mod epoch;
mod error;
pub mod events;
mod explain;
mod guard;
mod layers;
mod lease;
mod limit;
mod members;
mod meter;
mod observe;
mod operation;
mod overrides;
mod pick;
mod planning;
mod publish;
mod reason;
mod removed;
mod request;
mod reserve;
mod scheduler_settings;
mod sessions;
mod shared;
mod slots;
mod source;
mod view;
mod wait;
mod weak;

#[cfg(all(test, equipoise_loom))]
mod loom_tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use after_change::AfterChange;
use editor::Editor;
use shared::Shared;
use view::View;

pub use builder::Builder;
pub use edit::{Edit, EditSummary};
pub use error::{BuildError, EditError, PickError, UnknownMember};
pub use explain::{Explanation, MemberExplanation};
pub use guard::Guard;
pub use layers::{MAX_ABSENT_OVERRIDES, SettingLayer};
pub use lease::Lease;
pub use limit::LearnedLimit;
pub(crate) use limit::WeakLimit;
pub use meter::SentMeter;
pub use reason::Reason;
pub use removed::RemovedMember;
pub use request::PickRequest;
pub use source::{DEFAULT_SOURCE, MemberSource};
pub use wait::{Drain, DrainOutcome, Drained, MembersReady, PickWait};
pub use weak::WeakBalancer;

pub(crate) use meter::Upload;
pub(crate) use wait::{Expected, TimeKeeper, Waiter, may_change};

use crate::clock::{Clock, Timestamp};
use crate::snapshot::{Roster, SourceName};
use crate::sync::{Mutex, Published};

/// Distributes requests over members, each with a payload `W`: a client, an address, a
/// service.
///
/// It is a handle: clones are cheap and share everything. Every method takes `&self` and
/// may be called from any thread.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Outcome, PickRequest};
///
/// let balancer = Balancer::new([("a", "10.0.0.1:80"), ("b", "10.0.0.2:80")])?;
///
/// let lease = balancer.pick(&PickRequest::new())?;
/// println!("going to {}", *lease);
/// lease.finish(Outcome::Success);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Balancer<W> {
    core: Arc<Core<W>>,
}

struct Core<W> {
    shared: Arc<Shared>,
    view: Published<View<W>>,
    default_source: SourceName,
    /// Locked by changes only, one at a time. The scheduler's own lock is the only one that
    /// is ever taken under it.
    editor: Mutex<Editor<W>>,
}

impl<W> Core<W> {
    /// Does the remaining work of a change, once the editor's lock is released.
    fn settle(&self, after: AfterChange<W>) {
        let owes_plan = after.owes_plan;
        // The plan is made even if an observer, or the drop of a payload, panics.
        let settled = catch_unwind(AssertUnwindSafe(|| self.settle_unplanned(after)));
        if owes_plan {
            self.plan();
        }
        if let Err(panic) = settled {
            resume_unwind(panic);
        }
    }

    /// As [`settle`](Self::settle), for changes that a pick has made: a pick never plans.
    fn settle_unplanned(&self, after: AfterChange<W>) {
        self.shared.wake_keepers();
        after.report(&self.shared);
    }

    /// Runs the scheduler's planning until no plan is owed, unless another caller does so.
    fn plan(&self) {
        let mut task = self.editor.lock().next_task();
        while let Some(present) = task {
            let mut running = PlanRun {
                core: self,
                number: Some(present.number),
            };
            let plan = present.plan();
            running.number = None;
            let mut editor = self.editor.lock();
            let leftovers = editor.keep_plan(&self.view, &present, plan);
            task = editor.next_task();
            drop(editor);
            drop((leftovers, present));
        }
    }
}

impl<W> Drop for Core<W> {
    fn drop(&mut self) {
        // They see that the balancer is gone.
        self.shared.keepers.wake_all();
    }
}

/// If this plan panics, the next change plans again.
struct PlanRun<'c, W> {
    core: &'c Core<W>,
    /// The number of the task, until it has ended.
    number: Option<u64>,
}

impl<W> Drop for PlanRun<'_, W> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.core.editor.lock().planning.give_up(number);
        }
    }
}

impl<W> Balancer<W> {
    fn shared(&self) -> &Shared {
        &self.core.shared
    }

    /// Returns the balancer's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared().name.as_deref()
    }

    /// Returns the time on the balancer's clock. Heartbeats are reported with it, for
    /// example.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, HeartbeatReading};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let readings = HeartbeatReadings::new();
    /// let balancer = Balancer::builder()
    ///     .scheduler(Heartbeat::new(&readings))
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// readings.report("a", HeartbeatReading { ready: 8, busy: 1 }, balancer.now())?;
    /// assert!(balancer.pick(&PickRequest::new()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared().clock.now()
    }

    /// Returns the balancer's clock, for an observer that reads the time. It does not keep
    /// the balancer alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Clock;
    ///
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// let clock = balancer.clock();
    /// assert!(clock.now() <= balancer.now());
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared().clock.clone()
    }

    /// Returns the generation number of the current view of the members. It grows with each
    /// change; an [`Event`](events::Event) has the number of the view that it belongs to.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
    /// let before = balancer.generation();
    /// balancer.insert("b", "10.0.0.2:80", MemberSpec::new())?;
    /// assert!(balancer.generation() > before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.core.view.load().picture.generation
    }

    /// Returns the present roster; each change of the membership creates another one.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.core.view.load().picture.roster.clone()
    }

    /// Returns whether `roster` is still the present one.
    pub(crate) fn has_roster(&self, roster: &Arc<Roster>) -> bool {
        Arc::ptr_eq(&self.core.view.load().picture.roster, roster)
    }
}

impl<W> Clone for Balancer<W> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
        }
    }
}

impl<W> fmt::Debug for Balancer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.core.view.load();
        f.debug_struct("Balancer")
            .field("name", &self.name())
            .field("scheduler", &view.scheduler.name())
            .field("members", &view.picture.roster.len())
            .field("eligible", &view.picture.group_len())
            .finish_non_exhaustive()
    }
}
