//! Time that is noticed while nothing picks.

use crate::support::{Task, pick, seconds};
use equipoise::balancer::events::EventKind;
use equipoise::clock::{ManualClock, Timestamp};
use equipoise::member::Ramp;
use equipoise::scheduler::{ByRequests, Candidates, GroupChange, Pick, PickContext, Scheduler};
use equipoise::timer::{Sleep, TimedChanges, Timer};
use equipoise::{Balancer, Event, Flag, MemberSpec};
use std::future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A timer that goes off by hand, and writes down what it is asked for.
#[derive(Clone, Debug, Default)]
struct Alarm {
    asked: Arc<Mutex<Vec<Duration>>>,
    rung: Arc<AtomicBool>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Timer for Alarm {
    fn sleep(&self, duration: Duration) -> Sleep {
        self.asked.lock().unwrap().push(duration);
        self.rung.store(false, Ordering::SeqCst);
        let this = self.clone();
        Box::pin(future::poll_fn(move |context| {
            *this.waker.lock().unwrap() = Some(context.waker().clone());
            if this.rung.load(Ordering::SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }))
    }
}

impl Alarm {
    fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn kept() -> (Balancer<()>, ManualClock, Alarm, Task<TimedChanges<()>>) {
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .ramp(Ramp::over(seconds(16)))
        .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap();
    let alarm = Alarm::default();
    let keeping = Task::pending(balancer.run_timed_changes(alarm.clone()));
    (balancer, clock, alarm, keeping)
}

#[test]
fn while_nothing_is_due_it_sleeps_without_a_timer() {
    let (balancer, _, alarm, keeping) = kept();
    drop(pick(&balancer));
    balancer.set_flag("a", Flag::Draining).unwrap();
    assert!(!keeping.is_woken());
    assert!(alarm.take().is_empty());
}

#[test]
fn it_notices_a_recovery_that_no_pick_notices() {
    let (balancer, clock, alarm, mut keeping) = kept();
    pick(&balancer).unwrap().put_in_error();
    assert!(keeping.run().is_none() && !keeping.is_woken());
    assert_eq!(alarm.take(), [seconds(60)]);
    let mut ready = Task::pending(balancer.wait_for_members(3));
    clock.advance(seconds(60));
    alarm.ring();
    assert!(keeping.run().is_none());
    assert_eq!(ready.run(), Some(()), "what waits is woken");
    assert!(balancer.member("a").unwrap().status().is_usable());
    assert_eq!(alarm.take(), [seconds(2)], "the first step of its ramp");
}

#[test]
fn it_is_woken_when_something_falls_due_sooner_and_only_then() {
    let (balancer, clock, alarm, mut keeping) = kept();
    balancer.eject("a", seconds(100), "slow").unwrap();
    keeping.run();
    alarm.take();
    clock.advance(seconds(10));
    balancer.eject("a", seconds(200), "slow").unwrap();
    assert!(!keeping.is_woken(), "later is no matter");
    balancer.eject("b", seconds(5), "slow").unwrap();
    assert!(keeping.is_woken());
    keeping.run();
    assert_eq!(alarm.take(), [seconds(5)]);
}

#[test]
fn any_number_may_keep_time_and_one_that_is_dropped_leaves_it_to_the_others() {
    let (balancer, clock, _, first) = kept();
    let alarm = Alarm::default();
    let mut second = Task::pending(balancer.run_timed_changes(alarm.clone()));
    balancer.eject("a", seconds(100), "slow").unwrap();
    assert!(first.is_woken() && second.is_woken());
    second.run();
    drop(first);
    assert!(second.is_woken());
    second.run();
    assert_eq!(alarm.take().last(), Some(&seconds(100)));
    clock.advance(seconds(100));
    alarm.ring();
    second.run();
    assert!(balancer.member("a").unwrap().status().is_usable());
}

#[test]
fn it_resolves_when_the_balancer_is_gone_and_does_not_keep_it() {
    let (balancer, _, alarm, mut keeping) = kept();
    balancer.eject("a", seconds(100), "slow").unwrap();
    keeping.run();
    let lease = pick(&balancer).unwrap();
    let payload = Arc::downgrade(&balancer.payload("a").unwrap());
    drop(balancer);
    assert!(payload.upgrade().is_none());
    assert_eq!(keeping.run(), Some(()), "a lease does not keep it either");
    drop(lease);
    let balancer = Balancer::new([("a", ())]).unwrap();
    let late = balancer.run_timed_changes(alarm);
    drop(balancer);
    assert!(Task::new(late).poll().is_ready());
}

#[test]
fn a_clock_that_stands_still_or_jumps_back_does_not_make_it_spin() {
    let (balancer, clock, alarm, mut keeping) = kept();
    clock.advance(seconds(1_000));
    pick(&balancer).unwrap().put_in_error();
    keeping.run();
    assert_eq!(alarm.take(), [seconds(60)]);
    for _ in 0..5 {
        alarm.ring();
        assert!(keeping.run().is_none());
        assert_eq!(
            alarm.take(),
            [seconds(60)],
            "it stands still: as long again"
        );
    }
    clock.set(Timestamp::ORIGIN);
    alarm.ring();
    keeping.run();
    assert_eq!(alarm.take(), [seconds(1_060)]);
    clock.set(Timestamp::from_nanos(1_059_999_999_999));
    alarm.ring();
    keeping.run();
    assert_eq!(
        alarm.take(),
        [Duration::from_millis(1)],
        "no less than a moment"
    );
}

/// A timer that breaks its contract.
#[derive(Debug)]
struct Sleepless;

impl Timer for Sleepless {
    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(future::ready(()))
    }
}

#[test]
fn a_timer_that_never_sleeps_does_not_keep_its_task_from_yielding() {
    let (balancer, _, _, _keeping) = kept();
    balancer.eject("a", seconds(100), "slow").unwrap();
    let mut keeping = Task::pending(balancer.run_timed_changes(Sleepless));
    for _ in 0..10 {
        assert!(keeping.is_woken());
        assert!(keeping.run().is_none());
    }
}

type During = Box<dyn FnMut() + Send>;

/// Elects as `byrequests`; what is given is done once, when it is told of a change.
struct Told {
    inner: ByRequests,
    during: Arc<Mutex<Option<During>>>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl Scheduler for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.inner.pick(candidates, context)
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.inner.on_group_change(group);
        let during = self.during.lock().unwrap().take();
        if let Some(mut during) = during {
            during();
        }
    }
}

#[test]
fn one_that_looks_while_a_drain_removes_its_member_is_woken_for_what_is_due() {
    let during = Arc::<Mutex<Option<During>>>::default();
    let scheduler = Told {
        inner: ByRequests::new(),
        during: during.clone(),
    };
    let balancer = Balancer::builder()
        .clock(ManualClock::new())
        .scheduler(scheduler)
        .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap();
    balancer.eject("b", seconds(100), "slow").unwrap();
    let mut drain = Task::new(balancer.drain("a").unwrap().then_remove());
    let alarm = Alarm::default();
    let keeping = Task::new(balancer.run_timed_changes(alarm.clone()));
    let keeping = Arc::new(Mutex::new(keeping));
    let looks = keeping.clone();
    *during.lock().unwrap() = Some(Box::new(move || {
        // What is due is being worked out, so it sees nothing.
        assert!(looks.lock().unwrap().poll().is_pending());
    }));
    assert!(drain.poll().is_ready());
    let mut keeping = keeping.lock().unwrap();
    assert!(alarm.take().is_empty() && keeping.is_woken());
    keeping.run();
    assert_eq!(alarm.take(), [seconds(100)]);
}

#[test]
fn it_hears_of_an_earlier_time_though_an_observer_panics_at_the_change() {
    let (balancer, clock, alarm, mut keeping) = kept();
    let observing = balancer.observe(|event: &Event<'_>| {
        assert!(
            !matches!(event.kind, EventKind::Ejected { .. }),
            "as arranged"
        );
    });
    let ejected = catch_unwind(AssertUnwindSafe(|| {
        drop(balancer.eject("a", seconds(30), "slow"));
    }));
    assert!(ejected.is_err());
    drop(observing);
    assert!(keeping.is_woken());
    assert!(keeping.run().is_none());
    assert_eq!(alarm.take(), [seconds(30)]);
    clock.advance(seconds(30));
    alarm.ring();
    assert!(keeping.run().is_none());
    assert!(
        !balancer
            .member("a")
            .unwrap()
            .status()
            .contains(Flag::Ejected)
    );
}
