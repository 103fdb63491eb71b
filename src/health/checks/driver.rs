//! The task that runs the checks of one balancer: [`Driver`].
//!
//! Not here: which member is due (`queue`), a single check (`examine`), and
//! what several results in a row mean (`tally`).

use std::collections::HashMap;
use std::future::pending;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::catch_panic::CatchPanic;
use super::events::{CheckEvents, EventRecorder};
use super::examine::{CheckReport, Examination, Finding, examine};
use super::kept_connection::KeptConnection;
use super::lookup::Pending;
use super::plan::CheckPlan;
use super::queue::{CheckKey, CheckQueue, Speed};
use super::tally::{CheckChange, CheckTally};
use super::{Check, FirstCheck, ProbeError};
use crate::balancer::events::ObserverGuard;
use crate::balancer::{Balancer, WeakBalancer};
use crate::member::{Cause, Flag, MemberId, MemberKey, MemberState};
use crate::random::Random;

/// Runs the queue of checks.
pub(super) struct Driver<W> {
    balancer: WeakBalancer<W>,
    plan: Arc<CheckPlan<W>>,
    events: Arc<CheckEvents>,
    _observing: ObserverGuard,
    random: Random,
    queue: CheckQueue<Instant>,
    members: HashMap<CheckKey, Tracked>,
    keys: HashMap<MemberId, CheckKey>,
    last_key: CheckKey,
    running: JoinSet<(CheckKey, Option<CheckReport>)>,
}

/// A member that is checked.
struct Tracked {
    state: Arc<MemberState>,
    tally: CheckTally,
    kept: KeptConnection,
    pending: Pending,
    /// The check that was last chosen for it.
    check: Option<Check>,
    is_new: bool,
    /// Whether it was ejected when its check began. A check that began before the ejection
    /// does not end it.
    was_ejected: bool,
    /// When it was last checked.
    checked: Option<Instant>,
    running: Option<AbortHandle>,
    /// `check_now` was called while it was being checked: it is due again when the check
    /// ends.
    again: bool,
}

impl<W: Send + Sync + 'static> Driver<W> {
    pub(super) fn new(
        balancer: &Balancer<W>,
        plan: CheckPlan<W>,
        events: Arc<CheckEvents>,
    ) -> Self {
        // Observed first, so that members that are added meanwhile are not missed.
        let observing = balancer.observe(EventRecorder {
            events: events.clone(),
        });
        let mut driver = Self {
            balancer: balancer.downgrade(),
            queue: CheckQueue::new(plan.slots),
            plan: Arc::new(plan),
            events,
            _observing: observing,
            random: Random::from_entropy(),
            members: HashMap::new(),
            keys: HashMap::new(),
            last_key: 0,
            running: JoinSet::new(),
        };
        for state in balancer.members() {
            driver.follow(state);
        }
        driver
    }

    /// Checks members until the balancer is dropped.
    pub(super) async fn run(mut self) {
        loop {
            if !self.apply_events() {
                return;
            }
            self.start_due();
            let next = self.queue.next_due();
            tokio::select! {
                () = self.events.arrive() => {}
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    let ended = ended.ok();
                    self.settle(ended);
                }
                () = until(next) => {}
            }
        }
    }

    /// Applies what the observer has recorded; returns whether the balancer still exists.
    fn apply_events(&mut self) -> bool {
        let events = self.events.gather();
        let Some(balancer) = self.balancer.upgrade() else {
            return false;
        };
        for (id, changed) in events.members {
            if changed.left {
                self.forget(id);
            }
            let member = balancer.member(&changed.name);
            if let Some(state) = member.filter(|state| state.id() == id) {
                self.follow(state);
            }
        }
        if events.now {
            let now = Instant::now();
            for (&key, member) in &mut self.members {
                member.again = member.running.is_some();
                self.queue.put(key, now);
            }
        }
        true
    }

    /// Checks a member from now on. A member that was tracked already and was stopped is
    /// checked after its interval.
    fn follow(&mut self, state: Arc<MemberState>) {
        let now = Instant::now();
        if let Some(key) = self.keys.get(&state.id()) {
            let member = self.members.get(key);
            let check = member.and_then(|it| it.check.as_ref());
            let interval = check.unwrap_or(&self.plan.check).interval();
            let checked = member.and_then(|it| it.checked);
            let due = checked.map_or(now, |checked| now.max(checked + interval));
            self.queue.put(*key, due);
            return;
        }
        self.last_key += 1;
        let key = self.last_key;
        self.keys.insert(state.id(), key);
        let member = Tracked {
            state,
            tally: CheckTally::default(),
            kept: KeptConnection::default(),
            pending: Pending::default(),
            check: None,
            is_new: true,
            was_ejected: false,
            checked: None,
            running: None,
            again: false,
        };
        self.members.insert(key, member);
        self.queue.put(key, now);
    }

    fn forget(&mut self, id: MemberId) {
        let Some(key) = self.keys.remove(&id) else {
            return;
        };
        self.queue.remove(key);
        let running = self.members.remove(&key).and_then(|member| member.running);
        if let Some(running) = running {
            running.abort();
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        while let Some(key) = self.queue.start(now) {
            let Some(member) = self.members.get_mut(&key) else {
                continue;
            };
            let waits = member.is_new && self.plan.first == FirstCheck::AfterInterval;
            let examination = Examination {
                balancer: self.balancer.clone(),
                plan: self.plan.clone(),
                state: member.state.clone(),
                kept: member.kept.clone(),
                pending: member.pending.clone(),
                only_choose: waits,
            };
            let catch_panic = CatchPanic::new(examine(examination));
            let task = async move { (key, catch_panic.await) };
            member.running = Some(self.running.spawn(task));
            member.is_new = false;
            member.was_ejected = member.state.status().contains(Flag::Ejected);
        }
    }

    /// Records the checks that have ended, all of them as one change of the balancer.
    fn settle(&mut self, ended: Option<(CheckKey, Option<CheckReport>)>) {
        let mut changes = Vec::new();
        let mut next = ended;
        loop {
            if let Some((key, report)) = next.take() {
                changes.extend(self.note(key, report));
            }
            match self.running.try_join_next() {
                Some(ended) => next = ended.ok(),
                None => break,
            }
        }
        let balancer = self.balancer.upgrade();
        if let Some(balancer) = balancer.filter(|_| !changes.is_empty()) {
            // A panic of an observer is contained here: the other observers are notified,
            // and the checks continue.
            let _ = catch_unwind(AssertUnwindSafe(|| carry_out(&balancer, changes)));
        }
    }

    fn note(&mut self, key: CheckKey, report: Option<CheckReport>) -> Option<Changed> {
        let member = self.members.get_mut(&key)?;
        member.running = None;
        let now = Instant::now();
        let report = report.unwrap_or_else(|| {
            // A panic may have left the kept connection in any state.
            member.kept = KeptConnection::default();
            let check = member.check.clone();
            let check = check.unwrap_or_else(|| self.plan.check.clone());
            let found = Finding::Checked(Err(ProbeError::from("the probe panicked")));
            CheckReport::of(Some(check), found)
        });
        let speed = if report.was_slow {
            Speed::Slow
        } else {
            Speed::Quick
        };
        if !matches!(report.found, Finding::Stopped) {
            member.check = report.check;
        }
        let check = member.check.as_ref().unwrap_or(&self.plan.check);
        let status = member.state.status();
        let at_once = match report.found {
            Finding::Checked(_) | Finding::Nothing => false,
            Finding::Outdated => true,
            Finding::Stopped => !status.contains(Flag::Stopped),
        };
        let pause = if take(&mut member.again) || at_once {
            Duration::ZERO
        } else {
            check.pause(&self.random)
        };
        self.queue.ended(key, speed, now + pause);
        let needed = check.needed();
        let Finding::Checked(result) = report.found else {
            return None;
        };
        member.checked = Some(now);
        if matches!(&result, Err(error) if error.is_inconclusive()) {
            return None;
        }
        if status.contains(Flag::Stopped) {
            return None;
        }
        if result.is_ok() && status.contains(Flag::Ejected) && !member.was_ejected {
            // It ends neither the ejection nor an error beside it: an end would be reported
            // as a pass.
            member.tally = CheckTally::default();
            return None;
        }
        let id = member.state.id();
        match (member.tally.note(status, result.is_ok(), needed), result) {
            (CheckChange::Fail, Err(error)) => Some(Changed {
                id,
                failed: Some(error.cause()),
                ends_ejections: false,
            }),
            (CheckChange::Pass, Ok(())) => Some(Changed {
                id,
                failed: None,
                ends_ejections: false,
            }),
            (CheckChange::Recover, Ok(())) => Some(Changed {
                id,
                failed: None,
                ends_ejections: needed.ends_ejections,
            }),
            _ => None,
        }
    }
}

/// What changes for a member.
struct Changed {
    id: MemberId,
    failed: Option<Cause>,
    ends_ejections: bool,
}

fn carry_out<W>(balancer: &Balancer<W>, changes: Vec<Changed>) {
    let ejected: Vec<_> = changes
        .iter()
        .filter(|it| it.ends_ejections)
        .map(|it| it.id)
        .collect();
    let found = changes
        .into_iter()
        .map(|it| (MemberKey::Id(it.id), it.failed));
    // Before the passes are applied: these members return to full service, even if a
    // detector has ejected them.
    for id in ejected {
        // A member that was removed meanwhile needs no change.
        let _ = balancer.recover(id);
    }
    balancer.apply_check_results(found);
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
