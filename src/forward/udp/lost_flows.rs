//! The flows of lost members: [`LostMemberFlows`] ends them after a while.

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

/// Ends the flows of members that were removed, disabled, stopped, or that failed a health
/// check.
pub(super) struct LostMemberFlows {
    /// `None` if such flows continue.
    watch: Option<LossSubscription>,
    /// All flows have the same delay, so the first in the queue is due first.
    due: VecDeque<DueMember>,
}

struct LossSubscription {
    after: Duration,
    changed: Arc<Notify>,
    _observing: ObserverGuard,
}

struct DueMember {
    at: Instant,
    key: FlowKey,
    number: u64,
}

/// Notifies that a member was lost, or is available again.
struct LostFlowObserver(Arc<Notify>);

impl Observer for LostFlowObserver {
    fn observe(&self, event: &Event<'_>) {
        let is_relevant = match event.kind {
            EventKind::Changed { before, after, .. } => is_lost(before) != is_lost(after),
            _ => true,
        };
        if is_relevant {
            self.0.notify_one();
        }
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::LEFT
    }
}

/// A member that is only in error, or that drains, keeps its flows.
fn is_lost(status: Status) -> bool {
    let flags = [Flag::Disabled, Flag::FailedCheck, Flag::Stopped];
    flags.into_iter().any(|flag| status.contains(flag))
}

impl LostMemberFlows {
    pub(super) fn new<W>(balancer: &Balancer<W>, after: Option<Duration>) -> Self {
        let watch = after.map(|after| {
            let changed = Arc::new(Notify::new());
            LossSubscription {
                after,
                _observing: balancer.observe(LostFlowObserver(changed.clone())),
                changed,
            }
        });
        let due = VecDeque::new();
        Self { watch, due }
    }

    /// Resolves when [`look`](Self::look) should be called.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
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

    /// Ends the flows whose delay has elapsed, and starts the delay for flows whose member
    /// was lost.
    pub(super) fn look<W>(&mut self, balancer: &Balancer<W>, flows: &mut FlowTable<Arc<Flow>>) {
        let Some(watch) = &self.watch else {
            return;
        };
        let members = balancer.members();
        let kept = members.iter().filter(|member| !is_lost(member.status()));
        let kept: HashSet<MemberId> = kept.map(|member| member.id()).collect();
        let now = Instant::now();
        let mut is_back = false;
        for (key, entry) in flows.entries_mut() {
            if kept.contains(&entry.flow.member) {
                is_back |= entry.ends_at.take().is_some();
            } else if entry.ends_at.is_none() {
                let at = now + watch.after;
                entry.ends_at = Some(at);
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
    /// Returns whether the entry is still valid: the flow exists, and its member has not
    /// been available meanwhile.
    fn is_of<T>(&self, flows: &mut FlowTable<T>) -> bool {
        let entry = flows.get_mut(self.key);
        entry.is_some_and(|entry| entry.number == self.number && entry.ends_at == Some(self.at))
    }
}
