//! The flows of members that serve no more: [`Leaving`] ends them after a while.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::flow::Flow;
use super::flow_key::FlowKey;
use super::table::FlowTable;
use crate::balancer::Balancer;
use crate::balancer::events::{Event, EventKind, Interest, Observer, ObserverGuard};
use crate::member::{Flag, MemberId, Status};
use crate::timer::Deadline;

/// Ends the flows of members that were removed, disabled, stopped, or failed a check.
pub(super) struct Leaving {
    /// `None` if they end by themselves.
    watch: Option<LeavingWatch>,
    /// All have the same time, so the first is due first.
    due: VecDeque<DueMember>,
}

struct LeavingWatch {
    after: Duration,
    changed: Arc<Notify>,
    _observing: ObserverGuard,
}

struct DueMember {
    at: Instant,
    key: FlowKey,
    number: u64,
}

/// Tells that a member may serve no more, or again.
struct LeavingObserver(Arc<Notify>);

impl Observer for LeavingObserver {
    fn observe(&self, event: &Event<'_>) {
        let is_news = match event.kind {
            EventKind::Changed { before, after, .. } => leaves(before) != leaves(after),
            _ => true,
        };
        if is_news {
            self.0.notify_one();
        }
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::LEFT
    }
}

/// A member that is only in error, or that drains, keeps its flows.
fn leaves(status: Status) -> bool {
    let flags = [Flag::Disabled, Flag::FailedCheck, Flag::Stopped];
    flags.into_iter().any(|flag| status.contains(flag))
}

impl Leaving {
    pub(super) fn new<W>(balancer: &Balancer<W>, after: Option<Duration>) -> Self {
        let watch = after.map(|after| {
            let changed = Arc::new(Notify::new());
            LeavingWatch {
                after,
                _observing: balancer.observe(LeavingObserver(changed.clone())),
                changed,
            }
        });
        let due = VecDeque::new();
        Self { watch, due }
    }

    /// Resolves when there is something to [`look`](Self::look) at.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn next(&self) {
        let Some(watch) = &self.watch else {
            return std::future::pending().await;
        };
        let due = async {
            match self.due.front() {
                Some(due) => Deadline::at(due.at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watch.changed.notified() => {}
            () = due => {}
        }
    }

    /// Ends the flows whose time is over, and sets the time of those whose member has left.
    pub(super) fn look<W>(&mut self, balancer: &Balancer<W>, flows: &mut FlowTable<Arc<Flow>>) {
        let Some(watch) = &self.watch else {
            return;
        };
        let members = balancer.members();
        let staying = members.iter().filter(|member| !leaves(member.status()));
        let staying: HashSet<MemberId> = staying.map(|member| member.id()).collect();
        let now = Instant::now();
        let mut is_back = false;
        for (key, entry) in flows.entries_mut() {
            if staying.contains(&entry.flow.member) {
                is_back |= entry.leaves_at.take().is_some();
            } else if entry.leaves_at.is_none() {
                let at = now + watch.after;
                entry.leaves_at = Some(at);
                let number = entry.number;
                self.due.push_back(DueMember { at, key, number });
            }
        }
        if is_back {
            self.due.retain(|due| due.is_of(flows));
        }
        while self.due.front().is_some_and(|due| due.at <= now) {
            let due = self.due.pop_front().filter(|due| due.is_of(flows));
            let flow = due.and_then(|due| flows.remove(due.key, due.number));
            if let Some(flow) = flow {
                flow.cut();
            }
        }
    }
}

impl DueMember {
    /// Whether it still holds: the flow is there, and its member has not been back.
    fn is_of<T>(&self, flows: &mut FlowTable<T>) -> bool {
        let entry = flows.get_mut(self.key);
        entry.is_some_and(|entry| entry.number == self.number && entry.leaves_at == Some(self.at))
    }
}
