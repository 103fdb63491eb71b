//! The future that asks: [`ProbeDriver`].

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;

use crate::balancer::events::{Event, Interest, Observer, ObserverGuard};
use crate::balancer::{Balancer, WeakBalancer};
use crate::member::MemberId;
use crate::random::Random;
use crate::scheduler::{PrequalReports, PrequalTarget, ProbeReport};
use crate::sync::{AtomicU64, Relaxed};
use crate::timer::{Sleep, Timer};

/// The answer of a member, which may be none.
pub(super) type ProbeAnswer = Pin<Box<dyn Future<Output = Option<ProbeReport>> + Send>>;

/// Asks a member.
pub(super) type AskMember<W> = dyn Fn(PrequalTarget, Arc<W>) -> ProbeAnswer + Send + Sync;

/// How members are asked.
pub(super) struct ProbeSettings<W> {
    pub(super) ask: Box<AskMember<W>>,
    pub(super) concurrency: usize,
    pub(super) time_limit: Duration,
    pub(super) timer: Box<dyn Timer>,
    pub(super) random: Random,
}

/// Numbers for operators, hence relaxed.
#[derive(Debug, Default)]
pub(super) struct ProbeCounts {
    pub(super) asked: AtomicU64,
    pub(super) answered: AtomicU64,
}

/// Asks the members of one balancer that are due.
pub(super) struct ProbeDriver<W> {
    balancer: WeakBalancer<W>,
    reports: PrequalReports,
    settings: ProbeSettings<W>,
    counts: Arc<ProbeCounts>,
    running: Vec<RunningProbe>,
    wake: Arc<Notify>,
    _observing: ObserverGuard,
}

struct RunningProbe {
    member: MemberId,
    answer: ProbeAnswer,
    limit: Sleep,
}

impl<W: Send + Sync + 'static> ProbeDriver<W> {
    pub(super) fn new(
        balancer: &Balancer<W>,
        reports: &PrequalReports,
        settings: ProbeSettings<W>,
        counts: Arc<ProbeCounts>,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let observing = balancer.observe(PickWaker {
            reports: reports.clone(),
            wake: wake.clone(),
        });
        Self {
            balancer: balancer.downgrade(),
            reports: reports.clone(),
            running: Vec::new(),
            settings,
            counts,
            wake,
            _observing: observing,
        }
    }

    /// Asks members until the balancer is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let Some(balancer) = self.balancer.upgrade() else {
                return;
            };
            self.ask_due(&balancer);
            drop(balancer);
            let wake = self.wake.clone();
            tokio::select! {
                () = wake.notified() => {}
                (member, report) = poll_fn(|context| self.poll_running(context)) => {
                    self.settle(member, report);
                }
            }
        }
    }

    /// Asks the members that are due, as far as there are places.
    fn ask_due(&mut self, balancer: &Balancer<W>) {
        let places = self.settings.concurrency - self.running.len();
        if places == 0 || self.reports.due() == 0 {
            return;
        }
        for target in self.reports.targets(places, &self.settings.random) {
            let Some(payload) = balancer.payload(&target.name) else {
                continue;
            };
            let member = target.id;
            let ask = || (self.settings.ask)(target, payload);
            self.counts.asked.fetch_add(1, Relaxed);
            // A panic is no answer.
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(ask)) {
                self.running.push(RunningProbe {
                    member,
                    answer,
                    limit: self.settings.timer.sleep(self.settings.time_limit),
                });
            }
        }
    }

    /// Resolves with the next probe that ends, and its report if there is one.
    fn poll_running(&mut self, context: &mut Context<'_>) -> Poll<(MemberId, Option<ProbeReport>)> {
        for index in 0..self.running.len() {
            let running = &mut self.running[index];
            let answer = &mut running.answer;
            let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
            let report = match polled {
                Ok(Poll::Ready(report)) => report,
                Ok(Poll::Pending) if running.limit.as_mut().poll(context).is_pending() => continue,
                Ok(Poll::Pending) | Err(_) => None,
            };
            let over = self.running.swap_remove(index);
            let member = over.member;
            let _ = catch_unwind(AssertUnwindSafe(|| drop(over)));
            return Poll::Ready((member, report));
        }
        Poll::Pending
    }

    fn settle(&self, member: MemberId, report: Option<ProbeReport>) {
        if let (Some(report), Some(balancer)) = (report, self.balancer.upgrade()) {
            self.counts.answered.fetch_add(1, Relaxed);
            self.reports.report(member, report, balancer.now());
        }
    }
}

/// Wakes the driver after a pick; dropped with the balancer.
struct PickWaker {
    reports: PrequalReports,
    wake: Arc<Notify>,
}

impl Observer for PickWaker {
    fn observe(&self, _: &Event<'_>) {
        if self.reports.due() > 0 {
            self.wake.notify_one();
        }
    }

    fn interest(&self) -> Interest {
        Interest::PICKED
    }
}

impl Drop for PickWaker {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}
