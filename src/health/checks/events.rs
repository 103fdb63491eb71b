//! Events that wake the checks: [`CheckEvents`].
//!
//! Not here: how they are handled (`driver`).

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::balancer::events::{Event, EventKind, Interest, Observer};
use crate::member::{Flag, MemberId};
use crate::sync::Mutex;

/// Events since the last look. It has at most one entry for each member.
#[derive(Debug, Default)]
pub(super) struct CheckEvents {
    all: Mutex<PendingEvents>,
    wake: Notify,
}

#[derive(Debug, Default)]
pub(super) struct PendingEvents {
    pub(super) members: HashMap<MemberId, ChangedMember>,
    /// Whether all members are to be checked now.
    pub(super) now: bool,
}

/// A member that was added, changed or removed.
#[derive(Debug)]
pub(super) struct ChangedMember {
    pub(super) name: Arc<str>,
    /// Whether it was removed; it may have been added again since.
    pub(super) left: bool,
}

impl CheckEvents {
    pub(super) fn check_now(&self) {
        self.all.lock().now = true;
        self.wake.notify_one();
    }

    pub(super) fn gather(&self) -> PendingEvents {
        take(&mut *self.all.lock())
    }

    /// Resolves when there may be events.
    pub(super) async fn arrive(&self) {
        self.wake.notified().await;
    }
}

/// Records the events of one balancer; dropped with the balancer.
#[derive(Debug)]
pub(super) struct EventRecorder {
    pub(super) events: Arc<CheckEvents>,
}

impl Observer for EventRecorder {
    fn observe(&self, event: &Event<'_>) {
        let left = match event.kind {
            EventKind::Joined => false,
            EventKind::Left => true,
            // A member that is no longer stopped may be due.
            EventKind::Changed { before, after, .. }
                if before.contains(Flag::Stopped) && !after.contains(Flag::Stopped) =>
            {
                false
            }
            _ => return,
        };
        let Some(member) = event.member else { return };
        let mut all = self.events.all.lock();
        let changed = all
            .members
            .entry(member.id())
            .or_insert_with(|| ChangedMember {
                name: member.name().into(),
                left,
            });
        changed.left |= left;
        drop(all);
        self.events.wake.notify_one();
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::JOINED | Interest::LEFT
    }
}

impl Drop for EventRecorder {
    fn drop(&mut self) {
        // The balancer was dropped, or the checks were.
        self.events.wake.notify_one();
    }
}
