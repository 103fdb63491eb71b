//! The flows of members that serve no more: [`Leaving`] ends them after a while.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::flow::Flow;
use super::table::Table;
use crate::balancer::Balancer;
use crate::balancer::events::{Event, EventKind, Observer, Observing, Wants};
use crate::member::{Flag, MemberId, Status};
use crate::timer::Deadline;

/// Ends the flows of members that were removed, disabled, stopped, or failed a check.
pub(super) struct Leaving {
    /// `None` if they end by themselves.
    watch: Option<Watch>,
    /// All have the same time, so the first is due first.
    due: VecDeque<Due>,
}

struct Watch {
    after: Duration,
    changed: Arc<Notify>,
    _observing: Observing,
}

struct Due {
    at: Instant,
    client: SocketAddr,
    number: u64,
}

/// Tells that a member may serve no more, or again.
struct Changes(Arc<Notify>);

impl Observer for Changes {
    fn observe(&self, event: &Event<'_>) {
        let is_news = match event.kind {
            EventKind::Changed { before, after, .. } => leaves(before) != leaves(after),
            _ => true,
        };
        if is_news {
            self.0.notify_one();
        }
    }

    fn wants(&self) -> Wants {
        Wants::CHANGED.and(Wants::LEFT)
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
            Watch {
                after,
                _observing: balancer.observe(Changes(changed.clone())),
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
    pub(super) fn look<W>(&mut self, balancer: &Balancer<W>, flows: &mut Table<Arc<Flow>>) {
        let Some(watch) = &self.watch else {
            return;
        };
        let members = balancer.members();
        let staying = members.iter().filter(|member| !leaves(member.status()));
        let staying: HashSet<MemberId> = staying.map(|member| member.id()).collect();
        let now = Instant::now();
        while self.due.front().is_some_and(|due| due.at <= now) {
            let Some(Due { client, number, .. }) = self.due.pop_front() else {
                break;
            };
            let entry = flows.get_mut(client).filter(|entry| entry.number == number);
            let Some(entry) = entry else {
                continue;
            };
            if staying.contains(&entry.flow.member) {
                entry.is_leaving = false;
            } else if let Some(flow) = flows.remove(client, number) {
                flow.cut();
            }
        }
        for (client, entry) in flows.entries_mut() {
            if !entry.is_leaving && !staying.contains(&entry.flow.member) {
                entry.is_leaving = true;
                self.due.push_back(Due {
                    at: now + watch.after,
                    client,
                    number: entry.number,
                });
            }
        }
    }
}
