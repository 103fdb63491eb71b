//! What the checks are told while they run: [`News`].
//!
//! What does not live here: what follows from it (`driver`).

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::balancer::events::{Event, EventKind, Interest, Observer};
use crate::member::{Flag, MemberId};
use crate::sync::Mutex;

/// What has happened since it was last looked at. Whatever happens to a member, it is in it
/// once.
#[derive(Debug, Default)]
pub(super) struct News {
    all: Mutex<Gathered>,
    wake: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) members: HashMap<MemberId, Moved>,
    /// Whether all are to be checked now.
    pub(super) now: bool,
}

/// What has happened to a member.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) name: Arc<str>,
    /// Whether it has left, perhaps to return.
    pub(super) left: bool,
}

impl News {
    pub(super) fn check_now(&self) {
        self.all.lock().now = true;
        self.wake.notify_one();
    }

    pub(super) fn gather(&self) -> Gathered {
        take(&mut *self.all.lock())
    }

    /// Resolves when there may be news.
    pub(super) async fn arrive(&self) {
        self.wake.notified().await;
    }
}

/// Brings news of one balancer; dropped with it.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) news: Arc<News>,
}

impl Observer for Reporter {
    fn observe(&self, event: &Event<'_>) {
        let left = match event.kind {
            EventKind::Joined => false,
            EventKind::Left => true,
            // One that is no longer stopped may be due.
            EventKind::Changed { before, after, .. }
                if before.contains(Flag::Stopped) && !after.contains(Flag::Stopped) =>
            {
                false
            }
            _ => return,
        };
        let Some(member) = event.member else { return };
        let mut all = self.news.all.lock();
        let moved = all.members.entry(member.id()).or_insert_with(|| Moved {
            name: member.name().into(),
            left,
        });
        moved.left |= left;
        drop(all);
        self.news.wake.notify_one();
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::JOINED | Interest::LEFT
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        // The balancer is gone, or the checks are.
        self.news.wake.notify_one();
    }
}
