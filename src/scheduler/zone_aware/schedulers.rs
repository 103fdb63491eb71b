//! The scheduler of each zone: [`ZoneSchedulers`].
//!
//! Not here: the members of a zone (`group_zones.rs`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::scheduler::Scheduler;
use crate::snapshot::Seat;
use crate::sync::Mutex;

/// Makes and keeps a scheduler for each zone.
pub(super) struct ZoneSchedulers<S> {
    make: Box<dyn Fn() -> S + Send + Sync>,
    /// The name of the label that contains a member's zone.
    label: Arc<str>,
    /// A leaf lock, taken by changes only. A zone without members keeps its scheduler, and so
    /// the standings of its members, until no member of the balancer is in the zone.
    made: Mutex<BTreeMap<Arc<str>, Arc<S>>>,
    /// A scheduler without members, for questions about any of them.
    sample: S,
}

impl<S: Scheduler> ZoneSchedulers<S> {
    pub(super) fn new(make: impl Fn() -> S + Send + Sync + 'static, label: &str) -> Self {
        Self {
            sample: make(),
            make: Box::new(make),
            label: label.into(),
            made: Mutex::default(),
        }
    }

    pub(super) fn set_label(&mut self, label: &str) {
        self.label = label.into();
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn sample(&self) -> &S {
        &self.sample
    }

    /// Returns the name of a member's zone; empty if the member has no such label.
    pub(super) fn zone_of<'s>(&self, seat: &'s Seat) -> &'s str {
        seat.spec.label(&self.label).unwrap_or_default()
    }

    /// Returns the scheduler of a zone, made now if the zone is new.
    pub(super) fn get(&self, zone: &str) -> Arc<S> {
        if let Some(made) = self.made.lock().get(zone) {
            return made.clone();
        }
        let new = Arc::new((self.make)());
        self.made.lock().entry(zone.into()).or_insert(new).clone()
    }

    /// Keeps a scheduler that was forgotten.
    pub(super) fn keep(&self, zone: &Arc<str>, scheduler: &Arc<S>) {
        let mut made = self.made.lock();
        made.entry(zone.clone())
            .or_insert_with(|| scheduler.clone());
    }

    /// Forgets the zones for which `is_used` does not hold.
    pub(super) fn retain(&self, is_used: impl Fn(&str) -> bool) {
        let mut forgotten = Vec::new();
        self.made.lock().retain(|zone, scheduler| {
            let kept = is_used(zone);
            if !kept {
                // A user's scheduler is dropped without the lock.
                forgotten.push(scheduler.clone());
            }
            kept
        });
    }

    /// Returns all zones, sorted by name.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<S>)> {
        let made = self.made.lock();
        let zones = made.iter();
        zones
            .map(|(zone, scheduler)| (zone.clone(), scheduler.clone()))
            .collect()
    }
}

impl<S: fmt::Debug> fmt::Debug for ZoneSchedulers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneSchedulers")
            .field("label", &self.label)
            .field("made", &*self.made.lock())
            .finish_non_exhaustive()
    }
}
